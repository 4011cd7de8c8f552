"""A search that ends before its budget says why: others are at work, or nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from cimbo import Study
from cimbo.cli import run

MODULE = """
def evaluate(design):
    return {"top1": 60.0 + design["depth"], "edp": design["depth"] * design["rows"] / 64}
"""
STUDY = """
[evaluator]
python = "mine_early:evaluate"
[architecture.genes]
depth = [1, 2, 3, 4]
[hardware.genes]
rows = [64, 128]
[[objectives]]
name = "top1"
goal = "max"
[[objectives]]
name = "edp"
goal = "min"
"""
SEARCH = ["optimize", "--config", "study.toml", "--study", "s.db", "--jobs", "1", "--budget"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_early.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def test_designs_that_another_process_evaluates_are_told(capsys):
    assert run([*SEARCH, "2"]) == 0
    with Study.open("s.db") as study:
        space = study.problem.space
        done = {record.key for record in study.evaluations()}
        rest = [
            params
            for params in space.designs(space.random_rows(64, np.random.default_rng(0)))
            if space.key(params) not in done
        ]
        claims = list({space.key(params): params for params in rest}.items())
        assert len(claims) == 6
        study.store.claim(claims, owner="4711-somebody")
        capsys.readouterr()
        assert run([*SEARCH, "8"]) == 0
        told = capsys.readouterr().err
        study.store.release("4711-somebody")
    assert "ended at 2 of 8 evaluations: 4711-somebody is evaluating 6 designs (" in told
    assert "this front is not final" in told
    assert run([*SEARCH, "8"]) == 0
    assert "ended at" not in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--async",)])
def test_a_space_that_is_exhausted_is_told(capsys, more):
    assert run([*SEARCH, "9", *more]) == 0
    assert "ended at 8 of 9 evaluations: every design is evaluated" in capsys.readouterr().err


def test_a_fixed_part_that_is_exhausted_is_told(capsys):
    assert run([*SEARCH, "3", "--fix", "depth=2"]) == 0
    told = capsys.readouterr().err
    assert "ended at 2 of 3 evaluations: every design with these genes fixed is evaluated" in told


SLOW = """
import time

def evaluate(design):
    time.sleep(0.2)
    return {"top1": 60.0 + design["depth"], "edp": design["depth"] * design["rows"] / 64}
"""


@pytest.mark.parametrize("more", [(), ("--async",)])
def test_two_processes_together_make_as_many_evaluations_as_were_asked_for(folder, more):
    """Each reserves what it evaluates, so that neither makes what the other has begun."""
    (folder / "mine_slow.py").write_text(SLOW, encoding="utf-8")
    text = STUDY.replace("mine_early", "mine_slow")
    text = text.replace("[1, 2, 3, 4]", str(list(range(1, 21)))) + "[search]\ninitial = 40\n"
    (folder / "study.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "cimbo", *SEARCH]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    subprocess.run([*command, "2"], env=environment, check=True)
    processes = []
    for _ in range(2):
        started = subprocess.Popen(
            [*command, "24", *more],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        processes.append(started)
    for process in processes:
        said = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, said
    with Study.open("s.db", readonly=True) as study:
        assert len(study.evaluations()) == 24
        assert len({record.key for record in study.evaluations()}) == 24


def test_what_a_dead_process_reserved_is_free_again(folder):
    """A process that is killed while it evaluates leaves leases; they end with it."""
    assert run([*SEARCH, "1"]) == 0
    victim = (
        "import os, signal; from cimbo import Study; s = Study.open('s.db');\n"
        "s.store.claim([(str(i), {}) for i in range(9)], owner='victim');\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    subprocess.run([sys.executable, "-c", victim], env=environment, check=False)
    assert run([*SEARCH, "4"]) == 0
    with Study.open("s.db", readonly=True) as study:
        assert len(study.evaluations()) == 4
