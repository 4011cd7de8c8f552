"""Constraints between genes: kept by everything that is sampled and proposed, also where hardly anything is allowed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.errors import BadInput

NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
CUBE = [Choice("a", NUMBERS), Choice("b", NUMBERS), Choice("c", NUMBERS)]  # 1,728 designs
ONE_OF_1728 = "a * b * c == 1331"  # 11 * 11 * 11


def evaluate(design: dict[str, Any]) -> dict[str, float]:
    return {"x": float(design["a"] + design["b"]), "y": float(design["c"])}


OBJECTIVES = [Objective("x", "max", reference=0.0), Objective("y", "min", reference=20.0)]


def test_the_only_allowed_design_of_1728_is_proposed_first_and_then_there_are_no_more():
    space = SearchSpace(CUBE, constraints=[ONE_OF_1728])
    assert space.size == 1
    with Study.open(None, space, OBJECTIVES) as study:
        study.optimize(evaluate, 20, 5)
        assert [e.params for e in study.evaluations()] == [{"a": 11, "b": 11, "c": 11}]


def test_what_is_proposed_keeps_the_constraints_from_the_first_design_to_the_last():
    space = SearchSpace(CUBE[:2], CUBE[2:], constraints=["a * b <= c", "a != 2"])
    allowed = sum(a * b <= c and a != 2 for a, b, c in itertools.product(NUMBERS, repeat=3))
    assert space.size == allowed
    assert space.size_is_exact
    with Study.open(None, space, OBJECTIVES) as study:
        study.optimize(evaluate, 24, 6)
        designs = [e.params for e in study.evaluations()]
    assert len({tuple(d.values()) for d in designs}) == 24
    assert all(d["a"] * d["b"] <= d["c"] and d["a"] != 2 for d in designs)


def test_fixed_genes_are_not_changed_to_keep_a_constraint():
    space = SearchSpace(CUBE[:2], CUBE[2:], constraints=["a + b + c == 20"])
    with Study.open(None, space, OBJECTIVES) as study:
        asked = study.with_constraints(fixed={"a": 12}).ask(4)
        assert all(c.params["a"] == 12 and sum(c.params.values()) == 20 for c in asked)


def test_a_sum_over_many_genes_that_drawing_would_never_meet():
    bits = [Choice(f"bits_{i}", [2, 4, 8]) for i in range(24)]
    total = " + ".join(choice.name for choice in bits)
    space = SearchSpace(
        bits, constraints=[f"{total} <= 56"]
    )  # 24 * 2 = 48: at most 4 layers of 4 bits
    for rows in (space.random_rows(50, np.random.default_rng(0)), space.sobol_rows(50)):
        assert len(rows) == 50
        assert all(sum(design.values()) <= 56 for design in space.designs(rows))
    assert len({tuple(row) for row in space.random_rows(50, np.random.default_rng(0))}) > 20


def test_texts_conditions_and_genes_that_do_not_exist():
    space = SearchSpace(
        [Choice("depth", [1, 2]), Choice("heads", [1, 2, 4], active_if={"depth": [2]})],
        [Choice("adc", ["flash", "sar"]), Choice("bits", [4, 8]), Choice("slow", [True, False])],
        constraints=['adc != "flash" or bits <= 4', "heads >= 2", "not slow"],
    )
    designs = space.designs(space.sobol_rows(100))
    assert len(designs) == space.size == (1 + 2) * 3
    assert {d.get("heads") for d in designs} == {None, 2, 4}
    assert all(not d["slow"] for d in designs)


def test_they_travel_in_the_study_file(tmp_path):
    space = SearchSpace(CUBE, constraints=["a < b"])
    Study.open(tmp_path / "s.db", space, OBJECTIVES).close()
    with Study.open(tmp_path / "s.db") as study:
        assert study.problem.space.constraints == ("a < b",)
    with pytest.raises(BadInput, match="is another study: space"):
        Study.open(tmp_path / "s.db", SearchSpace(CUBE, constraints=["a > b"]), OBJECTIVES)


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ("a * b", "is a number, not a condition"),
        ("a * d <= 3", "d is no gene; use one of a, b, c"),
        ("aa <= 3", "aa is no gene; did you mean a"),
        ("a + b >= 100", "no design keeps 'a \\+ b >= 100'"),
        ("a == 'x'", None),
        ("a <=", "is no expression"),
    ],
)
def test_constraints_that_are_none(constraint, told):
    with pytest.raises(BadInput, match=told):
        SearchSpace(CUBE, constraints=[constraint])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_repaired_rows_are_allowed_and_allowed_ones_stay(seed, bound):
    space = SearchSpace(CUBE, constraints=[f"a * b <= {bound}", "b <= c"])
    free = SearchSpace(CUBE)
    rows = free.random_rows(40, np.random.default_rng(seed))
    repaired = space.known.repaired(rows)
    assert space.allowed_rows(repaired).all()
    kept = space.allowed_rows(rows)
    np.testing.assert_array_equal(repaired[kept], rows[kept])
