"""A study as a table: every gene and metric in a column of its own, and each row told back is the same design."""

import pytest

from cimbo import BadInput, Choice, Objective, SearchSpace, Study
from cimbo.problem.objectives import Problem
from cimbo.storage import Store

SPACE = SearchSpace(
    [
        Choice("depth", [1, 2]),
        Choice("kind", ["x", "y"], {"depth": [2]}),
        Choice("k", [3, 5], {"depth": [2]}),
    ]
)


def test_rows_of_a_frame_are_told_back_as_the_same_designs():
    study, other = (Study.open(None, SPACE, [Objective("y", "min")]) for _ in range(2))
    study.tell({"depth": 1}, {"y": 1.0})
    study.tell({"depth": 2, "kind": "x", "k": 5}, {"y": 2.0})
    for row in study.frame()[["depth", "kind", "k", "y"]].to_dict("records"):
        y = row.pop("y")
        other.tell(row, {"y": y})
    assert [(r.key, r.params, r.metrics) for r in other.evaluations()] == [
        (r.key, r.params, r.metrics) for r in study.evaluations()
    ]


@pytest.mark.parametrize(
    ("gene", "metric"),
    [
        ("y", "y"),
        ("number", "y"),
        ("status", "y"),
        ("predicted_y", "y"),
        ("predicted_y_std", "y"),
        ("accuracy_test", "y"),
        ("a", "seconds"),
    ],
)
def test_a_name_that_would_hide_a_column_is_refused(gene, metric, tmp_path):
    space = SearchSpace(hardware=[Choice(gene, [7, 8])])
    with pytest.raises(BadInput, match="has the name of another column"):
        Study.open(tmp_path / "s.db", space, [Objective(metric, "min")])
    assert not list(tmp_path.iterdir())


def test_an_older_study_with_such_names_loses_no_column(tmp_path):
    problem = Problem(
        SearchSpace(hardware=[Choice("status", [7, 8])]), (Objective("seconds", "min"),)
    )
    with Store.open(tmp_path / "s.db", problem.to_json()) as store:
        store.record("k", {"status": 7}, metrics={"seconds": 1.5, "key": 2.0}, origin="told")
    with Study.open(tmp_path / "s.db", problem.space, problem.objectives) as study:
        row = study.frame().iloc[0].to_dict()
    assert (row["status"], row["status_gene"]) == ("done", 7)
    assert (row["seconds"], row["seconds_metric"]) == (0.0, 1.5)
    assert (row["key"], row["key_metric"]) == ("k", 2.0)
