"""What a model predicts for rows: means, deviations and intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.model.renamed import renamed
from predictors.schema import Array

MAX_LOG_DEVIATION = 3.0  # beyond, a log-normal deviation is astronomical and tells nothing more
_OLD_NAMES = {"centre": "modelled_mean", "spread": "modelled_std"}


@dataclass(frozen=True)
class Prediction:
    """Predictions for n rows.

    Attributes:
        modelled_mean: (n,) means in modelled units: those of y, or of log y where ``log``.
        modelled_std: (n,) standard deviations in modelled units.
        log: Whether the logarithm of y is modelled.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> prediction = predictors.fit(rows, latency_ms, kind="gp").predict(rows)
        >>> prediction.mean.shape, prediction.std.shape
        ((12,), (12,))
        >>> low, high = prediction.interval(0.9)
        >>> bool((low < high).all())
        True
    """

    modelled_mean: Array
    modelled_std: Array
    log: bool = False

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return renamed(self, name, _OLD_NAMES)

    def __repr__(self) -> str:
        shown = []
        for mean, std in zip(self.mean[:3], self.std[:3], strict=True):
            shown.append(f"{mean:.4g} ± {std:.2g}")
        if len(self.mean) > len(shown):
            shown.append("...")
        return f"Prediction(n={len(self.mean)}: {', '.join(shown)})"

    @property
    def mean(self) -> Array:
        """(n,) in units of y. For a log target the median, which does not run away where the model is unsure."""
        if self.log:
            return np.exp(self.modelled_mean)
        return self.modelled_mean

    @property
    def std(self) -> Array:
        """(n,) standard deviation of a new measurement, in units of y (log-normal for a log target)."""
        if not self.log:
            return self.modelled_std
        deviation = np.minimum(self.modelled_std, MAX_LOG_DEVIATION)
        return _log_normal_std(self.modelled_mean, deviation**2)

    def interval(self, level: float = 0.9) -> tuple[Array, Array]:
        """Compute the central interval that holds a new measurement with a given probability.

        Args:
            level: The probability, between 0 and 1.

        Returns:
            Lower and upper end, each (n,), in units of y.
        """
        from scipy.stats import norm

        half_width = float(norm.ppf(0.5 + 0.5 * level)) * self.modelled_std
        lower = self.modelled_mean - half_width
        upper = self.modelled_mean + half_width
        if self.log:
            return np.exp(lower), np.exp(upper)
        return lower, upper


def _log_normal_std(log_mean: Array, log_variance: Array) -> Array:
    """(n,) standard deviation of a log-normal variable whose logarithm has this mean and variance, each (n,)."""
    mean = np.exp(log_mean + 0.5 * log_variance)
    relative = np.sqrt(np.expm1(log_variance))
    return np.asarray(mean * relative)
