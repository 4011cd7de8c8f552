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
        parts: A surrogate for each metric that it follows from; what is left are genes.
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
        """Standard deviation of a measurement, where the parts' logarithms are summed; of other expressions a guess."""
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
        known = {name: part.mean_and_std(inputs) for name, part in self.parts.items()}
        means = {name: mean for name, (mean, _) in known.items()}
        centre = self._combined(inputs, means)
        variance = np.zeros_like(centre)
        for name, (mean, std) in known.items():
            moved = self._combined(inputs, {**means, name: mean + std})
            variance += (moved - centre) ** 2
        return centre, np.sqrt(variance)

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Draw samples of each part by itself, and combine them.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        drawn = {}
        for number, (name, part) in enumerate(self.parts.items()):
            drawn[name] = part.samples(inputs, n, seed + number)
        return self._combined(inputs, drawn)

    def _combined(
        self,
        inputs: Inputs,
        modelled_parts: Mapping[str, Array],
    ) -> Array:
        """The expression in modelled units, of parts in theirs, (n,) or (samples, n)."""
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
        """The parts in natural units."""
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
    """Learn a derived metric by its parts, where each is a measured metric or an ordered gene.

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
