"""The screen in front of the acquisition, against improvements counted by brute force."""

import moocore
import numpy as np
import pytest

from cimbo.optimizer.screening import prune_baseline, screen
from cimbo.problem.pareto import non_dominated

RNG = np.random.default_rng


def gains(
    base: np.ndarray, pool: np.ndarray, feasible: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """(p,) mean hypervolume improvement of each point of the pool."""
    found = np.zeros(pool.shape[1])
    for known, new, ok in zip(base, pool, feasible, strict=True):
        before = moocore.hypervolume(known, ref=reference, maximise=True)
        after = [
            moocore.hypervolume(np.vstack([known, p]), ref=reference, maximise=True) for p in new
        ]
        found += (np.array(after) - before) * ok / len(base)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_two_objectives_are_counted_exactly_one_choice_after_another(seed: int):
    rng, reference = RNG(seed), np.array([-1.5, -2.0])
    base, pool = rng.normal(0, 1, (8, 6, 2)), rng.normal(0, 1, (8, 40, 2))
    feasible = rng.random((8, 40)) < 0.8
    listed = screen(base, pool, feasible, reference, rounds=3, each=1)
    for i, pick in enumerate(listed):
        chosen = np.where(feasible[:, listed[:i], None], pool[:, listed[:i]], -9.0)
        expected = gains(np.concatenate([base, chosen], 1), pool, feasible, reference)
        expected[listed[:i]] = -1
        assert expected[pick] == pytest.approx(expected.max(), rel=1e-9)


@pytest.mark.parametrize(("m", "share"), [(3, 0.9), (4, 0.8)])
def test_with_more_objectives_the_best_are_among_those_listed(m: int, share: float):
    rng, reference = RNG(m), np.full(m, -2.0)
    base, pool = (
        rng.normal(-0.5, 0.7, (6, 20, m)),
        rng.normal(0, 1, (6, 1, m)) * 0.1 + rng.normal(0, 0.8, (1, 150, m)),
    )
    listed = screen(base, pool, np.ones((6, 150), bool), reference, rounds=10, each=4)
    expected = gains(base, pool, np.ones((6, 150), bool), reference)
    assert len(set(listed)) == len(listed) == 40
    assert expected[listed].max() >= share * expected.max()


@pytest.mark.parametrize("m", [1, 2, 3])
def test_nothing_above_the_reference_and_no_front_yet(m: int):
    pool = RNG(0).normal(0, 1, (5, 30, m))
    for known in (0, 4):
        listed = screen(
            pool[:, :known] - 1, pool, np.ones((5, 30), bool), np.full(m, 9.0), rounds=4, each=2
        )
        assert len(set(listed)) == len(listed) == 8
        if not known and m == 1:
            assert listed[0] == pool.mean(0).ravel().argmax()


@pytest.mark.parametrize("m", [2, 3])
def test_kept_is_what_is_feasible_and_on_the_front_of_some_sample(m: int):
    scores, feasible = RNG(1).normal(0, 1, (4, 30, m)), RNG(2).random(30) < 0.7
    expected = np.zeros(30, bool)
    for sample in scores:
        expected[np.flatnonzero(feasible)[non_dominated(sample[feasible])]] = True
    np.testing.assert_array_equal(prune_baseline(scores, feasible), expected)
