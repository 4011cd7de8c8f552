"""Intervals of predictions: those of amounts stay above zero."""

import math

import numpy as np
import pytest

from cimbo.problem.intervals import interval_90


def test_the_interval_of_an_amount_is_that_of_its_logarithm():
    """1,384 us with a deviation of 1,216 us: a normal interval would begin at -616 us."""
    low, high = interval_90("latency_us", [1384.0], [1216.0])
    deviation = math.sqrt(math.log(1 + (1216 / 1384) ** 2))
    median = 1384 * math.exp(-(deviation**2) / 2)
    assert low[0] == pytest.approx(median * math.exp(-1.6448536 * deviation), rel=1e-6)
    assert high[0] == pytest.approx(median * math.exp(1.6448536 * deviation), rel=1e-6)
    draws = np.random.default_rng(0).lognormal(math.log(median), deviation, 20_000)
    assert np.mean((draws >= low[0]) & (draws <= high[0])) == pytest.approx(0.9, abs=0.01)


def test_the_interval_of_anything_else_is_normal():
    low, high = interval_90("accuracy", [88.0], [1.0])
    assert (low[0], high[0]) == pytest.approx((88 - 1.6448536, 88 + 1.6448536))


def test_what_is_computed_is_its_own_interval():
    low, high = interval_90("area_mm2", [2.0, -1.0], [0.0, 0.0])
    np.testing.assert_allclose([low, high], [[2.0, -1.0], [2.0, -1.0]])
