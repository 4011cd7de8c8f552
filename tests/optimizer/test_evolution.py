"""The evolutionary search over predictions: valid rows, the right survivors, and fronts that brute force confirms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo import Choice, SearchSpace
from cimbo.optimizer.evolution import Effort, mutate, search, survivors, unique, vary
from cimbo.problem.pareto import dominated_by, hypervolume, ranks

SPACE = SearchSpace(
    [
        Choice("depth", [1, 2, 3]),
        *(Choice(f"w{i}", [1, 2, 3, 4], {"depth": list(range(i, 4))}) for i in (1, 2, 3)),
    ],
    [Choice("rows", [64, 128, 256, 512]), Choice("cell", ["a", "b", "c"])],
)
RNG = np.random.default_rng


def score(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Something to gain from width and something to lose, by a table of the cells; small arrays break the constraint."""
    widths = rows[:, 1:4] + 1
    gain = np.sqrt(widths).sum(1) + np.array([0.0, 0.5, -0.5])[rows[:, 5]]
    cost = widths.sum(1) * np.array([1.0, 0.8, 0.7, 0.75])[rows[:, 4]] + rows[:, 5]
    return np.stack([gain, -cost], 1), np.maximum(2.0 - rows[:, 4] - 2 * (rows[:, 5] == 1), 0.0)


def every_row(space: SearchSpace) -> np.ndarray:
    return np.unique(
        space.canonical_rows(list(itertools.product(*(range(c) for c in space.cardinalities)))),
        axis=0,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_the_front_of_what_is_predicted(seed: int):
    rows = every_row(SPACE)
    values, violation = score(rows)
    reference = values.min(0) - 1
    best = hypervolume(values[violation <= 0], reference)
    seeds = SPACE.random_rows(5, RNG(99))
    found = search(
        SPACE, score, seeds, rng=RNG(seed), effort=Effort(60, 20), pin=SPACE.canonical_rows
    )
    values, violation = score(found)
    assert (violation <= 0).all()
    assert hypervolume(values, reference) >= 0.99 * best


def test_the_search_repeats_itself_exactly_and_nothing_within():
    def run(seed: int) -> np.ndarray:
        return search(
            SPACE,
            score,
            SPACE.random_rows(5, RNG(9)),
            rng=RNG(seed),
            effort=Effort(30, 5),
            pin=SPACE.canonical_rows,
        )

    first = run(3)
    np.testing.assert_array_equal(run(3), first)
    assert len(np.unique(first, axis=0)) == len(first) == 30
    np.testing.assert_array_equal(SPACE.canonical_rows(first), first)
    assert not np.array_equal(run(4), first)


def test_pinned_genes_stay():
    def pin(rows: np.ndarray) -> np.ndarray:
        rows = rows.copy()
        rows[:, [0, 5]] = [1, 2]
        return SPACE.canonical_rows(rows)

    found = search(
        SPACE, score, SPACE.random_rows(5, RNG(0)), rng=RNG(1), effort=Effort(30, 5), pin=pin
    )
    np.testing.assert_array_equal(found[:, [0, 3, 5]], np.broadcast_to([1, -1, 2], (len(found), 3)))


def test_a_space_smaller_than_the_population_is_searched_whole():
    space = SearchSpace([Choice("a", [1, 2, 3]), Choice("b", ["x", "y"])])
    found = search(
        space,
        lambda r: (r.astype(float), np.zeros(len(r))),
        space.random_rows(1, RNG(0)),
        rng=RNG(0),
        effort=Effort(50, 5),
        pin=space.canonical_rows,
    )
    assert len(found) == space.size


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_children_are_valid_and_canonical(seed: int):
    rng = RNG(seed)
    first, second = (SPACE.random_rows(40, rng) for _ in range(2))
    for children in (vary(SPACE, first, second, rng), mutate(SPACE, first, rng)):
        np.testing.assert_array_equal(SPACE.canonical_rows(children), children)
        assert (children < SPACE.cardinalities).all()
        assert SPACE.rows(SPACE.designs(children)).tolist() == children.tolist()


def test_mutation_changes_little_and_can_reach_everything():
    row = SPACE.rows([{"depth": 3, "w1": 2, "w2": 2, "w3": 2, "rows": 128, "cell": "a"}])
    mutants = mutate(SPACE, np.repeat(row, 4000, axis=0), RNG(0))
    changed = (mutants != row).sum(1)
    assert 0.5 < changed.mean() < 3
    for column, choice in enumerate(SPACE.choices):
        assert set(mutants[:, column]) >= set(range(len(choice.values)))
    steps = np.abs(mutants[:, 4] - row[0, 4])[mutants[:, 4] != row[0, 4]]
    assert (steps == 1).mean() > 0.7  # of rows, an ordered gene; at random it would be two thirds


def test_crossover_mixes_both_parents():
    space = SearchSpace([Choice(f"g{i}", list(range(9))) for i in range(40)])
    children = vary(space, np.full((50, 40), 1, np.int16), np.full((50, 40), 7, np.int16), RNG(0))
    assert ((children == 1) | (children == 7)).mean() > 0.85
    assert 0.4 < (children == 1).mean() < 0.6


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40))
@settings(max_examples=80)
def test_survivors_are_feasible_first_then_by_front_then_by_violation(seed: int, size: int, n: int):
    rng = RNG(seed)
    values = rng.integers(0, 5, (size, 2)).astype(float)
    violation = np.maximum(rng.integers(-3, 4, size), 0).astype(float)
    kept = survivors(values, violation, n)
    assert len(kept) == len(set(kept.tolist())) == min(n, size)
    feasible = np.flatnonzero(violation <= 0)
    rank = dict(zip(feasible, ranks(values[feasible]), strict=True)) if len(feasible) else {}
    order = [(0, rank[i]) if i in rank else (1, violation[i]) for i in kept]
    assert order == sorted(order)
    left_out = [
        (0, rank[i]) if i in rank else (1, violation[i])
        for i in set(range(size)) - set(kept.tolist())
    ]
    assert not left_out or max(order) <= min(left_out)


def test_survivors_keep_the_ends_of_a_front():
    front = np.array([[i, 10.0 - i] for i in range(11)])
    assert {0, 10} <= set(survivors(front, np.zeros(11), 4).tolist())
    assert not dominated_by(front, front).any()


def test_unique_keeps_the_first_in_place():
    rows = np.array([[3, 1], [0, 0], [3, 1], [2, 2], [0, 0]], np.int16)
    np.testing.assert_array_equal(unique(rows), [[3, 1], [0, 0], [2, 2]])
