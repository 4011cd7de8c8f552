"""Non-domination, fronts and hypervolume against moocore, brute force and figures worked out by hand."""

import itertools

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cimbo.problem import pareto
from cimbo.problem.nondominated_boxes import boxes
from cimbo.problem.pareto import (
    GrowingFront,
    crowding,
    dominated_by,
    hypervolume,
    improvements,
    non_dominated,
    ranks,
)


@st.composite
def points(draw: st.DrawFn, most: int = 30) -> np.ndarray:
    """(n, m) points in 2 to 4 dimensions, half of the time on a coarse grid, where ties and duplicates abound."""
    shape = (draw(st.integers(1, most)), draw(st.integers(2, 4)))
    grid = st.integers(-2, 3).map(float)
    fine = st.floats(-100, 100, allow_nan=False, width=32)
    found = draw(arrays(float, shape, elements=draw(st.sampled_from([grid, fine]))))
    repeated = draw(st.lists(st.integers(0, shape[0] - 1), max_size=3))
    return np.concatenate([found, found[repeated]])


@given(points())
@settings(max_examples=200)
def test_non_dominated_agrees_with_moocore(cloud: np.ndarray):
    theirs = moocore.is_nondominated(cloud, maximise=True, keep_weakly=True)
    np.testing.assert_array_equal(non_dominated(cloud), theirs)


@given(points())
@settings(max_examples=100)
def test_ranks_agree_with_moocore(cloud: np.ndarray):
    np.testing.assert_array_equal(ranks(cloud), moocore.pareto_rank(cloud, maximise=True))


@given(points(most=14))
@settings(max_examples=150)
def test_hypervolume_agrees_with_moocore(cloud: np.ndarray):
    for reference in (
        np.full(cloud.shape[1], -1.0),
        cloud.min(0),
        cloud[0],
        np.full(cloud.shape[1], -101.0),
    ):
        theirs = moocore.hypervolume(cloud, ref=reference, maximise=True)
        assert hypervolume(cloud, reference) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@given(points(most=6), points(most=6))
def test_dominated_by_is_the_definition(cloud: np.ndarray, others: np.ndarray):
    m = min(cloud.shape[1], others.shape[1])
    cloud, others = cloud[:, :m], others[:, :m]
    expected = [[all(o >= p) and any(o > p) for o in others] for p in cloud]
    np.testing.assert_array_equal(dominated_by(cloud, others), expected)


@given(points(most=12))
def test_hypervolume_ignores_order_copies_and_dominated_points(cloud: np.ndarray):
    reference = cloud.min(0) - 1
    volume = hypervolume(cloud, reference)
    assert volume == pytest.approx(hypervolume(cloud[::-1], reference), rel=1e-12)
    assert volume == pytest.approx(hypervolume(cloud[non_dominated(cloud)], reference), rel=1e-12)
    assert volume == pytest.approx(
        hypervolume(np.concatenate([cloud, cloud]), reference), rel=1e-12
    )
    assert volume >= max(np.prod(cloud - reference, axis=1)) * (1 - 1e-12)


def test_hypervolume_of_integer_boxes_is_a_count():
    """Unit cells below integer points, counted one by one, in 1 to 4 dimensions."""
    rng = np.random.default_rng(1)
    for m in (1, 2, 3, 4):
        cloud = rng.integers(-1, 5, (8, m)).astype(float)
        cells = itertools.product(range(4), repeat=m)
        count = sum(any((np.array(cell) + 1 <= p).all() for p in cloud) for cell in cells)
        assert hypervolume(cloud, np.zeros(m)) == count


def test_hypervolume_by_hand():
    assert hypervolume(np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]]), np.zeros(2)) == 6
    assert (
        hypervolume(np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]]), np.array([1.0, 1.0])) == 1
    )  # on the edge counts nothing
    assert hypervolume(np.array([[1.0, 1.0]]), np.array([2.0, 0.0])) == 0
    assert hypervolume(np.empty((0, 2)), np.zeros(2)) == 0


def test_crowding_by_hand():
    """Deb et al. 2002, section III-B: the sum over objectives of the gap between both neighbours, by the range."""
    front = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 2.0], [4.0, 0.0]])
    np.testing.assert_allclose(crowding(front), [np.inf, 3 / 4 + 2 / 4, 3 / 4 + 3 / 4, np.inf])
    assert crowding(np.ones((3, 2)))[1] == 0


@pytest.mark.parametrize("function", [non_dominated, ranks])
def test_no_points(function):
    assert function(np.empty((0, 3))).shape == (0,)


@st.composite
def fronts(draw: st.DrawFn) -> np.ndarray:
    """(s, k, 3): points of several samples, half of the time on a coarse grid."""
    grid, fine = st.integers(-2, 3).map(float), st.floats(-3, 3, allow_nan=False, width=32)
    shape = (draw(st.integers(1, 4)), draw(st.integers(0, 12)), 3)
    return draw(arrays(float, shape, elements=draw(st.sampled_from([grid, fine]))))


@settings(max_examples=100, deadline=None)
@given(fronts(), st.integers(0, 2**31))
def test_boxes_hold_once_what_no_point_of_a_sample_dominates(samples: np.ndarray, seed: int):
    reference, new = np.full(3, -1.0), np.random.default_rng(seed).normal(0.5, 1.5, (10, 3))
    lower, upper = boxes(samples, reference)
    for low, high, front in zip(lower, upper, samples, strict=True):
        gain = np.maximum(np.minimum(high, new[:, None]) - low, 0).prod(-1).sum(-1)
        before = hypervolume(front, reference)
        added = [hypervolume(np.vstack([front, p]), reference) - before for p in new]
        np.testing.assert_allclose(gain, added, atol=1e-9)


@given(points(), st.integers(0, 40))
@settings(max_examples=100)
def test_many_points_are_sorted_as_few_are_compared(cloud: np.ndarray, enough: int):
    """The way of large clouds gives what comparing all pairs gives, ties and copies included."""
    few = non_dominated(cloud), ranks(cloud), ranks(cloud, enough), ranks(cloud[:, :1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pareto, "MAX_PAIRWISE_POINTS", 0)
        many = non_dominated(cloud), ranks(cloud), ranks(cloud, enough), ranks(cloud[:, :1])
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b)


@given(points(most=20))
@settings(max_examples=100)
def test_slices_and_sweeps_agree_on_three_objectives(cloud: np.ndarray):
    cloud = cloud[:, :3]
    sliced = hypervolume(cloud, cloud.min(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pareto, "MAX_SLICED_POINTS", 0)
        assert hypervolume(cloud, cloud.min(0)) == pytest.approx(sliced, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("m", [4, 6])
def test_hypervolume_of_many_objectives_by_inclusion_and_exclusion(m: int):
    cloud = np.random.default_rng(m).random((9, m))
    volume = 0.0
    for size in range(1, len(cloud) + 1):
        for subset in itertools.combinations(cloud, size):
            volume -= (-1) ** size * np.prod(np.min(subset, axis=0))
    assert hypervolume(cloud, np.zeros(m)) == pytest.approx(volume, rel=1e-11)


@given(points(), st.integers(1, 7))
@settings(max_examples=100)
def test_a_growing_front_has_the_hypervolume_of_all_to_the_digit(cloud: np.ndarray, at_a_time: int):
    reference = cloud.min(0) - 1
    front = GrowingFront(reference)
    for end in range(at_a_time, len(cloud) + at_a_time, at_a_time):
        found = front.add(cloud[end - at_a_time : end])
        assert found == hypervolume(cloud[:end], reference)
        assert front.add(cloud[:0]) == found


def test_a_hundred_thousand_points_take_no_memory_of_their_square():
    cloud = np.random.default_rng(0).random((100_000, 3))
    front = cloud[non_dominated(cloud)]
    assert len(front) < 200
    assert not dominated_by(front, front).any()
    assert (dominated_by(cloud, front).any(1) | (cloud[:, None] == front).all(2).any(1)).all()
    assert (ranks(cloud, 200) == 0).sum() == len(front)


@given(points(), points(most=6))
@settings(max_examples=200)
def test_improvements_are_differences_of_hypervolumes(front: np.ndarray, new: np.ndarray):
    m = min(front.shape[1], new.shape[1])
    front, new = front[:, :m], new[:, :m]
    reference = np.full(m, -3.0)
    before = hypervolume(front, reference)
    after = [hypervolume(np.vstack([front, [point]]), reference) for point in new]
    found = improvements(new, front, reference)
    np.testing.assert_allclose(found, np.array(after) - before, rtol=1e-9, atol=1e-9 * max(after))
    np.testing.assert_array_equal(
        improvements(new, front[:0], reference) > 0, (new > reference).all(1)
    )
