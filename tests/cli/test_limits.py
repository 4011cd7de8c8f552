"""--limit: on which side a bound is, and on which metrics one can be."""

import csv
import json

import pytest

from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.cli import run

SPACE = SearchSpace([], [Choice("rows", [1, 2, 3, 4])])
OBJECTIVES = [Objective("latency_us", "min"), Objective("tops", "max")]
FLOOR = Constraint("sqnr_db", ">=", 15.0)


def measured(design):
    rows = design["rows"]
    return {"latency_us": 10.0 * rows, "tops": rows, "sqnr_db": 10.0 * rows, "area_um2": 5.0 * rows}


@pytest.fixture
def study(tmp_path):
    """Four designs, of which the one of a row falls below the floor."""

    def made(*constraints):
        file = str(tmp_path / "s.db")
        with Study.open(
            file, space=SPACE, objectives=OBJECTIVES, constraints=[FLOOR, *constraints]
        ) as opened:
            opened.optimize(measured, 4)
        return file

    return made


def rows_left(capsys, file, *limits):
    words = [word for limit in limits for word in ("--limit", limit)]
    assert run(["pareto", *words, "--study", file, "--format", "json"]) == 0
    said = capsys.readouterr()
    left = {design["hardware"]["rows"] for design in json.loads(said.out)["pareto"]}
    return left, said.err


def test_a_limit_is_on_the_side_of_the_study_s_own(study, capsys):
    file = study()
    assert rows_left(capsys, file)[0] == {2, 3, 4}
    left, said = rows_left(capsys, file, "sqnr_db=25")
    assert left == {3, 4}
    assert "sqnr_db >= 25" in said
    assert rows_left(capsys, file, "sqnr_db=5")[0] == {1, 2, 3, 4}
    assert rows_left(capsys, file, "sqnr_db<=35")[0] == {2, 3}
    assert rows_left(capsys, file, "sqnr_db>=35")[0] == {4}
    assert rows_left(capsys, file, "tops=3")[0] == {3, 4}
    assert rows_left(capsys, file, "area_um2=12")[0] == {2}


def test_a_limit_on_a_metric_with_two_says_its_side(study, capsys):
    file = study(Constraint("sqnr_db", "<=", 35.0))
    assert run(["pareto", "--limit", "sqnr_db=30", "--study", file]) == 2
    assert "both sides" in capsys.readouterr().err
    assert rows_left(capsys, file, "sqnr_db>=25")[0] == {3}


def test_only_what_a_study_measures_has_a_limit(study, capsys):
    """Costs of cimbo's chip model are no metrics of a study that is evaluated otherwise."""
    file = study()
    assert run(["pareto", "--limit", "area_mm2=2", "--study", file]) == 2
    assert "did you mean area_um2?" in capsys.readouterr().err
    assert run(["pareto", "--limit", "area_um=2", "--study", file]) == 2
    said = capsys.readouterr().err
    assert "area_um2" in said
    assert "area_mm2" not in said


def test_an_own_program_has_no_limits_on_costs_that_it_does_not_give(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def f(design):\n return {'latency_us': 10.0 * design['rows'], 'area_um2': 3.0}\n"
    )
    (tmp_path / "study.toml").write_text(
        '[evaluator]\npython = "mine:f"\n[hardware.genes]\nrows = [1, 2, 3]\n'
        '[[objectives]]\nname = "latency_us"\ngoal = "min"\n'
    )
    words = ["--config", "study.toml", "--study", "s.db", "--jobs", "1"]
    assert run(["optimize", "--budget", "2", *words]) == 0
    capsys.readouterr()
    assert run(["pareto", "--limit", "area_mm2=2", "--study", "s.db"]) == 2
    said = capsys.readouterr().err
    assert "'area_mm2' is not measured" in said
    assert "area_um2" in said


def test_csv_of_a_front_has_a_column_for_each_gene(study, capsys):
    assert run(["pareto", "--study", study(), "--format", "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["rows"] for row in rows} == {"2", "3", "4"}


def test_an_error_that_is_drawn_in_no_design_is_refused(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_robust.py").write_text(
        "def f(d):\n return {'latency_us': 10.0 * d['rows']}\n"
    )
    (tmp_path / "study.toml").write_text(
        '[evaluator]\npython = "mine_robust:f"\n[hardware.genes]\nrows = [1, 2, 3]\n'
        '[[objectives]]\nname = "latency_us"\ngoal = "min"\n'
    )
    words = ["--config", "study.toml", "--study", "own.db", "--jobs", "1"]
    assert run(["optimize", "--budget", "2", *words]) == 0
    assert run(["robust", "--study", "own.db", "--draws", "5"]) == 0
    assert run(["robust", "--silicon", "2", "--study", "own.db", "--draws", "5"]) == 2
    assert "--silicon: has no effect here" in capsys.readouterr().err
