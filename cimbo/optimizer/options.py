"""How ``Study.ask`` and ``Study.optimize`` choose. All of it may change from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cimbo.optimizer.surrogates import AnalyticFunction, View, checked_kind

if TYPE_CHECKING:
    from predictors import SurrogateKind

N_INITIAL_WITH_PRIORS = 8  # Sobol designs that suffice where older predictors know every metric
COSTLY = (
    "accuracy"  # the metric whose measurement serves every design with the same genes of its view
)


@dataclass(frozen=True, init=False)
class OptimizerOptions:
    """What a search knows beyond its log, and what it may spend.

    Attributes:
        analytic: Metrics that are exact and cheap, by name: computed instead of modelled. Also taken as ``cheap=``.
        views: What each metric depends on; every gene where it is not named.
        kind: Predictor kind by name ("auto" cross-validates the built-in ones), such as "gp", "botorch:SingleTaskGP" or
            one of an installed package; or a kind that ``predictors.botorch`` or ``predictors.plugin`` made.
        priors: Older predictors by metric, used as mean functions.
        initial: Sobol designs before the first surrogate.
        accuracies: How many networks may have their accuracy measured in all. When they have, the search goes on
            with new chips for them, which cost a simulation each, for as long as those add to the hypervolume.
        converged: The search ends when 50 more evaluations are expected to add less than this share of the hypervolume.
    """

    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    kind: str | SurrogateKind = "auto"
    priors: Mapping[str, Any] = field(default_factory=dict)
    initial: int = 10
    accuracies: int | None = None
    converged: float | None = None

    def __init__(
        self,
        analytic: Mapping[str, AnalyticFunction] | None = None,
        views: Mapping[str, View] | None = None,
        kind: str | SurrogateKind = "auto",
        priors: Mapping[str, Any] | None = None,
        *,
        initial: int = 10,
        accuracies: int | None = None,
        converged: float | None = None,
        cheap: Mapping[str, AnalyticFunction] | None = None,
    ) -> None:
        given = {
            "analytic": analytic if cheap is None else cheap,
            "views": views,
            "priors": priors,
        }
        for name, value in given.items():
            object.__setattr__(self, name, {} if value is None else value)
        object.__setattr__(self, "kind", checked_kind(kind))
        object.__setattr__(self, "initial", initial)
        object.__setattr__(self, "accuracies", accuracies)
        object.__setattr__(self, "converged", converged)

    @property
    def cheap(self) -> Mapping[str, AnalyticFunction]:
        """The old word for ``analytic``."""
        return self.analytic

    def start(self, metrics: Iterable[str]) -> int:
        """Sobol designs before the first surrogate: few where priors know every one of ``metrics`` that is modelled."""
        modelled = [m for m in metrics if m not in self.analytic]
        if modelled and all(m in self.priors for m in modelled):
            return min(self.initial, N_INITIAL_WITH_PRIORS)
        return self.initial

    @property
    def shaping(self) -> frozenset[str] | None:
        """The genes that the accuracy depends on; None for all of them."""
        return self.views[COSTLY].genes if COSTLY in self.views else None


Guidance = OptimizerOptions  # its name until version 0.2
