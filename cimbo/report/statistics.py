"""The few statistics a report needs: ranks, their correlations, and whether intervals held what they promised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Z90 = 1.6448536269514722  # half-width of the central 90 % interval of a normal distribution


def ranks(values: Array) -> Array:
    """(n,) ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def rank_correlation(x: Array, y: Array) -> float | None:
    """Spearman's rho, None where either never changes."""
    a, b = (ranks(v) - (len(v) + 1) / 2 for v in (x, y))
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else None


def correlation_ratio(groups: NDArray[np.intp], y: Array) -> float | None:
    """Share (as a root, 0 to 1) of the spread of y's ranks that lies between groups; None where nothing varies."""
    r = ranks(y) - (len(y) + 1) / 2
    total = float(r @ r)
    members = [r[groups == g] for g in np.unique(groups)]
    if total <= 0 or len(members) < 2:
        return None
    return math.sqrt(sum(len(m) * float(m.mean()) ** 2 for m in members) / total)


def chance(n: int, groups: int = 2) -> float:
    """What |rho| (two groups) or the correlation ratio exceeds by chance alone once in 20 times."""
    d = groups - 1
    # The 95 % quantile of a chi-squared distribution, after Wilson and Hilferty.
    quantile = d * (1 - 2 / (9 * d) + 1.645 * math.sqrt(2 / (9 * d))) ** 3 if d > 1 else 1.96**2
    return min(1.0, math.sqrt(quantile / max(n - 1, 1)))


def kendall(x: Array, y: Array) -> float | None:
    """Kendall's tau-b, None where either never changes."""
    agree = pairs_x = pairs_y = 0.0
    for i in range(1, len(x)):
        dx, dy = np.sign(x[i] - x[:i]), np.sign(y[i] - y[:i])
        agree += float(dx @ dy)
        pairs_x += float(np.abs(dx).sum())
        pairs_y += float(np.abs(dy).sum())
    size = math.sqrt(pairs_x * pairs_y)
    return agree / size if size > 0 else None


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
