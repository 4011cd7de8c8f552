"""The interval that holds 90 % of what a prediction may turn out to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimbo.problem.units import is_amount

NORMAL_QUANTILE_95 = 1.6448536269514722  # standard deviations; 5 % lie beyond it on either side


def interval_90(
    metric: str, mean: ArrayLike, std: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the ends of the interval that holds 90 % of a prediction.

    An amount (a time, an energy, an area, ...) is never below zero and is modelled by its logarithm:
    its interval is that of the log-normal distribution of this mean and standard deviation, whose
    ends are positive. Anything else is taken as normally distributed.

    Args:
        metric: Name of the metric, which ends in its unit.
        mean: Predicted means (n,), in that unit.
        std: Predicted standard deviations (n,), likewise.

    Returns:
        Lower and upper ends (n,), in that unit.
    """
    middle = np.asarray(mean, float)
    spread = np.asarray(std, float)
    low = middle - NORMAL_QUANTILE_95 * spread
    high = middle + NORMAL_QUANTILE_95 * spread
    if not is_amount(metric):
        return low, high
    is_positive = middle > 0
    safe = np.where(is_positive, middle, 1.0)
    deviation = np.sqrt(np.log1p((spread / safe) ** 2))
    median = np.log(safe) - deviation**2 / 2
    low = np.where(is_positive, np.exp(median - NORMAL_QUANTILE_95 * deviation), low)
    high = np.where(is_positive, np.exp(median + NORMAL_QUANTILE_95 * deviation), high)
    return low, high
