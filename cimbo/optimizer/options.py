"""How ``Study.ask`` and ``Study.optimize`` choose. All of it may change from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cimbo.optimizer.surrogates import Exact, View

WARM = 8  # Sobol designs that suffice where older predictors know every metric
COSTLY = (
    "accuracy"  # the metric whose measurement serves every design with the same genes of its view
)


@dataclass(frozen=True)
class Guidance:
    """What a search knows beyond its log, and what it may spend.

    cheap: metrics that are exact and cheap, computed instead of modelled. views: what each metric depends on.
    kind: predictor kind, or "auto". priors: older predictors by metric, used as mean functions. initial: Sobol designs
    before the first surrogate. accuracies: how many networks may have their accuracy measured in all; when they have, the
    search goes on with new chips for them, which cost a simulation each, for as long as those add to the hypervolume.
    converged: the search ends when 50 more evaluations are expected to add less than this share of the hypervolume.
    """

    cheap: Mapping[str, Exact] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    kind: str = "auto"
    priors: Mapping[str, Any] = field(default_factory=dict)
    initial: int = 10
    accuracies: int | None = None
    converged: float | None = None

    def start(self, metrics: Iterable[str]) -> int:
        """Sobol designs before the first surrogate: few where priors know every one of ``metrics`` that is modelled."""
        modelled = [m for m in metrics if m not in self.cheap]
        return (
            min(self.initial, WARM)
            if modelled and all(m in self.priors for m in modelled)
            else self.initial
        )

    @property
    def shaping(self) -> frozenset[str] | None:
        """The genes that the accuracy depends on; None for all of them."""
        return self.views[COSTLY].genes if COSTLY in self.views else None
