"""Every command and every program of README.md and docs/ is run here, or names the test that runs it.

A block of ``sh`` is run line by line, in order, in one empty folder a document. ``# run by tests/test_x.py`` marks a line that
is too slow, or needs an extra: that test must exist and know the command. A block whose first line is ``# file: NAME`` (JSON
and CSV: without that line) is written to the folder; a block of ``python`` is run there.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from cimbo import cli
from cimbo.cli import COMMAND_MODULES, run

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MARK = "# run by tests/"


def blocks(document):
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def lines(document):
    return [
        line
        for kind, text in blocks(document)
        if kind == "sh"
        for line in text.strip().splitlines()
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.stem)
def test_a_document_runs_from_its_first_command_to_its_last(
    document, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for kind, text in blocks(document):
        first, _, rest = text.partition("\n")
        if first.startswith("# file: "):
            Path(first.removeprefix("# file: ")).write_text(text if kind == "python" else rest)
    for kind, text in blocks(document):
        if kind == "sh":
            for line in text.strip().splitlines():
                if MARK not in line:
                    done(line, capsys)
        elif kind == "python" and not text.startswith("# file: "):
            told = subprocess.run(
                [sys.executable, "-c", text],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert told.returncode == 0, f"{text}\n{told.stderr}"
        elif kind == "toml":
            assert tomllib.loads(text)


def done(line, capsys):
    program, *words = shlex.split(line.replace('"python"', f'"{sys.executable}"'), comments=True)
    assert program == "cimbo", line
    code = run(words)
    said = capsys.readouterr()
    assert code == 0, f"{line}\n{said.err}"
    written = words[words.index("-o") + 1] if "-o" in words else ""
    assert said.out or Path(written).exists(), f"{line} gave nothing"


def test_the_readme_s_first_front_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, _, *later = [
        text for kind, text in blocks(ROOT / "README.md") if kind == "sh"
    ]  # after the two that CI runs
    for text in later:
        for line in text.strip().splitlines():
            if MARK not in line:
                done(line, capsys)


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "README.md"], ids=lambda d: d.stem)
def test_what_is_not_run_here_is_run_by_the_test_it_names(document):
    for line in lines(document):
        if MARK in line:
            command, _, file = line.partition("# run by ")
            source = (ROOT / file.strip()).read_text(encoding="utf-8")
            words = shlex.split(command)
            assert words[0] == "cimbo"
            assert f'"{words[1]}"' in source, f"{file} never runs cimbo {words[1]}"
            for value in re.findall(r"--(?:to|what) (\w+)", command):
                assert f'"{value}"' in source, f"{file} never runs {command}"


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=lambda d: d.stem
)
def test_links_lead_somewhere_and_commands_exist(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (document.parent / target).exists(), target
    named = set(re.findall(r"`cimbo ([a-z][a-z-]*)", text))
    assert named <= set(COMMAND_MODULES), named - set(COMMAND_MODULES)


def options_of(command):
    """Every option that a command and its own commands take."""
    parameters = list(command.params)
    for inner in getattr(command, "commands", {}).values():
        parameters += inner.params
    found = {"-h", "--help"}
    for parameter in parameters:
        found.update((*parameter.opts, *parameter.secondary_opts))
    return found


@pytest.mark.parametrize(
    "document",
    [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))],
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_every_option_that_a_sentence_or_a_marked_line_names_exists(document):
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`cimbo ([a-z][^`]*)`", text)
    named += [line.partition(" # ")[0].removeprefix("cimbo ") for line in lines(document)]
    for command, *words in (each.split() for each in named if each.split()[0] in COMMAND_MODULES):
        module = import_module(f"cimbo.cli.{COMMAND_MODULES[command]}")
        known = options_of(getattr(module, cli._function(command)))
        options = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        assert options <= known, f"cimbo {command} has no {options - known}"


OTHER_DOCUMENTS = [
    ROOT / "data" / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "report_browser" / "README.md",
]
"""Their commands train for hours or set up a machine: they are parsed here, not run."""


@pytest.mark.parametrize("document", OTHER_DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_commands_that_take_too_long_to_run_are_understood(document):
    text = "\n".join(lines(document)).replace("\\\n", " ")
    found = 0
    for line in re.split(r"\n|&&", text):
        program, *words = shlex.split(line.strip().removeprefix("time "), comments=True)
        if program == "cimbo":
            module = import_module(f"cimbo.cli.{COMMAND_MODULES[words[0]]}")
            function = getattr(module, cli._function(words[0]))
            function.make_context(words[0], words[1:], resilient_parsing=False)
        elif program == "python":
            assert (ROOT / words[0]).exists(), line
        elif program == ".venv/bin/pip":
            extras = re.findall(r"\.\[([a-z,]+)\]", line)
            assert_extras_exist(extras)
        found += 1
    assert found


def assert_extras_exist(named):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in named:
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_citation_names_this_version():
    import cimbo

    assert f"version: {cimbo.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {cimbo.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_extra_is_one_that_doctor_knows():

    from cimbo.session.health import EXTRA_PACKAGES

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(EXTRA_PACKAGES) == set(extras) - {"test", "lint", "docs"}
