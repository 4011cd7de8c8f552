"""What is believed of designs that were measured in part: what surrogates make of the measurements of all designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cimbo.optimizer.surrogates import Inputs, Surrogate
from cimbo.problem.fidelity import deviations
from cimbo.problem.space import Rows, SearchSpace

Metrics = Mapping[str, float]


def believed(
    space: SearchSpace, rows: Rows, metrics: Sequence[Metrics], fitted: Mapping[str, Surrogate]
) -> Sequence[Metrics]:
    """Replace measurements that state a deviation by what surrogates expect of the designs.

    The best of many uncertain measurements are not those of the best designs, but those that deviate
    upwards. A search that started from them would start from the wrong ones.

    Args:
        space: The space of the designs.
        rows: Canonical rows of n designs, (n, d).
        metrics: What each of them measured.
        fitted: The surrogate of each metric, fitted to these measurements with their deviations.

    Returns:
        The metrics of each design.
    """
    found: list[dict[str, float]] = [dict(measured) for measured in metrics]
    for name, stated in deviations(metrics, fitted).items():
        surrogate = fitted[name]
        uncertain = np.flatnonzero(stated > 0)
        values = np.array([metrics[int(i)][name] for i in uncertain])
        stds = stated[uncertain]
        if surrogate.log:
            stds, values = stds / values, np.log(values)
        means = surrogate.mean(Inputs(space, rows[uncertain]))
        # A design deviates from what its genes tell by the noise of the surrogate
        weights = surrogate.noise**2 / (surrogate.noise**2 + stds**2)
        means += weights * (values - means)
        if surrogate.log:
            means = np.exp(means)
        for i, mean in zip(uncertain, means, strict=True):
            found[i][name] = float(mean)
    return found
