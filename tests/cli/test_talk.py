"""How much a command says: one line on a terminal, little with --quiet, everything in a log file."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
import quick_accuracy

from cimbo.cli import run
from cimbo.cli.progress import Progress
from cimbo.study.events import Ahead, Phase, Step


@pytest.fixture
def study(tmp_path, monkeypatch):
    quick_accuracy.install(tmp_path, monkeypatch)
    return quick_accuracy.study(tmp_path)


def on_a_terminal(columns, *arguments):
    """What a command writes to a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "cimbo", *arguments]
    process = subprocess.Popen(
        command, stdin=slave, stdout=subprocess.DEVNULL, stderr=slave, env=environment
    )
    os.close(slave)
    written = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        written += read
    os.close(master)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_progress_line_is_never_wider_than_the_terminal(study, columns):
    arguments = ("--config", "study.toml", "--budget", "13", "--jobs", "1")
    written = on_a_terminal(columns, "optimize", *arguments, "--study", f"{columns}.db")
    lines = re.findall(r"\r([^\r\n]*\d+/13 evaluations[^\r\n]*)", written)
    assert len(lines) == 13
    assert [line for line in lines if len(line) >= columns] == []
    assert max(map(len, lines)) > 25


def test_quiet_says_nothing_and_the_log_file_has_everything(study, tmp_path, capsys):
    asked = ["--config", "study.toml", "--jobs", "1", "--study", "quiet.db", "--log-file", "x.log"]
    assert run(["optimize", *asked, "--budget", "4", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("key ")
    log = (tmp_path / "x.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ (DEBUG|INFO|WARNING|ERROR) ", line) for line in log)
    assert log[0].endswith("optimize " + " ".join([*asked, "--budget", "4", "--quiet"]))
    assert sum(" evaluations, hypervolume " in line for line in log) == 4
    assert any("chose 4 designs" in line for line in log)
    assert run(["pareto", "--study", "none.db", "--log-file", "x.log"]) == 2
    later = (tmp_path / "x.log").read_text().splitlines()
    assert later[: len(log)] == log
    assert "ERROR none.db: does not exist" in later[-1]


def test_verbose_says_proposals_and_contradictions_are_refused(study, capsys):
    asked = ["--config", "study.toml", "--jobs", "1", "--study", "v.db", "--budget", "3"]
    assert run(["optimize", *asked, "--verbose"]) == 0
    assert "chose 3 designs in " in capsys.readouterr().err
    assert run(["optimize", *asked, "--verbose", "--quiet"]) == 2
    assert "both --quiet and --verbose" in capsys.readouterr().err
    assert run(["status", "--study", "v.db", "--log-file", "none/x.log"]) == 2
    assert "--log-file none/x.log: cannot be written" in capsys.readouterr().err


def test_the_first_estimate_counts_the_phases_after_the_search(study, capsys):
    assert run(["optimize", "--config", "study.toml", "--jobs", "1", "--budget", "3"]) == 0
    said = capsys.readouterr().err
    assert "of it to check the front" in said.splitlines()[1]
    assert "designs on the test images" in said


def test_parts_of_a_computation_are_counted(capsys):
    progress = Progress()
    progress(Ahead((Phase("on the test images", 3, 2.0),)))
    for count in range(3):
        progress(Step("predictors judged", count, 2))
    assert capsys.readouterr().err == "2/2 predictors judged\n"


COSTS_ALONE = """
[network]
name = "fmnist-vit"
accuracy = "none"
{genes}
[hardware]
space = "core"
simulator = "cimbo"
[[objectives]]
name = "latency_ms"
goal = "min"
"""


def test_a_network_searched_by_costs_alone_is_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "free.toml").write_text(COSTS_ALONE.format(genes=""))
    search = ["optimize", "--budget", "1", "--jobs", "1"]
    assert run([*search, "--config", "free.toml", "--study", "free.db"]) == 0
    assert "the cheapest network wins: 14 genes of fmnist-vit" in capsys.readouterr().err
    (tmp_path / "one.toml").write_text(COSTS_ALONE.format(genes='subnetwork = "largest"'))
    assert run([*search, "--config", "one.toml", "--study", "one.db"]) == 0
    assert "the cheapest network wins" not in capsys.readouterr().err


@pytest.mark.parametrize(("kept", "depth"), [("largest", 6), ("smallest", 2)])
def test_a_network_may_be_kept_at_one_of_its_subnetworks(kept, depth, tmp_path):
    from cimbo.config.study_config import load

    file = tmp_path / "study.toml"
    file.write_text(COSTS_ALONE.format(genes=f'subnetwork = "{kept}"'))
    space = load(file).problem.space
    [design] = space.designs(space.random_rows(1, np.random.default_rng(0)))
    assert design["depth"] == depth
    assert all(len(gene.values) == 1 for gene in space.architecture)
    assert f"mlp_{depth}" in design
    assert f"mlp_{depth + 1}" not in design
    file.write_text(COSTS_ALONE.format(genes='subnetwork = "largest"\ngenes = {embed = [32, 64]}'))
    free = [gene.name for gene in load(file).problem.space.architecture if len(gene.values) > 1]
    assert free == ["embed"]


def test_chips_for_a_family_are_chips_for_its_largest_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--network", "fmnist-vit", "--budget", "2", "--jobs", "1", "--study", "a.db"]
    assert run(["optimize", *words, "--format", "json"]) == 0
    answer = capsys.readouterr()
    assert "the cheapest network wins" not in answer.err
    for row in json.loads(answer.out)["pareto"]:
        assert row["architecture"]["depth"] == 6


def test_a_search_near_a_point_knows_its_objectives(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--network", "fmnist-vit", "--budget", "2", "--jobs", "1", "--study", "a.db"]
    assert run(["optimize", *words, "--near", "latency=1"]) == 2
    assert "did you mean latency_ms" in capsys.readouterr().err
    assert run(["optimize", *words, "--near", "latency_ms"]) == 2
    assert "is no objective=number" in capsys.readouterr().err
    assert run(["optimize", *words, "--near", "latency_ms=0.05"]) == 0
    assert (
        run(["pareto", "--study", "a.db", "--near", "area_mm2=20", "--prefer", "area_mm2=1"]) == 2
    )
    assert run(["pareto", "--study", "a.db", "--near", "area_mm2=20"]) == 0


def test_a_search_by_weights_knows_its_objectives(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--network", "fmnist-vit", "--budget", "2", "--jobs", "1", "--study", "a.db"]
    for weights, told in (
        ("latency=1", "did you mean latency_ms"),
        ("latency_ms", "is no objective=number"),
        ("latency_ms=-1", "give a number of at least 0"),
        ("latency_ms=0", "are all 0"),
    ):
        assert run(["optimize", *words, "--prefer", weights]) == 2
        answer = capsys.readouterr().err
        assert told in answer
        assert len(answer.splitlines()) == 1
    assert run(["optimize", *words, "--prefer", "latency_ms=1", "--near", "latency_ms=1"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert run(["optimize", *words, "--prefer", "latency_ms=1"]) == 0
    assert "by the weights latency_ms 1" in capsys.readouterr().err


def test_a_description_says_what_its_search_prefers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study.toml"
    study.write_text(
        'extends = "fmnist-vit"\n[search]\nprefer = { accuracy = 2, latency_ms = 1 }\n'
    )
    words = ["--config", "study.toml", "--budget", "2", "--jobs", "1", "--study", "a.db"]
    assert run(["optimize", *words]) == 0
    assert "by the weights accuracy 2, latency_ms 1" in capsys.readouterr().err
    study.write_text('extends = "fmnist-vit"\n[search]\nprefer = { acuracy = 2 }\n')
    assert run(["optimize", *words[:-1], "b.db"]) == 2
    assert "did you mean accuracy" in capsys.readouterr().err
