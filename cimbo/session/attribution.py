"""What the network alone, the chip alone and both together gain over the baseline, from studies of one problem."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cimbo.analysis import attribution
from cimbo.analysis.attribution import SPEED_UP_SIDES, Gain, Point, Pool, Rules
from cimbo.analysis.baseline_chips import baselines
from cimbo.errors import BadInput
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.space import Params
from cimbo.session.attribution_result import (
    AttributedDesign,
    Attribution,
    OtherBaseline,
    Speedup,
)
from cimbo.session.context import StudyContext
from cimbo.session.optimize import optimizer_options, search
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.study import Study

DEFAULT_WITHIN = 0.3  # points of accuracy
EQUAL_AREA = "accuracy, area"  # the condition under which other baselines are compared

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class AttributionSettings:
    """What is asked of every study.

    Attributes:
        within: Points of accuracy that a design may lack.
        complete: Evaluations of each of two more searches, with the chip and with the network fixed; 0 for none.
        measure: Whether winners are measured on test images where that was not done yet.
        workers: Where the evaluations of ``complete`` run.
        listener: Told of these evaluations.
    """

    within: float = DEFAULT_WITHIN
    complete: int = 0
    measure: bool = False
    workers: Workers = field(default_factory=lambda: Workers(jobs=1))
    listener: events.Listener = events.ignore

    def __post_init__(self) -> None:
        if self.within < 0 or self.complete < 0:
            todo = "give a number of at least 0"
            raise BadInput("--within or --complete", "is negative", todo)


def attribute(contexts: Sequence[StudyContext], settings: AttributionSettings) -> Attribution:
    """Speed-up over the baseline at its accuracy: architecture only, hardware only, joint.

    Args:
        contexts: Studies of one problem that differ in their seed. Several give an interval over them, one gives a
            bootstrap interval.
        settings: What is asked of each.

    Returns:
        The speed-ups by either side alone and by both, with their intervals.

    Raises:
        BadInput: When the studies are of different problems, or one is given twice.
    """
    cases = [_case(context, settings) for context in contexts]
    _check_same_problem(cases)
    first = cases[0]
    interval = "95 %, bootstrap of one study"
    if len(cases) > 1:
        interval = f"95 %, Student's t over {len(cases)} studies"
    speedups = [_speedup(cases, index) for index in range(len(first.gains))]
    return Attribution(
        tuple(case.context.path for case in cases),
        tuple(case.evaluations for case in cases),
        first.context.config.accuracy_provenance(),
        settings.within,
        interval,
        first.shown(first.pool.baseline),
        first.context.config.name,
        tuple(speedups),
        _over_studies([case.others for case in cases]),
    )


# ---- one study ------------------------------------------------------------------------------------------------------


@dataclass
class HeldOutAccuracies:
    """Accuracy on test images: those that the study holds, and measured anew where that was asked for."""

    study: Study
    evaluator: StudyEvaluator
    measure: bool
    known: dict[str, float] = field(default_factory=dict)

    def of(self, params: Params) -> float | None:
        """Return the test accuracy of a design, measuring it where that was asked for.

        What is measured is recorded in the study.

        Args:
            params: The design, by gene.

        Returns:
            Accuracy in percent; None where it is not known and not measured.
        """
        key = self._key(params)
        if key not in self.known and self.measure and self.evaluator.has_test():
            accuracy = self.evaluator.on_test(params)
            self.known[key] = accuracy
            self.study.record_test_accuracy(self.study.problem.space.key(params), accuracy)
        return self.known.get(key)

    def load(self) -> None:
        """Take over what the study holds: one accuracy serves every chip that shares the genes which shape it."""
        stored = self.study.test_accuracies()
        for record in self.study.evaluations():
            if record.key in stored:
                self.known[self._key(record.params)] = stored[record.key]

    def stored(self, params: Params) -> float | None:
        """Return the test accuracy of a design without measuring anything.

        Args:
            params: The design, by gene.

        Returns:
            Accuracy in percent; None where it is not known.
        """
        return self.known.get(self._key(params))

    def _key(self, params: Params) -> str:
        return self.study.problem.space.key(params, self.evaluator.accuracy_genes())


@dataclass(frozen=True)
class _Case:
    """A study with its baseline, its points and its gains."""

    context: StudyContext
    pool: Pool
    rules: Rules
    gains: Sequence[Gain]
    evaluations: Mapping[str, int]
    tests: HeldOutAccuracies
    others: Sequence[OtherBaseline]

    def shown(self, point: Point) -> AttributedDesign:
        """Describe a point for the result.

        Args:
            point: A verified point.

        Returns:
            The design with its genes split into network and chip, its accuracy and costs, and its
            test accuracy where that is known.
        """
        context = self.context
        metrics = {"accuracy": point.accuracy, **point.costs}
        metrics["accuracy"] = point.accuracy  # whatever accuracy the costs bring
        tested = self.tests.stored(point.params)
        if tested is not None:
            metrics["accuracy_test"] = tested
        architecture = context.study.problem.space.architecture_of(point.params)
        return AttributedDesign(architecture, context.whole_chip(point.params), metrics)


def _case(context: StudyContext, settings: AttributionSettings) -> _Case:
    """A study with its baseline, the searches of one side that were asked for, and its gains."""
    study, evaluator = context.study, context.evaluator
    for record in study.evaluations():
        evaluator.remember(record.params, NotedMetrics(record.metrics, record.extra))
    largest = context.config.family.largest()
    baseline = _point(context, {**largest, **context.config.baseline()})
    tests = HeldOutAccuracies(study, evaluator, settings.measure)
    tests.load()
    records = {"joint": study.evaluations(), **_restricted(context, baseline, settings)}
    pool = attribution.pool(study.problem.space, evaluator, baseline, records)
    confirm = _confirmation(tests, baseline, settings.within)
    rules = Rules(settings.within, study.problem.constraints, confirm)
    return _Case(
        context,
        pool,
        rules,
        gains=attribution.gains(pool, rules),
        evaluations={side: len(found) for side, found in records.items()},
        tests=tests,
        others=_other_baselines(context, baseline, records, rules),
    )


def _point(context: StudyContext, params: Mapping[str, Any]) -> Point:
    """The design of ``params`` as far as they are genes of the study, measured and simulated."""
    space = context.study.problem.space
    design = space.canonical({k: v for k, v in params.items() if k in space.column})
    metrics = context.evaluator(design)
    return Point(design, metrics["accuracy"], metrics)


def _confirmation(
    tests: HeldOutAccuracies, baseline: Point, within: float
) -> Callable[[Point], bool]:
    """Whether a winner also keeps the baseline's accuracy on test images; unknown ones are let through."""

    def confirm(point: Point) -> bool:
        """Tell whether a point keeps the baseline's test accuracy."""
        if point is baseline:
            return True
        wanted = tests.of(baseline.params)
        found = tests.of(point.params)
        return wanted is None or found is None or found >= wanted - within

    return confirm


def _restricted(
    context: StudyContext, baseline: Point, settings: AttributionSettings
) -> dict[str, list[Record]]:
    """Evaluations of the searches with one side fixed, each in a file of its own beside the study."""
    if not settings.complete:
        return {}
    space = context.study.problem.space
    fixed = {"architecture": space.hardware, "hardware": space.architecture}
    found = {}
    for side, genes in fixed.items():
        found[side] = _restricted_search(context, side, _values(baseline, genes), settings)
    return found


def _values(point: Point, genes: Sequence[Any]) -> dict[str, Any]:
    values = {}
    for gene in genes:
        if gene.name in point.params:
            values[gene.name] = point.params[gene.name]
    return values


def _restricted_search(
    context: StudyContext, side: str, fixed: Mapping[str, Any], settings: AttributionSettings
) -> list[Record]:
    """Evaluations of one such search, brought to ``settings.complete``."""
    study = context.study
    problem = study.problem
    path = Path(context.path).with_suffix(f".{side}-only.db")
    kept = {}
    for name in ("config", "versions"):
        if name in context.metadata:
            kept[name] = context.metadata[name]
    with Study.open(
        path,
        problem.space,
        problem.objectives,
        problem.constraints,
        study.seed,
        metrics=problem.metrics,
        metadata=kept,
    ) as whole:
        narrowed = whole.with_constraints(fixed=fixed)
        restricted = StudyContext(narrowed, context.config, shared_evaluator=context.evaluator)
        options = optimizer_options(restricted)
        logger.info(f"{side} only: {settings.complete} evaluations in {path}")
        listener = settings.listener
        search(restricted, settings.complete, options, settings.workers, listener=listener)
        found = narrowed.evaluations()
    for record in found:
        context.evaluator.remember(record.params, NotedMetrics(record.metrics, record.extra))
    return found


def _other_baselines(
    context: StudyContext, baseline: Point, records: Mapping[str, Sequence[Record]], rules: Rules
) -> list[OtherBaseline]:
    """Speed-ups with other chips as the baseline, at the accuracy and area of each."""
    space, evaluator = context.study.problem.space, context.evaluator
    drawn = _values(baseline, space.hardware)
    largest = {name: value for name, value in baseline.params.items() if name not in drawn}
    unconfirmed = replace(rules, confirm=lambda point: True)
    found = []
    for name, chip in baselines(space, evaluator, largest, drawn).items():
        if chip == drawn:
            point = baseline
        else:
            point = _point(context, {**largest, **chip})
        pool = attribution.pool(space, evaluator, point, records)
        speedups = _equal_area_speedups(attribution.gains(pool, unconfirmed))
        area_mm2 = point.costs.get("area_mm2")
        found.append(
            OtherBaseline(name, point.latency_ms, area_mm2, point.accuracy, speedups, chip)
        )
    return found


def _equal_area_speedups(gains: Sequence[Gain]) -> dict[str, float]:
    """By side, how much faster a design of the baseline's accuracy and area is."""
    speedups = {}
    for gain in gains:
        if gain.held == EQUAL_AREA:
            speedups[gain.side] = gain.speedup
    return speedups


# ---- over studies ---------------------------------------------------------------------------------------------------


def _check_same_problem(cases: Sequence[_Case]) -> None:
    """Raises BadInput unless the studies are different ones of one problem."""
    contexts = [case.context for case in cases]
    first = contexts[0]
    for context in contexts:
        same = context.study.problem.to_json() == first.study.problem.to_json()
        if not same or context.config.network != first.config.network:
            what = f"is about another problem than {first.path}"
            raise BadInput(context.path, what, "give studies that differ in their seed")
    paths = {context.path for context in contexts}
    if len(paths) < len(contexts):
        raise BadInput("attribute", "one study is given twice", "name each once")


def _speedup(cases: Sequence[_Case], index: int) -> Speedup:
    gains = [case.gains[index] for case in cases]
    if len(cases) > 1:
        interval = attribution.over_seeds([gain.speedup for gain in gains])
    else:
        interval = attribution.bootstrap(cases[0].pool, cases[0].rules, gains[0])
    points = [case.shown(gain.point) for case, gain in zip(cases, gains, strict=True)]
    return Speedup(
        gains[0].held,
        gains[0].side,
        interval.mean,
        interval.low,
        interval.high,
        tuple(gain.speedup for gain in gains),
        tuple(gain.candidates for gain in gains),
        tuple(points),
    )


def _over_studies(tables: Sequence[Sequence[OtherBaseline]]) -> tuple[OtherBaseline, ...]:
    """The table of other baselines; speed-ups are geometric means over the studies."""
    found = []
    for same in zip(*tables, strict=True):
        found.append(replace(same[0], speedups=_mean_speedups(same)))
    return tuple(found)


def _mean_speedups(same: Sequence[OtherBaseline]) -> dict[str, float]:
    """Geometric means, by side, of the speed-ups over one baseline in several studies."""
    means = {}
    for side in SPEED_UP_SIDES:
        means[side] = attribution.over_seeds([each.speedups[side] for each in same]).mean
    return means
