"""A search that ends before its budget says why: others are at work, or nothing is left."""

from __future__ import annotations

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
