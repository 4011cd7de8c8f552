"""Numbers of other libraries are taken as values, references, bounds, seeds and metrics; what is none is said in a line."""

import decimal
import math

import numpy as np
import pandas as pd
import pytest
import torch

from cimbo import BadInput, Choice, Constraint, Objective, SearchSpace, Study
from cimbo.problem.scalars import finite, integer, is_absent, shown

SPACE = SearchSpace(hardware=[Choice("a", [1, 2, 3])])
GOAL = [Objective("y", "min")]
THREES = [3, 3.0, np.int8(3), np.float32(3), np.array([3.0]), torch.tensor(3), torch.tensor([3.0])]
THREES += [decimal.Decimal(3), pd.Series([3.0])]
NO_NUMBERS = [
    None,
    "1.0",
    b"1",
    (1.0, 2.0),
    np.array([1.0, 2.0]),
    10**400,
    1 + 0j,
    {},
    torch.ones(2),
]
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan"), decimal.Decimal("NaN")]


@pytest.mark.parametrize("three", THREES, ids=lambda v: type(v).__name__)
def test_a_number_of_any_library_is_a_metric_a_reference_and_a_bound(three):
    assert finite(three) == 3.0
    reference, bound = Objective("y", "min", three).reference, Constraint("y", "<=", three).bound
    assert (reference, bound) == (3.0, 3.0)
    record = Study.open(None, SPACE, GOAL).tell({"a": 1}, {"y": three})
    assert (record.status, record.metrics) == ("done", {"y": 3.0})
    assert type(record.metrics["y"]) is float


@pytest.mark.parametrize("value", NO_NUMBERS + NOT_FINITE, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside"])
def test_what_is_no_number_is_a_recorded_failure(value, beside):
    metrics = {"y": 1.0, "z": value} if beside else {"y": value}
    study = Study.open(None, SPACE, GOAL)
    record = study.tell({"a": 1}, metrics)
    assert record.status == "failed"
    assert ("z is " if beside else "y is ") in record.reason
    assert study.evaluations() == [record]


@pytest.mark.parametrize("metrics", [None, {}, 3.0, [("y", 1.0)], "y"], ids=repr)
def test_no_metrics_are_a_recorded_failure(metrics):
    assert Study.open(None, SPACE, GOAL).tell({"a": 1}, metrics).status == "failed"


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (np.arange(1, 4), (1, 2, 3)),
        (np.array([0.5, 1], np.float32), (0.5, 1)),
        ([np.int64(2), 1], (1, 2)),
        (pd.Series([2, 1]), (1, 2)),
        (range(1, 3), (1, 2)),
        (torch.tensor([1, 2]), (1, 2)),
        ({2, 1}, (1, 2)),
        ([1.0, 2.5], (1, 2.5)),
        (np.array(["x", "y"]), ("x", "y")),
        ([True, False], (False, True)),
    ],
    ids=repr,
)
def test_values_of_a_gene_become_those_of_python(values, want):
    found = Choice("a", values).values
    assert found == want
    assert [type(v) for v in found] == [type(v) for v in want]


@pytest.mark.parametrize(
    "values",
    ["sram", b"ab", {"x", "y"}, {"a": 1}, 5, None, [1, "x"], [[1], [2]], [1.0, 1], [10**400]],
)
def test_what_is_no_list_of_values_is_refused(values):
    with pytest.raises(BadInput, match="gene a"):
        Choice("a", values)


@pytest.mark.parametrize("active_if", [{"b": "fast"}, {"b": 1}, "b", ["b"]], ids=repr)
def test_a_condition_of_another_form_is_refused(active_if):
    with pytest.raises(BadInput, match=r"gene a[,:] active_if"):
        Choice("a", [1, 2], active_if)


def test_integral_floats_are_the_same_study_with_the_same_keys(tmp_path):
    whole, floats = (SearchSpace([Choice("a", v)]) for v in ([1, 2], [1.0, 2.0]))
    assert whole.key({"a": 1}) == floats.key({"a": 1.0})
    with Study.open(tmp_path / "s.db", whole, GOAL) as study:
        key = study.tell({"a": 1}, {"y": 1.0}).key
    with Study.open(tmp_path / "s.db", floats, GOAL) as study:
        assert study.tell({"a": 1.0}, {"y": 1.0}).key == key
        assert len(study.evaluations()) == 1


def test_a_file_whose_genes_are_floats_keeps_its_keys(tmp_path):
    old = SearchSpace.from_json({"architecture": [{"name": "a", "values": [1.0, 2.0]}]})
    assert old.key({"a": 1}) != SearchSpace([Choice("a", [1, 2])]).key({"a": 1})
    assert [type(v) for v in old.choices[0].values] == [float, float]
    with Study.open(tmp_path / "s.db", old, GOAL) as study:
        key = study.tell({"a": 1}, {"y": 1.0}).key
    with Study.open(tmp_path / "s.db", SearchSpace([Choice("a", [1, 2])]), GOAL) as study:
        assert study.tell({"a": 1}, {"y": 1.0}).key == key == old.key({"a": 1})


@pytest.mark.parametrize("seed", [-1, 2.5, "3", True, 2**63], ids=repr)
def test_a_seed_is_an_integer(seed):
    with pytest.raises(BadInput, match="seed"):
        Study.open(None, SPACE, GOAL, seed=seed)


def test_without_a_seed_a_new_study_has_0():
    with Study.open(None, SPACE, GOAL, seed=None) as study:
        assert study.seed == 0


@pytest.mark.parametrize("seed", [0, np.int64(3), 2**63 - 1, 2**31], ids=repr)
def test_any_seed_that_is_taken_can_be_searched_with(seed):
    space = SearchSpace(hardware=[Choice("a", range(30))])
    study = Study.open(None, space, GOAL, seed=seed)
    study.optimize(lambda d: {"y": float(d["a"])}, budget=np.int64(12))
    assert len(study.evaluations()) == 12


@pytest.mark.parametrize("n", [0, -1, 2.0, "2", True, None], ids=repr)
def test_how_many_is_an_integer(n):
    study = Study.open(None, SPACE, GOAL)
    with pytest.raises(BadInput, match="ask"):
        study.ask(n)
    with pytest.raises(BadInput, match=r"budget|optimize"):
        study.optimize(lambda d: {"y": 1.0}, budget=n)


def test_one_objective_and_a_list_of_genes_need_no_wrapping():
    study = Study.open(None, [Choice("a", [1, 2])], Objective("y", "min"))
    assert study.problem.space == SearchSpace([Choice("a", [1, 2])])


@pytest.mark.parametrize(
    ("space", "objectives", "constraints"),
    [(5, GOAL, ()), (SPACE, ["y"], ()), (SPACE, GOAL, ["y"]), ([1, 2], GOAL, ())],
)
def test_what_is_no_problem_is_refused(space, objectives, constraints):
    with pytest.raises(BadInput):
        Study.open(None, space, objectives, constraints)


def test_a_message_never_writes_out_a_huge_value():
    assert len(shown(10**100_000)) < 80
    assert len(shown([10**100_000])) < 80
    assert len(shown("x" * 10_000)) < 80
    with pytest.raises(BadInput, match="bits"):
        integer("n", 10**5000, least=1, most=9)


def test_what_stands_for_no_value_in_a_table():
    assert all(map(is_absent, (None, math.nan, np.float32("nan"), pd.NA, pd.NaT)))
    assert not any(map(is_absent, (0, 0.0, "", "nan", False)))
