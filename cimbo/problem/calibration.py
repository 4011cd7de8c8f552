"""What a cheap measurement says of the full one: a straight line through the designs that were measured both ways.

A cheap setting may be biased, such as a short run of a simulator that leaves out how a pipeline fills. The line corrects the
bias, and the errors that it makes of designs left out of its fit say how sure it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.problem.pareto import Array

# Designs measured both ways before a cheap value says anything of the full one
MIN_PAIRS = 8
# Standard deviation of the prior on the slope around 1, that of a cheap setting whose bias is a constant or a factor.
# It decides alone where the pairs lie close together.
SLOPE_PRIOR_STD = 0.3
# The prior is dropped where errors of pairs left out are below this share of those with it: the pairs contradict it, as where
# a short run gives the negative of a latency. Data that the prior fits hardly ever come so low.
CONTRADICTED_SHARE = 0.5
# Residuals above so many deviations count less (Huber, "Robust Estimation of a Location Parameter", 1964)
HUBER_LIMIT = 2.0
MAD_TO_STD = (
    1.4826  # from the median absolute deviation to the standard deviation of a normal distribution
)
N_REWEIGHTINGS = 10
# Deviations below this share of the values are rounding
LEAST_RELATIVE_DEVIATION = 1e-9

__all__ = ["MIN_PAIRS", "Calibration", "Estimate", "calibrations"]


@dataclass(frozen=True)
class Estimate:
    """What is known of a full measurement.

    Attributes:
        mean: Its expected value, in the metric's unit.
        std: Standard deviation around it; 0 where the cheap setting gives what the full one does.
    """

    mean: float
    std: float


@dataclass(frozen=True)
class Calibration:
    """A line from a cheap value x of one metric to the full value y, on the logarithms of both where all are above 0.

    Attributes:
        is_exact: Whether every pair has twice the same value, so that the cheap setting does not touch this metric.
        is_log: Whether x and y are taken as logarithms.
        center: Weighted mean of x over the pairs.
        intercept: y of the line at ``center``.
        slope: Of the line.
        weight: Sum of the pairs' weights.
        spread: Weighted sum of squares of x about ``center``, with that of the prior on the slope.
        deviation: Root mean square of the errors of pairs left out, one at a time.
    """

    is_exact: bool
    is_log: bool = False
    center: float = 0.0
    intercept: float = 0.0
    slope: float = 1.0
    weight: float = 1.0
    spread: float = 1.0
    deviation: float = 0.0

    def estimate(self, cheap: float) -> Estimate | None:
        """Say what a cheap value tells of the full measurement.

        Args:
            cheap: The value at the cheap setting, in the metric's unit.

        Returns:
            The full measurement; None where a line of logarithms is asked about a value that is not above 0.
        """
        if self.is_exact:
            return Estimate(cheap, 0.0)
        if self.is_log and cheap <= 0:
            return None
        distance = (math.log(cheap) if self.is_log else cheap) - self.center
        mean = self.intercept + self.slope * distance
        std = self.deviation * math.sqrt(1.0 + 1.0 / self.weight + distance**2 / self.spread)
        if self.is_log:
            value = math.exp(mean)
            return Estimate(value, value * std)
        return Estimate(mean, std)


def calibrations(
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
) -> dict[str, Calibration]:
    """Fit a line for each metric that has enough pairs.

    Args:
        pairs: Metrics at the cheap setting and in full, of designs that were measured both ways.

    Returns:
        Metric to its line.
    """
    by_metric: dict[str, list[tuple[float, float]]] = {}
    for cheap, full in pairs:
        for name, value in cheap.items():
            if name in full:
                by_metric.setdefault(name, []).append((value, full[name]))
    found = {}
    for name, values in by_metric.items():
        line = _calibration(values)
        if line is not None:
            found[name] = line
    return found


def _calibration(pairs: Sequence[tuple[float, float]]) -> Calibration | None:
    """The line of one metric; None with too few pairs. Equal pairs, such as those of one network on two chips, count once."""
    if len(pairs) < MIN_PAIRS:
        return None
    if all(cheap == full for cheap, full in pairs):
        return Calibration(is_exact=True)
    distinct = np.array(sorted(set(pairs)))
    if len(distinct) < MIN_PAIRS:
        return None
    is_log = bool((distinct > 0).all())
    if is_log:
        distinct = np.log(distinct)
    x, y = distinct[:, 0], distinct[:, 1]
    line = _robust_line(x, y, is_log=is_log, prior_weight=1.0)
    if np.ptp(x) == 0.0:
        return line  # nothing but the prior says how steep it is
    free = _robust_line(x, y, is_log=is_log, prior_weight=0.0)
    if free.deviation < CONTRADICTED_SHARE * line.deviation:
        return free
    return line


def _robust_line(x: Array, y: Array, *, is_log: bool, prior_weight: float) -> Calibration:
    """The line through x and y (n,), by Huber's weights, with the prior on its slope times a weight of 0 or 1.

    Without the prior the line starts from least squares, as there is no slope that is likely beforehand.

    Returns:
        The line.
    """
    scale = 1.0 if is_log else max(float(np.abs(y).max()), 1.0)
    least = LEAST_RELATIVE_DEVIATION * scale
    difference = y - x  # its slope is that of y less 1, so that the prior is around 0
    center, mean, slope = float(x.mean()), float(np.median(difference)), 0.0
    if prior_weight == 0.0:
        slope = float((x - center) @ difference / ((x - center) @ (x - center)))
        mean = float(difference.mean())
    weights = np.ones(len(x))
    penalty = 0.0
    for _ in range(N_REWEIGHTINGS):
        residuals = difference - mean - slope * (x - center)
        deviation = max(MAD_TO_STD * float(np.median(np.abs(residuals))), least)
        weights = np.minimum(1.0, HUBER_LIMIT * deviation / np.maximum(np.abs(residuals), least))
        penalty = prior_weight * (deviation / SLOPE_PRIOR_STD) ** 2
        center = float(weights @ x / weights.sum())
        mean = float(weights @ difference / weights.sum())
        slope = float(
            weights @ ((x - center) * (difference - mean)) / _spread(x, center, weights, penalty)
        )
    spread = _spread(x, center, weights, penalty)
    # The error of a pair that is left out of a weighted fit is its residual over 1 - leverage
    leverage = weights * (1.0 / weights.sum() + (x - center) ** 2 / spread)
    left_out = (difference - mean - slope * (x - center)) / (1.0 - leverage)
    return Calibration(
        is_exact=False,
        is_log=is_log,
        center=center,
        intercept=center + mean,
        slope=1.0 + slope,
        weight=float(weights.sum()),
        spread=spread,
        deviation=max(math.sqrt(float(np.mean(left_out**2))), least),
    )


def _spread(x: Array, center: float, weights: Array, penalty: float) -> float:
    """Weighted sum of squares of x (n,) about its center, and the penalty of the prior on the slope."""
    return float(weights @ (x - center) ** 2) + penalty
