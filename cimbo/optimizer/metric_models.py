"""What stands in for one metric: a fitted predictor, or the metric itself where it is exact."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.optimizer.views import AnalyticFunction, Inputs, View, of_rows
from cimbo.problem.space import Rows, SearchSpace

Array = NDArray[np.float64]


class Surrogate(Protocol):
    """Predicts one metric of designs, in modelled units."""

    @property
    def log(self) -> bool:
        """Whether modelled units are the logarithm of natural ones."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether it predicted held-out measurements better than their mean does."""
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


@dataclass(frozen=True)
class FittedSurrogate:
    """A fitted predictor of one metric.

    Attributes:
        model: The predictor.
        view: The genes and features of a design that it sees.
        trusted: Whether it predicted held-out measurements better than their mean does.
    """

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

        Standard deviations of predictions are multiplied by ``std_scale``, so that reported intervals
        hold what a search meets later on. Samples are widened by half as much: searches with less
        widening found good designs sooner.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        halved_scale = 0.5 * (1.0 + self.model.std_scale)
        model = replace(self.model, std_scale=halved_scale)
        return model.sample_latent(inputs.encoded(self.view), n, seed)


@dataclass(frozen=True)
class AnalyticMetric:
    """A metric that is computed exactly and quickly, in the role of a surrogate without uncertainty.

    Attributes:
        metric: Its name.
        compute: Computes it of designs, in its natural unit.
        log: Whether modelled units are the logarithm of natural ones.
        trusted: True.
        noise: 0.
        _kept: Values by bytes of the row, in modelled units: a search asks for the same designs again.
    """

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
        row_of_new = {key: i for i, key in enumerate(keys) if key not in self._kept}
        if row_of_new:
            values = self._computed(inputs.space, inputs.rows[list(row_of_new.values())])
            self._kept.update(zip(row_of_new, values.tolist(), strict=True))
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
