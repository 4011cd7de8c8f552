"""A derived metric whose parts are learned one by one: the expression of their surrogates.

Where nothing is known of a derived metric but the genes, its parts are simpler to learn than it is: after 30 evaluations of a
simulator of one's own, Kendall's tau of an energy-delay product was .47 by parts and .36 as a whole (docs/design/proposals.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.derived import DerivedMetrics

if TYPE_CHECKING:
    from cimbo.optimizer.surrogates import Inputs, Surrogate

Array = NDArray[np.float64]
LEAST_POSITIVE = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class ExpressionSurrogate:
    """A derived metric as the expression of its parts' surrogates.

    Attributes:
        metric: Its name.
        derived: The study's derived metrics.
        parts: A surrogate for each metric in the expression; its other names are genes.
        log: Whether modelled units are the logarithm of natural ones.
    """

    metric: str
    derived: DerivedMetrics
    parts: Mapping[str, Surrogate]
    log: bool

    @property
    def trusted(self) -> bool:
        """Whether every part predicts what it has not seen."""
        return all(part.trusted for part in self.parts.values())

    @property
    def noise(self) -> float:
        """Standard deviation of a measurement: root of the sum of the parts' squares, right for products of logarithmic parts.

        For other expressions it is a rough guess.
        """
        noises = [part.noise for part in self.parts.values() if part.log == self.log]
        return float(np.sqrt(np.sum(np.square(noises))))

    def mean(self, inputs: Inputs) -> Array:
        """Predict the expression at the parts' means.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means in modelled units, (n,).
        """
        means = {name: part.mean(inputs) for name, part in self.parts.items()}
        return self._combined(inputs, means)

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Predict the mean, and how far one deviation of each part moves it.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means and standard deviations in modelled units, (n,) each; the parts count as independent.
        """
        predicted = {name: part.mean_and_std(inputs) for name, part in self.parts.items()}
        means = {name: mean for name, (mean, _) in predicted.items()}
        at_means = self._combined(inputs, means)
        variance = np.zeros_like(at_means)
        for name, (mean, std) in predicted.items():
            with_part_moved = self._combined(inputs, {**means, name: mean + std})
            variance += (with_part_moved - at_means) ** 2
        return at_means, np.sqrt(variance)

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Draw samples of each part by itself, and combine them.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        samples = {}
        for number, (name, part) in enumerate(self.parts.items()):
            samples[name] = part.samples(inputs, n, seed + number)
        return self._combined(inputs, samples)

    def _combined(
        self,
        inputs: Inputs,
        modelled_parts: Mapping[str, Array],
    ) -> Array:
        """Evaluate the expression.

        Args:
            inputs: The designs, n rows, of which genes are read.
            modelled_parts: Name to values of each part, (n,) or (samples, n), in the part's modelled units.

        Returns:
            The derived metric in its modelled units, of the same shape.
        """
        values = self._natural_parts(modelled_parts)
        genes = inputs.space.encode(inputs.rows)
        for name in self.derived.parts(self.metric):
            if name not in values:
                values[name] = genes[:, inputs.space.column[name]]
        natural = np.asarray(self.derived.of_parts(self.metric, values), float)
        if self.log:
            return np.asarray(np.log(np.maximum(natural, LEAST_POSITIVE)))
        return natural

    def _natural_parts(self, modelled_parts: Mapping[str, Array]) -> dict[str, Array]:
        """Bring the parts from their modelled units to natural ones."""
        values = dict(modelled_parts)
        for name, value in modelled_parts.items():
            if self.parts[name].log:
                values[name] = np.exp(value)
        return values


def learned_parts(
    metric: str,
    derived: DerivedMetrics,
    inputs: Inputs,
    measured: Mapping[str, Array],
    fit: Callable[[str], Surrogate],
    *,
    log: bool,
) -> ExpressionSurrogate | None:
    """Learn a derived metric by its parts, if each of them is a measured metric or an ordered gene.

    Args:
        metric: The derived metric.
        derived: The study's derived metrics.
        inputs: The evaluated designs.
        measured: Metrics that every evaluation has, (n,) each, by name.
        fit: Gives the surrogate of a measured metric.
        log: Whether the metric is modelled as its logarithm.

    Returns:
        The surrogate; None where a part was not measured of every design.
    """
    ordered = {choice.name for choice in inputs.space.choices if choice.ordered}
    names = derived.parts(metric)
    if not all(name in measured or name in ordered for name in names):
        return None
    parts = {name: fit(name) for name in names if name in measured}
    if parts:
        return ExpressionSurrogate(metric, derived, parts, log)
    return None
