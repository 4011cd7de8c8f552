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
    ends are positive. No such distribution has a mean of 0 or less. There, and for any other
    metric, the interval is that of the normal distribution, whose ends may be negative.

    Args:
        metric: Name of the metric, which ends in its unit.
        mean: Predicted means (n,), in that unit.
        std: Predicted standard deviations (n,), likewise.

    Returns:
        Lower and upper ends (n,), in that unit.
    """
    means = np.asarray(mean, float)
    stds = np.asarray(std, float)
    low = means - NORMAL_QUANTILE_95 * stds
    high = means + NORMAL_QUANTILE_95 * stds
    if not is_amount(metric):
        return low, high
    has_log_normal = means > 0
    safe_means = np.where(has_log_normal, means, 1.0)  # 1: any positive number, not used below
    log_std = np.sqrt(np.log1p((stds / safe_means) ** 2))
    log_mean = np.log(safe_means) - log_std**2 / 2
    low = np.where(has_log_normal, np.exp(log_mean - NORMAL_QUANTILE_95 * log_std), low)
    high = np.where(has_log_normal, np.exp(log_mean + NORMAL_QUANTILE_95 * log_std), high)
    return low, high
