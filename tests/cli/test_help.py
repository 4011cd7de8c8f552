"""Help that helps: an example everywhere, options in groups, the nearest name for a mistyped one, the knee without a key."""

import json
import shutil
from pathlib import Path

import click
import pytest

from cimbo.cli import COMMAND_MODULES, cimbo, run
from cimbo.cli.grouped import OPTION_GROUPS


def commands():
    """Every command with its words."""
    context = click.Context(cimbo)
    for name in COMMAND_MODULES:
        command = cimbo.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", each) for part, each in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=str)
def test_every_help_has_an_example_and_groups_of_options(words, command, capsys):
    assert run([*words.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: cimbo {words}" in " ".join(text.split())
    assert "Output:" in text
    shared = {name for names in OPTION_GROUPS.values() for name in names}
    own = text.partition("Options:")[2].partition("\n\n")[0]
    assert not shared & set(own.split())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert run(["demo", "--study", str(folder / "demo.db")]) == 0
    return folder / "demo.db"


def said(capsys, *words):
    capsys.readouterr()
    code = run([str(word) for word in words])
    return code, capsys.readouterr()


def test_without_a_key_the_knee_is_shown_and_explained(demo, capsys):
    code, answer = said(capsys, "pareto", "--study", demo, "--format", "json")
    knee = json.loads(answer.out)["knees"][0]
    for command in ("show", "explain"):
        code, answer = said(capsys, command, "--study", demo, "--format", "json")
        assert code == 0
        assert json.loads(answer.out)["key"] == knee
        assert f"no KEY is given: this is the knee of the front, {knee}" in answer.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pareto", "--fix", "row=64"), "did you mean rows"),
        (("pareto", "--fix", "rows"), "write GENE=VALUE or @FILE"),
        (("pareto", "--limit", "area_mm=64"), "did you mean area_mm2"),
        (("pareto", "--prefer", "acuracy=2"), "did you mean accuracy"),
        (("export", "--to", "jsom"), "did you mean json"),
        (("export", "--to", "onnx"), "cimbo export KEY --to onnx -o PATH"),
        (("plot", "--wat", "front"), "--what"),
        (("statsu",), "perhaps status"),
    ],
)
def test_the_nearest_name_is_told(demo, words, hint, capsys):
    place = [] if words == ("statsu",) else ["--study", demo]
    code, answer = said(capsys, *words, *place)
    assert code == 2
    assert hint in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_mistyped_key_is_told_the_nearest_one(demo, capsys):
    # The key is read from the study: another recording of the demo has other keys.
    code, answer = said(capsys, "pareto", "--study", demo, "--format", "json")
    knee = json.loads(answer.out)["knees"][0]
    another = "0" if knee[-1] != "0" else "1"
    code, answer = said(capsys, "show", knee[:-1] + another, "--study", demo)
    assert code == 2
    assert f"did you mean {knee}" in answer.err
    code, answer = said(capsys, "export", knee, "--to", "csv", "--study", demo)
    assert code == 2
    assert "leave out KEY, or give one of --to onnx" in answer.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pareto", "--study", "demmo.db"), "did you mean demo.db?"),
        (("optimize", "--study", "demmo.db"), "did you mean demo.db?"),
        (("fit-predictors", "--study", "demmo.db"), "did you mean demo.db?"),
        (("status", "--study", "demo"), "did you mean demo.db?"),
        (("optimize", "--preset", "fmnist-vitt"), "did you mean fmnist-vit"),
        (("simulate", "--network", "fmnist-vt", "--hardware", "{}"), "did you mean fmnist-vit"),
        (("simulate", "--network", "fmnist-vit", "--hardware", "chip.json"), "write @chip.json"),
        (("optimize", "--simulator", "zigzac"), "did you mean zigzag"),
        (("optimize", "--backend", "daks"), "did you mean dask"),
        (("doctor", "vit-bb"), "did you mean vit-b"),
        (("compare", "--methods", "nsga3", "--study", "demo.db"), "did you mean nsga2"),
        (("pareto", "--fix", "chip.json", "--study", "demo.db"), "write @chip.json"),
    ],
)
def test_the_nearest_file_or_plug_in_is_told(demo, tmp_path, monkeypatch, words, hint, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo, "demo.db")
    Path("chip.json").write_text('{"rows": 64}')
    code, answer = said(capsys, *words)
    assert code == 2
    assert hint in answer.err, answer.err


def test_commented_lines_of_a_new_study_stand_in_their_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    lines = Path("study.toml").read_text().splitlines()
    table = ""
    found = {}
    for line in lines:
        if line.startswith(("[", "# [")):
            table = line.removeprefix("# ").split("]")[0].strip("[]")
        elif line.startswith("# ") and "=" in line:
            found[line.split()[1]] = table
    assert found["simulator"] == found["options"] == "hardware"
    assert found["node_nm"] == "hardware.fixed"
    assert found["bound"] == "constraints"
    assert lines[-1] == "batch = 6                  # designs chosen at a time"
