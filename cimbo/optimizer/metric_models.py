"""What stands in for one metric: a fitted predictor, or the metric itself where it is exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.optimizer.views import AnalyticFunction, Inputs, View, of_rows
from cimbo.problem.space import Rows, SearchSpace

Array = NDArray[np.float64]
# Values further from the median, in median absolute deviations, are not modelled: they are no
# measurements of the same thing.
OUTLIER_DEVIATIONS = 1e3
# A metric to be maximised is modelled as its logarithm where its largest value is more than so many times the smallest.
LOGARITHMIC_RANGE = 30
# The same on the bad side: values further away are drawn in to this distance. They say that a
# design failed; how badly does not matter.
COLLAPSE_DEVIATIONS = 5.0
# Deviations below this share of the values are rounding: values drawn in on such a scale would meet the edge.
LEAST_DEVIATION = 1e-9


class Surrogate(Protocol):
    """One metric in modelled units at rows (n, d)."""

    @property
    def log(self) -> bool:
        """Whether modelled units are the logarithm of natural ones."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether it predicts what it has not seen."""
        ...

    @property
    def noise(self) -> float:
        """Standard deviation of a measurement around the metric."""
        ...

    def mean(self, inputs: Inputs) -> Array:
        """Predict the mean alone, which costs less than ``mean_and_std``.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means in modelled units, (n,).
        """
        ...

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Predict mean and standard deviation of the noise-free metric.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means and standard deviations in modelled units, (n,) each.
        """
        ...

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Draw joint posterior samples of the noise-free metric.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        ...


def modelled(values: Array, *, log: bool) -> Array:
    """Bring a metric into modelled units.

    Values absurdly far from the others are brought to the edge of what is not: an evaluator's -1e9
    for "it went wrong" must not flatten everything else. The edge is OUTLIER_DEVIATIONS median
    absolute deviations from the median.

    Args:
        values: The metric in its natural unit, (n,); above 0 where ``log`` is set.
        log: Whether modelled units are logarithms.

    Returns:
        Values in modelled units, (n,).
    """
    if log:
        values = np.log(values)
    middle = np.median(values)
    deviation = float(np.median(np.abs(values - middle)))
    reach = OUTLIER_DEVIATIONS * deviation
    if reach > 0:
        return np.clip(values, middle - reach, middle + reach)
    return values


@dataclass(frozen=True)
class Compression:
    """Draws in values that are far worse than the others, for designs that collapse say little.

    An accuracy of 10 % among others around 90 % makes a process believe in noise of some points
    and in slopes that are not there, just where differences of half a point decide. Beyond
    ``edge``, distances count on a logarithmic scale; their order stays.

    Attributes:
        sign: +1 where the metric is maximised, -1 where it is minimised.
        edge: ``sign`` times the value from which on values are drawn in.
        scale: Distance that counts as one, in the metric's unit, above 0.
    """

    sign: float
    edge: float
    scale: float

    @classmethod
    def of(
        cls,
        values: Array,
        goal: str | None,
        limits: Sequence[float] = (),
    ) -> Compression:
        """Find the edge for a metric.

        Args:
            values: Measurements in natural units, (n,).
            goal: "max" or "min"; None where neither is wanted, and nothing is drawn in.
            limits: Bounds and reference of the metric: the edge is no better than any of them, so
                that designs stay on their side of each.

        Returns:
            The compression; its edge is COLLAPSE_DEVIATIONS median absolute deviations from the
            median, or infinitely bad where most values are equal.
        """
        sign = -1.0 if goal == "min" else 1.0
        scores = sign * values
        middle = float(np.median(scores))
        scale = float(np.median(np.abs(scores - middle)))
        if goal is None or scale <= LEAST_DEVIATION * float(np.abs(values).max()):
            return cls(sign, -math.inf, 1.0)
        edge = middle - COLLAPSE_DEVIATIONS * scale
        return cls(sign, min([edge, *(sign * limit for limit in limits)]), scale)

    def __call__(self, values: Array) -> Array:
        """Draw values in.

        Args:
            values: In natural units, (n,).

        Returns:
            The same where they are better than the edge, (n,).
        """
        beyond = np.maximum(self.edge - self.sign * values, 0.0)
        return values + self.sign * (beyond - self.scale * np.log1p(beyond / self.scale))


def logarithmic(y: Array, goal: str | None) -> bool:
    """Decide whether measurements are modelled as logarithms.

    They are where all are positive, and either they are not to be maximised or the largest is more
    than 30 times the smallest.

    Args:
        y: Measurements in their natural unit, (n,).
        goal: "min" or "max"; None where the metric is no objective.

    Returns:
        Whether logarithms are taken.
    """
    if not (y > 0).all():
        return False
    return bool(goal != "max" or y.max() > LOGARITHMIC_RANGE * y.min())


@dataclass(frozen=True)
class FittedSurrogate:
    """A predictor over a view of the design. ``trusted``: whether it predicted data it had not seen."""

    model: predictors.Model
    view: View
    trusted: bool = True

    @property
    def log(self) -> bool:
        """Whether the model's target is a logarithm."""
        return self.model.schema.log

    @property
    def noise(self) -> float:
        """Standard deviation of a measurement, as the model knows it."""
        return math.sqrt(self.model.noise_variance)

    def mean(self, inputs: Inputs) -> Array:
        """Predict the mean alone.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means in modelled units, (n,).
        """
        return self.model.mean(inputs.encoded(self.view))

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Predict mean and standard deviation of the noise-free metric.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means and standard deviations in modelled units, (n,) each.
        """
        mean, variance = self.model.latent_posterior(inputs.encoded(self.view))
        return mean, np.sqrt(variance)

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Draw joint posterior samples of the noise-free metric.

        Their spread is widened half as much as that of the intervals that are reported: these hold
        what a search meets later on, and with half of that it finds its way sooner.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        half_widened = 0.5 * (1.0 + self.model.std_scale)
        model = replace(self.model, std_scale=half_widened)
        return model.sample_latent(inputs.encoded(self.view), n, seed)


@dataclass(frozen=True)
class AnalyticMetric:
    """A metric that is exact and cheap: no uncertainty, nothing to learn. Values are kept, as a search asks again."""

    metric: str
    compute: AnalyticFunction
    log: bool
    trusted: bool = field(default=True, init=False)
    noise: float = field(default=0.0, init=False)
    _kept: dict[bytes, float] = field(default_factory=dict, init=False, repr=False)

    def mean(self, inputs: Inputs) -> Array:
        """Compute the metric, or look it up for rows that were asked before.

        Args:
            inputs: The designs, n rows.

        Returns:
            The metric in modelled units, (n,).
        """
        keys = [row.tobytes() for row in inputs.rows]
        new = {key: i for i, key in enumerate(keys) if key not in self._kept}
        if new:
            values = self._computed(inputs.space, inputs.rows[list(new.values())])
            self._kept.update(zip(new, values.tolist(), strict=True))
        return np.array([self._kept[key] for key in keys])

    def _computed(self, space: SearchSpace, rows: Rows) -> Array:
        """(n,) the metric of rows (n, d), in modelled units."""
        values = np.asarray(of_rows(self.compute, space, rows), float)
        if self.log:
            return np.asarray(np.log(np.maximum(values, np.finfo(float).tiny)))
        return values

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Compute the metric; there is no uncertainty.

        Args:
            inputs: The designs, n rows.

        Returns:
            The metric in modelled units, and zeros, (n,) each.
        """
        return self.mean(inputs), np.zeros(len(inputs.rows))

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Repeat the metric: every sample is the same.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: Not looked at.

        Returns:
            The metric in modelled units, (n, k), read-only.
        """
        return np.broadcast_to(self.mean(inputs), (n, len(inputs.rows)))
