"""The few statistics a report needs: ranks, their correlations, and whether intervals held what they promised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cimbo.problem.intervals import interval_90

Array = NDArray[np.float64]


def rank_correlation(x: Array, y: Array) -> float | None:
    """Compute Spearman's rho of two samples.

    Args:
        x: One sample (n,).
        y: The other (n,).

    Returns:
        Rho, -1 to 1; None where either never changes or n is below 2.
    """
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(stats.spearmanr(x, y).statistic)


def correlation_ratio(groups: NDArray[np.intp], y: Array) -> float | None:
    """Compute the share of the spread of ranks that lies between groups.

    Args:
        groups: Number of the group of each value (n,).
        y: The values (n,); their ranks count.

    Returns:
        The root of the share, 0 to 1; None where all values are equal or there is one group.
    """
    ranks = stats.rankdata(y) - (len(y) + 1) / 2
    total = float(ranks @ ranks)
    members = [ranks[groups == g] for g in np.unique(groups)]
    if total <= 0 or len(members) < 2:
        return None
    between = sum(len(group) * float(group.mean()) ** 2 for group in members)
    return math.sqrt(between / total)


def chance(n: int, groups: int = 2) -> float:
    """Compute what an association exceeds by chance alone once in 20 times.

    Args:
        n: How many designs.
        groups: How many groups the correlation ratio has; 2 for a rank correlation.

    Returns:
        The limit of |rho| or of the correlation ratio, at most 1: the root of the 95 % quantile of
        chi-square with ``groups`` - 1 degrees of freedom over n - 1.
    """
    quantile = float(stats.chi2.ppf(0.95, groups - 1))
    return min(1.0, math.sqrt(quantile / max(n - 1, 1)))


def kendall(x: Array, y: Array) -> float | None:
    """Compute Kendall's tau-b of two samples.

    Args:
        x: One sample (n,).
        y: The other (n,).

    Returns:
        Tau-b, -1 to 1; None where either never changes or n is below 2.
    """
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(stats.kendalltau(x, y).statistic)


def rmse(predicted: Array, measured: Array) -> float:
    """Compute the root of the mean squared error.

    Args:
        predicted: Predictions (n,).
        measured: Measurements (n,), in the same unit.

    Returns:
        The error in that unit; infinite where its square is too large for a float.
    """
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean((predicted - measured) ** 2)))


def coverage(predicted: Array, std: Array, measured: Array, metric: str = "") -> float | None:
    """Compute the share of measurements within the predicted 90 % interval.

    Args:
        predicted: Predicted means (n,).
        std: Predicted standard deviations (n,); 0 for what was computed.
        measured: Measurements (n,).
        metric: Name of the metric; the interval of an amount is that of its logarithm.

    Returns:
        The share, 0 to 1; None where nothing was uncertain.
    """
    if not (std > 0).any():
        return None
    # A value that was computed (std 0) counts as held although a logarithm and back moved its last digit.
    rounding = 1e-9 * np.abs(measured)
    low, high = interval_90(metric, predicted, std)
    return float(np.mean((low - rounding <= measured) & (measured <= high + rounding)))
