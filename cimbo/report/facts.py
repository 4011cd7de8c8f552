"""What a report says about a study, taken from it once, so that every section speaks of the same evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cimbo.analysis.chip_view import ChipView
from cimbo.analysis.gene_importance import GeneImportance
from cimbo.analysis.hypervolume_history import feasible, hypervolume_history
from cimbo.analysis.space_ends import GeneAtAnEnd, genes_at_an_end
from cimbo.analysis.surrogate_views import SurrogateViews
from cimbo.plots.quantity import label, number, rough
from cimbo.problem.intervals import NORMAL_QUANTILE_95, interval_90
from cimbo.problem.objectives import Candidate, Constraint, Problem
from cimbo.problem.preferences import knees
from cimbo.problem.units import is_amount
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.study import Study

# What a study was started with that has a place of its own on the page.
SHOWN_ELSEWHERE = ("space", "objectives", "constraints", "seed", "command")
RANDOM_ORIGINS = ("sobol", "random", "explored")  # drawn without asking a model
# Metrics that say how well a network does its task, which a model may stand in for
ACCURACY_METRICS = ("accuracy", "perplexity")


@dataclass(frozen=True)
class Prediction:
    """What a model said of a metric before it was measured."""

    mean: float
    std: float

    def doubt(self, metric: str) -> str:
        """Say how far the metric may be off with 90 %, to be written behind the mean.

        Args:
            metric: Name of the metric.

        Returns:
            " ± 0.7"; of an amount, whose interval is not even about the mean, " (0.9 to 1.6)"; nothing
            for what was computed.
        """
        if self.std <= 0:
            return ""
        if not is_amount(metric):
            return f" ± {rough(NORMAL_QUANTILE_95 * self.std)}"
        low, high = interval_90(metric, self.mean, self.std)
        return f" ({number(float(low))} to {number(float(high))})"


@dataclass(frozen=True)
class Facts:
    """A study at one moment, with what the caller knows besides.

    predicted: designs a model thinks well of and nobody has verified. baselines: name -> hypervolume after each evaluation
    of another search. extra_rows: key of a design -> lines for its details. tested: key -> accuracy on images that the search
    never saw, where it was measured. exact: key -> by how many
    points the exact form of the arrays' errors changes it. chips: key -> the design on its chip. importances: SHAP values of
    trees, one an objective. around: what the search's surrogates say around some designs. lite: whether the page shall be
    small. error_bars: key -> least and most of each cost by what published chips say. by_noise: key ->
    accuracies by the noise of the converters, in their steps. zigzag: key -> latency_ms and energy_uj of a design whose costs
    are bounds, by a schedule that ZigZag found.
    """

    problem: Problem
    seed: int
    records: tuple[Record, ...]
    front: tuple[Record, ...]
    hypervolume: float | None
    started_as: Mapping[str, Any] = field(default_factory=dict)
    tested: Mapping[str, float] = field(default_factory=dict)
    exact: Mapping[str, float] = field(default_factory=dict)
    predicted: Sequence[Candidate] = ()
    baselines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    extra_rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    chips: Mapping[str, ChipView] = field(default_factory=dict)
    importances: Sequence[GeneImportance] = ()
    around: SurrogateViews | None = None
    lite: bool = False
    by_noise: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    zigzag: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    error_bars: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    @cached_property
    def at_an_end(self) -> tuple[GeneAtAnEnd, ...]:
        """Genes of the chip that most designs of the front have at an end of their range."""
        return genes_at_an_end(self.problem.space.hardware, [r.params for r in self.front])

    @cached_property
    def on_front(self) -> frozenset[int]:
        """Number the evaluations on the front."""
        return frozenset(r.number for r in self.front)

    @cached_property
    def row_of(self) -> Mapping[int, int]:
        """Index of each evaluation among the page's rows, by its number."""
        return {r.number: i for i, r in enumerate(self.records)}

    @cached_property
    def knees(self) -> tuple[str, ...]:
        """Keys of the designs of the front from where every objective gets dear, the sharpest first."""
        found = knees(self.problem, [r.metrics for r in self.front])
        return tuple(self.front[i].key for i in found)

    @cached_property
    def failed(self) -> tuple[Record, ...]:
        """Select the evaluations that failed."""
        return tuple(r for r in self.records if r.status != "done")

    @cached_property
    def verified(self) -> tuple[Record, ...]:
        """Measured in every objective, and within every constraint."""
        return tuple(record for record in self.records if feasible(self.problem, record))

    @cached_property
    def infeasible(self) -> tuple[Record, ...]:
        """Select those that succeeded, but break a constraint or lack an objective."""
        kept = {r.number for r in self.verified}
        infeasible = []
        for r in self.records:
            if r.status == "done" and r.number not in kept:
                infeasible.append(r)
        return tuple(infeasible)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that was measured: objectives first, then constraints, then the others by name."""
        measured: set[str] = set()
        for record in self.records:
            measured.update(record.metrics)
        targets = [metric for metric in self.problem.targets if metric in measured]
        return tuple(dict.fromkeys([*targets, *sorted(measured)]))

    def named(self, metric: str) -> str:
        """Write the label of a metric.

        Args:
            metric: The metric.

        Returns:
            Its name and unit. For an accuracy or a perplexity that is not measured, with what the
            study's description calls it.
        """
        kind = self._network_table.get("accuracy_kind", "measured")
        if metric in ACCURACY_METRICS and kind != "measured":
            return f"{label(metric)} ({kind})"
        return label(metric)

    @property
    def how_evaluated(self) -> str:
        """What was done for every point, in words: how its accuracy and its costs came about."""
        for metric in ACCURACY_METRICS:
            if self.named(metric) != label(metric) and metric in self.metrics:
                kind = self._network_table["accuracy_kind"]
                if kind.startswith("measured"):  # by others
                    return f"Every point was simulated, its {metric} was {kind}"
                return f"Every point was simulated, its {metric} modelled"
        if self._network_table and "accuracy" in self.metrics:
            return "Every point was evaluated: its accuracy was measured, its costs were simulated"
        if self._network_table:
            return "Every point was simulated"
        return "Every point was measured"

    @property
    def _network_table(self) -> Mapping[str, Any]:
        """What the study's description says of its network; empty where something else evaluates."""
        config = _mapping(_mapping(self.started_as.get("config")).get("data"))
        if "evaluator" in config:
            return {}
        return _mapping(config.get("network"))

    @cached_property
    def initial(self) -> int:
        """How many evaluations at the start were drawn without a model."""
        origins = [r.origin in RANDOM_ORIGINS for r in self.records]
        if False in origins:
            return origins.index(False)
        return len(origins)


def gather(study: Study, **known: Any) -> Facts:
    """Take the facts of a study as it is now.

    Other processes may write to it meanwhile: it is read until it holds still.

    Args:
        study: The study.
        **known: What the caller knows besides, as fields of `Facts`.

    Returns:
        The facts, all of the same evaluations.
    """
    records, front, volume = _still(study)
    started_as = {}
    for name, value in study.metadata.items():
        if name not in SHOWN_ELSEWHERE:
            started_as[name] = value
    exact = {key: found["points"] for key, found in study.bit_accurate_differences().items()}
    simulated = {}
    for key, costs in study.zigzag_costs().items():
        if "reason" not in costs:
            simulated[key] = costs
    return Facts(
        study.problem,
        study.seed,
        records,
        front,
        volume,
        started_as,
        study.test_accuracies(),
        exact,
        by_noise=study.noise_accuracies(),
        zigzag=simulated,
        **known,
    )


def _front(study: Study) -> tuple[Record, ...]:
    """The final front where there is one, else that of the search."""
    final = study.final_front()
    if final is None:
        return tuple(study.pareto())
    return final.records


def _still(study: Study) -> tuple[tuple[Record, ...], tuple[Record, ...], float | None]:
    """Evaluations, front and hypervolume at a moment at which nobody writes."""
    while True:
        records = tuple(study.evaluations())
        front = _front(study)
        volume = study.hypervolume()
        if len(study.evaluations()) == len(records):
            return records, front, volume


def sign(c: Constraint) -> str:
    """Write the relation of a constraint as a sign.

    Args:
        c: The constraint.

    Returns:
        ≤ or ≥.
    """
    return "≤" if c.relation == "<=" else "≥"


def prediction(record: Record, metric: str) -> Prediction | None:
    """Read what was predicted of one metric of an evaluation.

    Args:
        record: The evaluation; its ``extra`` holds the predictions.
        metric: The metric.

    Returns:
        The prediction; None where there is none that can be read.
    """
    return as_prediction(_mapping(record.extra.get("predicted")).get(metric))


def predictions(c: Candidate) -> dict[str, Prediction]:
    """Read what a model says of a design that nobody has verified.

    Args:
        c: The design.

    Returns:
        Predictions by metric; those that cannot be read are left out.
    """
    found = {}
    for name, pair in (c.predicted or {}).items():
        said = as_prediction(pair)
        if said is not None:
            found[name] = said
    return found


def as_prediction(pair: object) -> Prediction | None:
    """Read a prediction that was stored as a pair.

    Args:
        pair: A list or tuple of mean and standard deviation; it may be anything.

    Returns:
        The prediction; None unless both are finite numbers and the standard deviation is not
        negative.
    """
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    mean, std = map(finite, pair)
    if mean is None or std is None or std < 0:
        return None
    return Prediction(mean, std)


def finite(value: object) -> float | None:
    """Read a finite number, since what other programs wrote into ``extra`` may be anything.

    Args:
        value: Anything.

    Returns:
        The number as a float; None where ``value`` is no number or not finite.
    """
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if math.isfinite(number):
        return number
    return None


def volumes(facts: Facts, keep: Callable[[Record], bool] = lambda record: True) -> list[float]:
    """Compute the hypervolume after each evaluation.

    It is measured above the study's references. Without them it is measured above the worst
    verified values, which is good enough to see where a search still moved.

    Args:
        facts: The study.
        keep: Whether an evaluation counts; by default all do.

    Returns:
        One hypervolume for each of ``facts.records``, in their order.
    """
    return hypervolume_history(facts.problem, facts.records, keep)


def _mapping(value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}
