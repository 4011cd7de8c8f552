"""qLogNEHVI over a table of samples, against the expected hypervolume improvement counted sample by sample."""

import moocore
import numpy as np
import pytest

from cimbo.optimizer.acquisition import PosteriorSamples, choose

BASELINE, POOL = 6, 24


def volume(points: np.ndarray, reference: np.ndarray) -> float:
    if len(reference) == 1:
        return max([0.0, *(points[:, 0] - reference[0])])
    return moocore.hypervolume(points, ref=reference, maximise=True) if len(points) else 0.0


def expected_improvement(
    table: PosteriorSamples, reference: np.ndarray, chosen: list[int]
) -> np.ndarray:
    """(pool,) mean over the samples of what each point adds to the feasible baseline and to those chosen before."""
    feasible = (table.violations <= 0).all(-1)
    gains = []
    for y, ok in zip(table.objectives, feasible, strict=True):
        known = [
            i for i in [*range(table.baseline), *(table.baseline + c for c in chosen)] if ok[i]
        ]
        before = volume(y[known], reference)
        pool = range(table.baseline, len(y))
        gains.append([volume(y[[*known, i]], reference) - before if ok[i] else 0.0 for i in pool])
    return np.mean(gains, axis=0)


def drawn(seed: int, m: int, constraints: int = 0, samples: int = 64) -> PosteriorSamples:
    """Independent draws around random means; each constraint is clearly met or clearly violated, by 4 in 10 points."""
    rng = np.random.default_rng(seed)
    n = BASELINE + POOL
    objectives = rng.normal(0, 1, (n, m)) + 0.3 * rng.normal(0, 1, (samples, n, m))
    objectives[:, :BASELINE] -= 0.5
    sides = np.where(rng.random((1, n, constraints)) < 0.4, 2.0, -2.0)
    return PosteriorSamples(
        objectives, sides + 0.2 * rng.normal(0, 1, (samples, n, constraints)), BASELINE
    )


@pytest.mark.parametrize(
    ("m", "constraints", "seed"),
    [
        (1, 0, 0),
        (1, 1, 1),
        (2, 0, 0),
        (2, 0, 1),
        (2, 0, 2),
        (2, 1, 0),
        (2, 1, 1),
        (2, 2, 0),
        (2, 2, 1),
        (3, 0, 0),
        (3, 1, 1),
        (3, 2, 2),
        (4, 0, 0),
        (4, 1, 1),
    ],
)
def test_every_pick_is_the_best_by_brute_force(m: int, constraints: int, seed: int):
    table, reference = drawn(seed, m, constraints, samples=64 if m < 3 else 8), np.full(m, -2.0)
    picks = choose(table, reference, 3)
    assert len(set(picks)) == 3
    for i, pick in enumerate(picks):
        gain = expected_improvement(table, reference, picks[:i])
        assert gain.max() > 0
        assert gain[pick] >= 0.99 * gain.max(), f"pick {i}"


@pytest.mark.parametrize("seed", range(5))
def test_what_is_never_feasible_is_not_chosen_while_something_feasible_helps(seed: int):
    table = drawn(seed, 2, 1)
    feasible = (table.violations[:, BASELINE:, 0] <= 0).all(0)
    table.objectives[:, BASELINE:][:, ~feasible] += 10  # tempting
    picks = choose(table, np.full(2, -4.0), 3)
    gain = expected_improvement(table, np.full(2, -4.0), [])
    assert (gain[feasible] > 0).sum() >= 3
    assert feasible[picks].all()


def test_a_point_is_worth_nothing_beside_its_pending_copy():
    table, reference = drawn(0, 2), np.full(2, -2.0)
    best = choose(table, reference, 1)[0]
    pending = table.objectives[:, [BASELINE + best]]
    with_pending = PosteriorSamples(
        np.concatenate([pending, table.objectives], 1), np.zeros((64, 31, 0)), BASELINE + 1
    )
    again = choose(with_pending, reference, 3)
    assert best not in again
    assert again[0] == choose(table, reference, 2)[1]


def test_a_pool_smaller_than_the_batch_is_used_up():
    assert sorted(choose(drawn(0, 2), np.full(2, -2.0), POOL + 5)) == list(range(POOL))


def test_without_any_evaluated_point_the_largest_volume_wins():
    table = drawn(1, 2)
    alone = PosteriorSamples(table.objectives[:, BASELINE:], np.zeros((64, POOL, 0)), 0)
    gain = expected_improvement(alone, np.full(2, -2.0), [])
    assert choose(alone, np.full(2, -2.0), 1) == [int(gain.argmax())]


def test_where_nothing_improves_the_picks_are_still_different_points():
    assert len(set(choose(drawn(0, 2), np.full(2, 12.0), 4))) == 4
    table = drawn(0, 2, 1)
    table.violations[:] = 3.0
    assert len(set(choose(table, np.full(2, -2.0), 4))) == 4


def test_equal_tables_give_equal_choices():
    assert choose(drawn(3, 2, 1), np.full(2, -2.0), 4) == choose(
        drawn(3, 2, 1), np.full(2, -2.0), 4
    )
