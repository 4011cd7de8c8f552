"""The few statistics a report needs: ranks, their correlations, and whether intervals held what they promised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Z90 = float(
    stats.norm.ppf(0.95)
)  # half-width of the central 90 % interval of a normal distribution


def rank_correlation(x: Array, y: Array) -> float | None:
    """Spearman's rho of two samples (n,), None where either never changes."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(stats.spearmanr(x, y).statistic)


def correlation_ratio(groups: NDArray[np.intp], y: Array) -> float | None:
    """Share (as a root, 0 to 1) of the spread of y's ranks that lies between groups; None where nothing varies."""
    ranks = stats.rankdata(y) - (len(y) + 1) / 2
    total = float(ranks @ ranks)
    members = [ranks[groups == g] for g in np.unique(groups)]
    if total <= 0 or len(members) < 2:
        return None
    return math.sqrt(sum(len(m) * float(m.mean()) ** 2 for m in members) / total)


def chance(n: int, groups: int = 2) -> float:
    """What |rho| (two groups) or the correlation ratio exceeds by chance alone once in 20 times, of ``n`` designs."""
    quantile = float(stats.chi2.ppf(0.95, groups - 1))
    return min(1.0, math.sqrt(quantile / max(n - 1, 1)))


def kendall(x: Array, y: Array) -> float | None:
    """Kendall's tau-b of two samples (n,), None where either never changes."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(stats.kendalltau(x, y).statistic)


def rmse(predicted: Array, measured: Array) -> float:
    """Root of the mean squared error, in the metric's unit."""
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean((predicted - measured) ** 2)))


def coverage(predicted: Array, std: Array, measured: Array) -> float | None:
    """Share of measurements within the predicted 90 % interval, None where nothing was uncertain."""
    if not (std > 0).any():
        return None
    # A value that was computed (std 0) counts as held although a logarithm and back moved its last digit.
    return float(np.mean(np.abs(measured - predicted) <= Z90 * std + 1e-9 * np.abs(measured)))
