"""The first minutes: help, completion, a study.toml to edit, what a doctor says, and progress on any terminal."""

import ast
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from importlib import import_module
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo import cli
from cimbo.cli import run
from cimbo.cli.progress import fitting
from cimbo.config.study_config import PRESETS_FOLDER, load, preset, presets
from cimbo.errors import choose_from
from cimbo.session import health
from cimbo.testing import kits

SCHEMA = json.loads((PRESETS_FOLDER / "study.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", cli.COMMAND_MODULES)
def test_help_says_of_a_command_what_the_command_says_of_itself(name):
    command = getattr(import_module(f"cimbo.cli.{cli.COMMAND_MODULES[name]}"), cli._function(name))
    assert command.help.replace("\n", " ").startswith(cli.summary(name).rstrip("."))


def test_help_runs_none_of_the_commands_modules():
    code = "import sys, cimbo.cli; cimbo.cli.run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stderr))
    assert not loaded & {"numpy", "torch", "pandas", "cimbo.study.study", "cimbo.cli.view"}
    assert "optimize" in done.stdout


@pytest.mark.parametrize(("typed", "offered"), [("opt", "optimize"), ("pareto --stu", "--study")])
def test_a_shell_completes_commands_and_options(typed, offered):
    words = f"cimbo {typed}"
    env = os.environ | {
        "_CIMBO_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    code = "from cimbo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert f"plain,{offered}" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_each_shell(shell, capsys):
    assert run(["completion", shell]) == 0
    assert "_CIMBO_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("name", presets())
def test_init_writes_a_study_that_loads_and_names_its_schema(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--preset", name]) == 0
    text = Path("study.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema ./study.schema.json\n")
    assert json.loads(Path("study.schema.json").read_text(encoding="utf-8")) == SCHEMA
    about = load(Path("study.toml"))
    assert about.problem == load(PRESETS_FOLDER / f"{name}.toml").problem
    capsys.readouterr()
    assert run(["init"]) == 2
    assert "study.toml: exists already" in capsys.readouterr().err
    assert Path("study.toml").read_text(encoding="utf-8") == text


def test_what_init_comments_out_is_right_once_the_comment_signs_are_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(["init"])
    lines = Path("study.toml").read_text(encoding="utf-8").splitlines()
    tables = [i for i, line in enumerate(lines) if line.startswith(("# [", "# adc_bits"))]
    for i in tables:
        while i < len(lines) and lines[i].startswith("# "):
            lines[i], i = lines[i][2:], i + 1
    Path("all.toml").write_text("\n".join(lines), encoding="utf-8")
    about = load(Path("all.toml"))
    assert [o.name for o in about.problem.objectives] == ["accuracy", "latency_ms", "energy_uj"]
    assert about.evaluator().fixed == {"node_nm": 28}
    values = {choice.name: choice.values for choice in about.problem.space.choices}
    assert (values["adc_bits"], values["dram_channels"]) == ((5, 6), (1, 2, 4))


def test_an_editor_s_validator_accepts_the_presets_and_refuses_a_typing_error():
    import tomllib

    validator = fastjsonschema.compile(SCHEMA)
    for path in PRESETS_FOLDER.glob("*.toml"):
        validator(tomllib.loads(path.read_text(encoding="utf-8")))
    wrong = tomllib.loads((PRESETS_FOLDER / "fmnist-vit.toml").read_text(encoding="utf-8"))
    wrong["hardware"]["colour"] = 1
    with pytest.raises(Exception, match="colour"):
        validator(wrong)


def test_doctor_tells_sizes_times_and_what_is_missing(capsys):
    assert run(["doctor", "--budget", "10", "--jobs", "1", "--format", "json"]) == 0
    found = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["torch"]["verdict"] == "PASS"
    assert "14 + 11 genes" in found["space"]["found"]
    assert "accuracy" in found["one evaluation"]["found"]
    assert "10 of them, 1 at a time" in found["time"]["found"]
    assert all(row["next"] for row in found.values() if row["verdict"] != "PASS")


@pytest.mark.parametrize(("takes_s", "evaluated"), [(3.0, 1), (0.9, 3), (0.1, 6)])
def test_doctor_evaluates_no_more_than_a_few_seconds_have_room_for(takes_s, evaluated, monkeypatch):
    problem = preset("fmnist-vit").problem
    clock = iter(np.arange(0.0, 100.0, takes_s).tolist())
    monkeypatch.setattr("cimbo.session.health.time.perf_counter", lambda: next(clock))
    found = health._evaluated(lambda design: {"accuracy": 1.0}, problem.space)
    assert problem.space.rows([found.design]).shape[0] == 1
    assert found.metrics == {"accuracy": 1.0}
    assert found.seconds == pytest.approx([takes_s] * evaluated)
    assert not found.failures


@pytest.mark.parametrize("name", ["vit-b", "ofa-mobilenetv3", "bert-base", "cimbo", "gp"])
def test_what_is_shipped_conforms(name, capsys):
    assert run(["doctor", name, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 5
    assert {row["verdict"] for row in rows} <= {"PASS", "WARN"}


def test_a_command_of_ten_lines_conforms_as_a_simulator(tmp_path, capsys):
    program = tmp_path / "mine.py"
    program.write_text(
        "import json, sys\n"
        "told = json.load(sys.stdin)\n"
        "chip, layers = told['chip'], told['workload']['layers']\n"
        "macs = sum(l['px'] * l['reduction'] * l['columns'] * l['groups'] for l in layers)\n"
        "arrays = chip['pes'] * chip['macros_per_pe'] * chip['rows'] * chip['cols'] / 64\n"
        "print(json.dumps({'latency_ms': macs / arrays * 1e-6, 'energy_uj': macs * 1e-6, 'area_mm2': arrays * 1e-4}))\n"
    )
    options = json.dumps({"command": [sys.executable, str(program)]})
    assert run(["doctor", "command", "--simulator-options", options, "--format", "json"]) == 0
    rows = {row["check"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    assert rows["simulator: latency_ms"] == "PASS"
    assert rows["simulator: layers"] == "WARN"


OWN_METRICS = """
[network]
name = "vit-b"
[hardware]
simulator = "command"
options = { command = ["python", "mine.py"] }
[hardware.genes]
tiles = [1, 2]
[[objectives]]
name = "NAME"
goal = "min"
"""


@pytest.mark.parametrize(("name", "source"), [("delay_us", "none"), ("accuracy", "vit-b")])
def test_a_network_without_an_accuracy_is_searched_for_costs_unless_one_is_sought(
    name, source, tmp_path
):
    file = tmp_path / "own.toml"
    file.write_text(OWN_METRICS.replace("NAME", name))
    assert load(file).accuracy == source


def test_a_chip_that_lacks_genes_is_told_all_of_them_in_one_line(capsys):
    chip = '{"rows": 128, "cols": 128, "array": "digital_sram"}'
    assert run(["simulate", "--network", "vit-b", "--hardware", chip]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "chip.macros_per_pe: is missing; give a value such as 8; also missing: pes (" in said
    assert "adc_bits" not in said


def test_an_option_that_a_simulator_does_not_take_is_told_with_those_that_it_takes(capsys):
    words = ["--network", "vit-b", "--hardware", '{"tiles": 4}', "--simulator", "table"]
    assert run(["simulate", *words, "--simulator-options", '{"fils": "a.csv"}']) == 2
    said = capsys.readouterr().err
    assert "simulator table, options.fils: is no option of it; " in said
    assert "use one of" in said
    assert "__init__" not in said


def test_of_a_thousand_names_a_message_lists_some():
    names = [f"model_{i}" for i in range(1000)]
    told = choose_from("model_7x", names)
    assert told.startswith("did you mean model_7")
    assert told.endswith("model_59 and 940 more")


def test_simulate_tells_metrics_of_any_name(tmp_path, capsys):
    program = tmp_path / "mine.py"
    program.write_text('print(\'{"delay_us": 3.5, "power_w": 2}\')')
    options = json.dumps({"command": [sys.executable, str(program)]})
    words = ["--network", "vit-b", "--hardware", '{"tiles": 4}', "--simulator", "command"]
    assert run(["simulate", *words, "--simulator-options", options]) == 0
    assert "delay_us 3.5, power_w 2" in capsys.readouterr().err


def test_an_unknown_plug_in_is_one_line_that_lists_the_known(capsys):
    assert run(["doctor", "nope"]) == 2
    said = capsys.readouterr().err
    assert "plug-in 'nope': is unknown" in said
    assert "zigzag" in said
    assert set(kits.kits("fmnist-vit", {})) == {"network", "accuracy"}


PARTS = st.lists(st.text("abc 0", min_size=1, max_size=30), min_size=1, max_size=4)


@given(PARTS, st.integers(0, 90))
def test_a_line_of_progress_never_wraps_and_keeps_what_fits(parts, width):
    line = fitting(parts, width)
    assert len(line) <= width
    whole = ", ".join(parts)
    assert (line == whole) == (len(whole) <= width) or len(whole) == len(line)


@pytest.mark.parametrize(
    ("typed", "meant"), [("optimise", "optimize"), ("explan", "explain"), ("xyzzy", None)]
)
def test_a_command_that_is_none_is_one_line_that_names_the_nearest(typed, meant, capsys):
    assert run([typed]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert (f", perhaps {meant};" in said) == (meant is not None)


SEARCH = (
    "from cimbo import *\nfrom cimbo.cli.progress import Progress\n"
    "s = Study.open(None, SearchSpace([Choice('a', [1, 2, 3])]), [Objective('y', 'max', 0.0)])\n"
    "with Progress(0) as p: s.optimize(lambda d: {'y': float(d['a'])}, 2, listener=p)"
)
TABLE = (
    "from cimbo.cli.output import emit\nemit('table', [{'key': 'abc', 'genes': 'x' * 60}], None)"
)


def _on_a_terminal(columns, program=SEARCH, **more):
    """What a search of two designs, or another program, writes on a terminal of so many columns."""
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | more
    subprocess.run(
        [sys.executable, "-c", program],
        stdin=side,
        stdout=side,
        stderr=side,
        env=env,
        check=True,
        timeout=120,
    )
    os.close(side)
    said = b""
    try:
        while chunk := os.read(terminal, 4096):
            said += chunk
    except OSError:
        pass  # how Linux says that the other side is closed
    os.close(terminal)
    return said.decode()


def test_progress_on_a_narrow_terminal_stays_on_its_line_and_has_no_colour():
    said = _on_a_terminal(24, NO_COLOR="1", TERM="xterm-256color")
    assert "\x1b" not in said
    lines = [part for line in said.split("\n") for part in line.split("\r")]
    assert max(map(len, lines)) < 24
    assert "2/2 evaluations" in said


def test_a_cell_that_is_too_wide_is_cut_on_a_terminal_but_whole_in_a_pipe():
    said = _on_a_terminal(40, TABLE)
    rows = [line.rstrip("\r") for line in said.splitlines() if line.startswith("abc")]
    assert [len(row) for row in rows] == [40]
    assert rows[0].endswith("x…")
    piped = subprocess.run(
        [sys.executable, "-c", TABLE],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "40"},
    )
    assert "x" * 60 in piped.stdout
    assert not piped.stderr


def test_progress_on_a_terminal_that_cannot_write_over_is_lines():
    said = _on_a_terminal(80, TERM="dumb")
    assert said.count("\n") >= 2
    assert "\r1/2" not in said.replace("\r\n", "\n")


def test_help_groups_shared_options_and_shows_one_name_for_a_file_to_write(capsys):
    assert run(["optimize", "--help"]) == 0
    told = capsys.readouterr().out
    own, study, evaluations = (
        told.index(t) for t in ("Options:\n", "Which study:", "Evaluations:")
    )
    assert own < told.index("--budget INTEGER") < study < told.index("--preset TEXT") < evaluations
    assert run(["report", "--help"]) == 0
    told = capsys.readouterr().out
    assert "-o, --output PATH" in told
    assert "--out " not in told


def test_the_shorter_word_for_a_file_to_write_still_works(tmp_path, capsys):
    assert run(["report", "--study", str(tmp_path / "none.db"), "--out", "x.html"]) == 2
    assert "none.db" in capsys.readouterr().err
