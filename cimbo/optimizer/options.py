"""How ``Study.ask`` and ``Study.optimize`` choose. All of it may change from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.optimizer.surrogates import AnalyticFunction, View, checked_kind, targets
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params

if TYPE_CHECKING:
    from predictors import SurrogateKind

N_INITIAL_WITH_PRIORS = 8  # Sobol designs that suffice where older predictors know every metric
USUAL_EXPENSIVE_METRIC = "accuracy"  # where a study has a metric of this name and names no other


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
        expensive: The metric whose measurement is expensive and serves every design with the same genes of its view.
            None: "accuracy" where the study has such a metric; else the first objective that is not analytic and whose
            view names its genes; else the first objective that is not analytic.
        expensive_budget: How many measurements of it there may be in all. When they are spent, the search goes on with
            new chips for the networks that were measured, which cost a simulation each, for as long as those add to the
            hypervolume. Also taken as ``accuracies=``.
        about: Metric to value, of a point near which the front is wanted. The reference moves six tenths of the way to this
            point, so that designs worse than that add nothing. Empty for the whole front.
        prefer: Objective to how much falling short of its best matters. Each batch is chosen near the design of the present
            front that these weights prefer (`cimbo.problem.preferences.by_weights`): the reference moves six tenths of
            the way to it. Candidates are those for the whole front. Empty for the whole front.
        measured_elsewhere: Designs that the priors were learned from: the Sobol designs of the start are others.
        converged: The search ends when 50 more evaluations are expected to add less than this share of the hypervolume.

    Examples:
        >>> import numpy as np
        >>> from cimbo import OptimizerOptions
        >>> options = OptimizerOptions(
        ...     analytic={"latency_ms": lambda designs: np.array([d["depth"] for d in designs])},
        ...     expensive="accuracy",
        ...     expensive_budget=60,
        ... )
        >>> options.start(["latency_ms", "accuracy"])
        10
    """

    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    kind: str | SurrogateKind = "auto"
    priors: Mapping[str, Any] = field(default_factory=dict)
    initial: int = 10
    expensive: str | None = None
    expensive_budget: int | None = None
    converged: float | None = None
    about: Mapping[str, float] = field(default_factory=dict)
    prefer: Mapping[str, float] = field(default_factory=dict)
    measured_elsewhere: Sequence[Params] = ()

    def __init__(
        self,
        analytic: Mapping[str, AnalyticFunction] | None = None,
        views: Mapping[str, View] | None = None,
        kind: str | SurrogateKind = "auto",
        priors: Mapping[str, Any] | None = None,
        *,
        initial: int = 10,
        expensive: str | None = None,
        expensive_budget: int | None = None,
        converged: float | None = None,
        about: Mapping[str, float] | None = None,
        prefer: Mapping[str, float] | None = None,
        measured_elsewhere: Sequence[Params] = (),
        accuracies: int | None = None,
        cheap: Mapping[str, AnalyticFunction] | None = None,
    ) -> None:
        if cheap is not None:
            analytic = cheap
        if accuracies is not None:
            expensive_budget = accuracies
        if about and prefer:
            raise BadInput("prefer", "is given beside about", "give one of them")
        mappings = {
            "analytic": analytic,
            "views": views,
            "priors": priors,
            "about": about,
            "prefer": prefer,
        }
        # The class is frozen, hence object.__setattr__; a mapping that is not given is empty
        for name, mapping in mappings.items():
            object.__setattr__(self, name, {} if mapping is None else mapping)
        object.__setattr__(self, "kind", checked_kind(kind))
        object.__setattr__(self, "initial", initial)
        object.__setattr__(self, "expensive", expensive)
        object.__setattr__(self, "expensive_budget", expensive_budget)
        object.__setattr__(self, "converged", converged)
        object.__setattr__(self, "measured_elsewhere", tuple(measured_elsewhere))

    @property
    def cheap(self) -> Mapping[str, AnalyticFunction]:
        """The old word for ``analytic``."""
        return self.analytic

    @property
    def accuracies(self) -> int | None:
        """The old word for ``expensive_budget``."""
        return self.expensive_budget

    def start(self, metrics: Iterable[str]) -> int:
        """Count the Sobol designs before the first surrogate.

        They are few where priors know every metric that is modelled.

        Args:
            metrics: Names of the metrics that the search needs.

        Returns:
            Number of designs.
        """
        modelled = [m for m in metrics if m not in self.analytic]
        if modelled and all(m in self.priors for m in modelled):
            return min(self.initial, N_INITIAL_WITH_PRIORS)
        return self.initial

    def expensive_metric(self, problem: Problem) -> str | None:
        """Find the expensive metric of a study, as ``expensive`` of this class says.

        Args:
            problem: What the study measures.

        Returns:
            Its name; None where every objective is analytic.

        Raises:
            BadInput: The metric that ``expensive`` names is no objective and has no constraint.
        """
        known = targets(problem)
        if self.expensive is not None:
            if self.expensive not in known:
                where = f"expensive metric {self.expensive}"
                todo = f"name one of {', '.join(known)}"
                raise BadInput(where, "is not measured by this study", todo)
            return self.expensive
        if USUAL_EXPENSIVE_METRIC in known:
            return USUAL_EXPENSIVE_METRIC
        modelled = [o.name for o in problem.objectives if o.name not in self.analytic]
        with_genes = [name for name in modelled if self._genes_of(name) is not None]
        return next(iter([*with_genes, *modelled]), None)

    def _genes_of(self, metric: str) -> frozenset[str] | None:
        """The genes that a metric's view names; None where it has no view, or one of every gene."""
        return self.views.get(metric, View()).genes

    def expensive_parameters(self, problem: Problem) -> frozenset[str] | None:
        """Find the genes that the expensive metric depends on.

        Args:
            problem: What the study measures.

        Returns:
            Their names; None for all of them, also where no metric is expensive.

        Raises:
            BadInput: The metric that ``expensive`` names is no objective and has no constraint.
        """
        metric = self.expensive_metric(problem)
        if metric is None:
            return None
        return self._genes_of(metric)


Guidance = OptimizerOptions  # its name until version 0.2
"""The former name of `OptimizerOptions`.

Examples:
    >>> from cimbo import Guidance, OptimizerOptions
    >>> Guidance is OptimizerOptions
    True
"""
