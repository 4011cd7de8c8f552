"""What cheap values say of full measurements: a bias is corrected, and how sure that is, is told rightly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo.problem.calibration import MIN_PAIRS, _robust_line, calibrations

BIAS, EXPONENT, NOISE = 0.7, 0.9, 0.05


def biased_pairs(rng: np.random.Generator, count: int) -> list[tuple[dict, dict]]:
    """Latencies in ms of a short and of a long run."""
    full = np.exp(rng.normal(0.0, 0.5, count))
    cheap = BIAS * full**EXPONENT * np.exp(rng.normal(0.0, NOISE, count))
    return [({"latency_ms": a}, {"latency_ms": b}) for a, b in zip(cheap, full, strict=True)]


def test_nothing_is_said_of_a_metric_with_too_few_pairs():
    pairs = biased_pairs(np.random.default_rng(0), MIN_PAIRS)
    assert "latency_ms" in calibrations(pairs)
    assert not calibrations(pairs[1:])
    assert not calibrations([*pairs[1:], pairs[1]])  # one network on two chips is one pair


def test_errors_of_new_designs_are_as_large_as_is_said():
    rng = np.random.default_rng(1)
    scaled = []
    for _ in range(200):
        pairs = biased_pairs(rng, 32)
        line = calibrations(pairs[:12])["latency_ms"]
        for cheap, full in pairs[12:]:
            estimate = line.estimate(cheap["latency_ms"])
            error = math.log(full["latency_ms"] / estimate.mean)
            scaled.append(error * estimate.mean / estimate.std)
    assert np.std(scaled) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.abs(scaled) < 1.96) == pytest.approx(0.95, abs=0.02)
    assert abs(np.mean(scaled)) < 0.1


def test_one_run_that_went_wrong_moves_the_line_little_and_is_told():
    pairs = biased_pairs(np.random.default_rng(2), 20)
    line = calibrations(pairs)["latency_ms"]
    pairs[3] = ({"latency_ms": 9.0}, pairs[3][1])
    other = calibrations(pairs)["latency_ms"]
    assert other.estimate(0.7).mean == pytest.approx(line.estimate(0.7).mean, rel=0.05)
    assert other.estimate(0.7).std > 2 * line.estimate(0.7).std


def test_a_metric_that_the_setting_does_not_touch_is_exact():
    areas = [({"area_mm2": 2.0 + i % 3}, {"area_mm2": 2.0 + i % 3}) for i in range(MIN_PAIRS)]
    estimate = calibrations(areas)["area_mm2"].estimate(7.0)
    assert (estimate.mean, estimate.std) == (7.0, 0.0)


def test_values_around_zero_have_a_line_without_logarithms():
    values = np.linspace(-3.0, 3.0, 12)
    pairs = [({"loss_db": float(v)}, {"loss_db": float(2.0 * v + 1.0)}) for v in values]
    estimate = calibrations(pairs)["loss_db"].estimate(-1.0)
    assert estimate.mean == pytest.approx(-1.0, abs=1e-6)
    assert estimate.std < 1e-6


def test_a_line_of_logarithms_says_nothing_of_a_value_below_zero():
    line = calibrations(biased_pairs(np.random.default_rng(3), 12))["latency_ms"]
    assert line.estimate(-1.0) is None


def test_designs_that_are_all_alike_are_taken_to_have_a_constant_factor():
    rng = np.random.default_rng(4)
    pairs = [
        ({"energy_uj": 1.0 + f / 1000}, {"energy_uj": 2.0 + g / 50})
        for f, g in rng.normal(size=(10, 2))
    ]
    line = calibrations(pairs)["energy_uj"]
    assert line.estimate(2.0).mean == pytest.approx(4.0, rel=0.25)
    assert line.estimate(2.0).std > 3 * line.estimate(1.0).std  # far from all that was seen


@given(
    slope=st.floats(-5.0, -0.5) | st.floats(3.0, 8.0),
    level=st.floats(-100.0, 100.0),
    seed=st.integers(0, 1000),
)
def test_pairs_that_contradict_the_expected_slope_decide_alone(slope, level, seed):
    rng = np.random.default_rng(seed)
    cheap = rng.uniform(-3.0, 3.0, 16)
    full = level + slope * cheap + rng.normal(0.0, 0.05, 16)
    pairs = [({"score": a}, {"score": b}) for a, b in zip(cheap, full, strict=True)]
    estimate = calibrations(pairs)["score"].estimate(2.0)
    assert estimate.mean == pytest.approx(level + slope * 2.0, abs=0.2)
    assert estimate.std < 0.15


def test_a_short_run_that_gives_the_negative_of_a_latency_is_calibrated():
    rng = np.random.default_rng(3)
    full = np.exp(rng.normal(1.0, 0.6, 12))
    pairs = [({"latency_ms": -0.8 * v}, {"latency_ms": v}) for v in full.tolist()]
    estimate = calibrations(pairs)["latency_ms"].estimate(-4.0)
    assert estimate.mean == pytest.approx(5.0, rel=1e-3)


def test_a_line_that_pairs_do_not_contradict_keeps_the_expected_slope():
    """Golden values of the line with the prior, which noise alone must not drop."""
    changed = 0
    for seed in range(100):
        pairs = biased_pairs(np.random.default_rng(seed), MIN_PAIRS)
        logs = np.log([[a["latency_ms"], b["latency_ms"]] for a, b in pairs])
        line = _robust_line(logs[:, 0], logs[:, 1], is_log=True, prior_weight=1.0)
        changed += calibrations(pairs)["latency_ms"].slope != pytest.approx(line.slope, abs=1e-9)
    assert changed == 0
