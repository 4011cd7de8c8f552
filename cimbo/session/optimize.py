"""A search as the command runs it: what is computed and what is modelled, the loop, and the checks of the front."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.config.study_config import Config
from cimbo.errors import BadInput, EvaluationsFailed, check_known, check_positive
from cimbo.evaluation.batched import NETWORK_SIZES
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.optimizer.convergence import Forecast
from cimbo.optimizer.derived_metrics import with_computed
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import checked_kind, targets
from cimbo.problem.objectives import Objective
from cimbo.problem.preferences import checked_weights
from cimbo.session.announcement import announce, tell_of_full_start
from cimbo.session.bounds import simulate_bounds
from cimbo.session.context import StudyContext
from cimbo.session.finalists import DEFAULT_BIT_ACCURATE_IMAGES, verify_finalists
from cimbo.session.front import Front, front
from cimbo.session.front_checks import announcing, measure_front_on_test_images
from cimbo.session.warm_start import (
    bundles,
    bundles_told,
    designs_of,
    from_study,
    known_views,
)
from cimbo.session.workers import Workers
from cimbo.study import events
from cimbo.study.events import DEFAULT_BATCH_SIZE
from cimbo.study.readiness import get_ready

COST_MODELS = ("auto", "surrogate", "analytic")
DEFAULT_BUDGET = 200
DEFAULT_INITIAL = 10  # Sobol designs before the first surrogate

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class SearchSettings:
    """How a study is searched, beyond its budget.

    Attributes:
        cost_model: ``analytic`` computes costs while searching, ``surrogate`` models them as a slow simulator needs
            it, ``auto`` computes those of cimbo's own chip model and models those of any other simulator.
        predictors: Folder of bundles to start from.
        warm_from: Another study to start from.
        accuracy_budget: Accuracies to measure in all; then new chips for measured networks, while they add to the
            front.
        until_converged: Stop when 50 more evaluations are expected to add less than so many percent of hypervolume.
        asynchronous: No batches: a free worker gets a candidate at once, chosen knowing what the others evaluate.
        bit_accurate_images: Test images on which the designs of the front are verified on bit-accurate arrays and
            ranked anew; 0: they are not.
        accept_changed: Go on although what evaluates, or a file that it reads, is not what it was: the study mixes both.
        retry_failed: First evaluate again what has failed.
        near: Objective -> value of a point that the front is wanted near: what is far from it does not count.
        simulates_bounds: Whether ZigZag, where it is installed, simulates the designs of the front whose costs are bounds.
        prefer: Objective -> how much falling short of its best matters: the search goes on where the front does so least.
            None for what the study's description says.
        in_full: Keys of designs that are measured in full first, where stages stopped them.
    """

    cost_model: str = "auto"
    predictors: str | Path | None = None
    warm_from: str | Path | None = None
    accuracy_budget: int | None = None
    until_converged: float | None = None
    asynchronous: bool = False
    bit_accurate_images: int = DEFAULT_BIT_ACCURATE_IMAGES
    accept_changed: bool = False
    retry_failed: bool = False
    near: Mapping[str, float] | None = None
    simulates_bounds: bool = True
    prefer: Mapping[str, float] | None = None
    in_full: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_known(self.cost_model, COST_MODELS, "cost model", f"{self.cost_model!r} is unknown")
        if self.bit_accurate_images < 0:
            what = f"{self.bit_accurate_images} is below 0"
            raise BadInput("--bit-accurate-images", what, "give a number of test images, or 0")
        check_positive("--accuracy-budget", self.accuracy_budget)
        if self.until_converged is not None and not self.until_converged > 0:
            what = f"{self.until_converged:g} is not above 0"
            raise BadInput("--until-converged", what, "give a percentage, such as 1")
        if self.near and self.prefer:
            raise BadInput("--near", "is given beside --prefer", "give one of them")


@dataclass(frozen=True)
class Optimization:
    """What a search came to.

    Attributes:
        front: The verified front.
        forecast: What 50 more evaluations are expected to add; None where nothing can be said yet.
        succeeded: Evaluations in the study that succeeded.
        nearest_to_feasible: Where nothing is feasible, how far the nearest design is; else None.
        has_references: Whether every objective has one.
        proposed: Evaluations that a model proposed.
    """

    front: Front
    forecast: Forecast | None
    succeeded: int
    nearest_to_feasible: str | None
    has_references: bool = True
    proposed: int = 0

    def to_json(self) -> dict[str, Any]:
        """The front, as ``cimbo optimize --format json`` prints it."""
        return self.front.to_json()


def optimize(
    context: StudyContext,
    budget: int = DEFAULT_BUDGET,
    settings: SearchSettings | None = None,
    *,
    workers: Workers | None = None,
    listener: events.Listener = events.ignore,
) -> Optimization:
    """Search until ``budget`` evaluations stand in the study, and check its front on images it has not seen.

    Args:
        context: The study.
        budget: Evaluations in the study, in all; those that it holds count.
        settings: How to search.
        workers: Where evaluations run.
        listener: Told of every proposal and evaluation.

    Returns:
        The verified front, and how the search went.

    Raises:
        BadInput: For impossible settings, before anything is evaluated.
    """
    settings = settings or SearchSettings()
    workers = workers or Workers()
    priors = bundles(settings.predictors)
    study = context.study
    stored = len(study.evaluations())
    if stored > budget:
        done = "nothing is evaluated"
        if settings.retry_failed:
            done = "only what failed is evaluated again"
        logger.info(
            f"{context.path or 'the study'} holds {stored} evaluations, more than the budget of {budget}: "
            f"{done}; give a larger --budget to go on"
        )
    checked_kind(context.config.tables.search.surrogate)  # before anything is evaluated
    with workers.connected():
        # Before the options: which genes an accuracy depends on may be known only when it was called.
        get_ready(study, context.evaluator, is_here=workers.backend == "loky")
        options = optimizer_options(context, settings, priors)
        announce(context, options, budget)
        tell_of_full_start(context, settings.warm_from, stored, budget)
        for line in bundles_told(priors, targets(study.problem), options.analytic):
            logger.info(line)
        images = settings.bit_accurate_images
        told = announcing(context, images, listener, simulates_bounds=settings.simulates_bounds)
        search(context, budget, options, workers, listener=told, settings=settings)
        if stored <= budget:
            _check_front(context, settings, workers, listener)
    for metric, reason in study.selection_reasons().items():
        if metric in priors:
            logger.info(f"in the end, {metric} was predicted by {reason}")
    return _outcome(context)


def _check_front(
    context: StudyContext, settings: SearchSettings, workers: Workers, listener: events.Listener
) -> None:
    """Measure the front on test images and on bit-accurate arrays, and simulate those of its costs that are bounds."""
    measure_front_on_test_images(context, workers, listener)
    verify_finalists(context, settings.bit_accurate_images, workers, listener)
    measure_front_on_test_images(context, workers, listener)  # what came to the front there
    if settings.simulates_bounds:
        simulate_bounds(context, workers, listener)


def _outcome(context: StudyContext) -> Optimization:
    """What the study has come to."""
    study = context.study
    records = study.evaluations()
    succeeded = sum(record.status == "done" for record in records)
    nearest = None
    if succeeded:
        nearest = study.nearest_to_feasible()
    return Optimization(
        front(context),
        study.forecast(),
        succeeded,
        nearest,
        study.problem.reference() is not None,
        proposed=sum(record.origin == "proposed" for record in records),
    )


def search(
    context: StudyContext,
    budget: int,
    options: OptimizerOptions,
    workers: Workers,
    *,
    listener: events.Listener = events.ignore,
    settings: SearchSettings | None = None,
) -> None:
    """Run the loop alone, in batches of the study's own size.

    Nothing is measured of the front afterwards.

    Args:
        context: The study.
        budget: Evaluations in the study, in all; those that it holds count.
        options: What the optimizer knows and may spend.
        workers: Where evaluations run.
        listener: Told of every proposal and evaluation.
        settings: How to search. Only ``asynchronous``, ``accept_changed``, ``retry_failed`` and
            ``in_full`` are used here.

    Raises:
        BadInput: For an impossible budget or impossible conditions, and for an evaluator that
            cannot be called here.
        StudyError: What evaluates is not what it was, and that is not accepted.
    """
    settings = settings or SearchSettings()
    # The listener was told why a search ended; what was found stands in its outcome.
    with suppress(EvaluationsFailed):
        context.study.optimize(
            context.evaluator,
            budget,
            batch_size(context.config),
            workers.n_jobs,
            guidance=options,
            listener=listener,
            asynchronous=settings.asynchronous,
            accept_changed=settings.accept_changed,
            retry_failed=settings.retry_failed,
            in_full=settings.in_full,
            **workers.conditions,
        )


def batch_size(config: Config) -> int:
    """Return how many designs are chosen at a time.

    Args:
        config: The study's description.

    Returns:
        What the description says, else DEFAULT_BATCH_SIZE.
    """
    return config.tables.search.batch or DEFAULT_BATCH_SIZE


def optimizer_options(
    context: StudyContext,
    settings: SearchSettings | None = None,
    priors: Mapping[str, Any] | None = None,
) -> OptimizerOptions:
    """What the optimizer knows beyond the log of a study, and what it may spend.

    Args:
        context: The study; it is told what ``settings.warm_from`` measured for it.
        settings: How to search; by default as when nothing special is asked for.
        priors: Older predictors by metric, used as mean functions.

    Returns:
        The options of the search.
    """
    settings = settings or SearchSettings()
    study, config = context.study, context.config
    objectives = [objective.name for objective in study.problem.objectives]
    for name in settings.near or ():
        check_known(name, objectives, f"--near {name}", "is no objective")
    _check_beats_references(study.problem.objectives, settings.near or {})
    weights = _weights(settings, config)
    if weights:
        checked_weights(study.problem, weights)
    costs = analytic_costs(context.evaluator, settings.cost_model)
    analytic = with_computed(study.problem, costs)
    learned = from_study(study, config, settings.warm_from, analytic)
    expensive = config.tables.expensive
    budget = settings.accuracy_budget
    if budget is None and expensive is not None:
        budget = expensive.budget
    converged = None
    if settings.until_converged is not None:
        converged = settings.until_converged / 100
    return OptimizerOptions(
        analytic,
        views=known_views(context),
        kind=config.tables.search.surrogate,
        priors={**learned, **(priors or {})},
        initial=config.tables.search.initial or DEFAULT_INITIAL,
        expensive=None if expensive is None else expensive.metric,
        expensive_budget=budget,
        converged=converged,
        about=settings.near,
        prefer=weights,
        measured_elsewhere=designs_of(settings.warm_from, study.problem.space) if learned else (),
    )


def _weights(settings: SearchSettings, config: Config) -> Mapping[str, float]:
    """How much each objective matters to the search: as asked for now, else as described; empty for no preference."""
    if settings.near:
        return {}
    if settings.prefer is not None:
        return settings.prefer
    return config.tables.search.prefer or {}


def _check_beats_references(objectives: Sequence[Objective], near: Mapping[str, float]) -> None:
    """Refuse a point to search near that is worse than the reference: no design there counts.

    Args:
        objectives: Those of the study.
        near: Objective to value.

    Raises:
        BadInput: For the first value that is worse than its objective's reference.
    """
    for objective in objectives:
        value = near.get(objective.name)
        if value is None or objective.reference is None:
            continue
        if objective.sign * value < objective.sign * objective.reference:
            where = f"--near {objective.name}={value:g}"
            what = f"is worse than the reference {objective.reference:g}, where nothing counts"
            raise BadInput(where, what, "name a point of the front that you would like")


def analytic_costs(evaluator: StudyEvaluator, cost_model: str) -> dict[str, Any]:
    """Choose which costs are computed while searching; the others are modelled.

    What is chosen follows from the evaluator alone and from no measurement of time, so that a seed
    gives the same designs on a busy machine. The area of a chip and the sizes of a network are
    computed whenever they can be.

    Args:
        evaluator: What evaluates the study.
        cost_model: One of COST_MODELS: "auto" and "analytic" compute all costs of cimbo's own chip
            model, "surrogate" models them. Those of another simulator are modelled.

    Returns:
        Functions by metric, each computing one cost of designs.

    Raises:
        BadInput: ``cost_model`` is "analytic", but the simulator is not cimbo's.
    """
    computed = evaluator.analytic_costs()
    if cost_model == "analytic" and not computed:
        what = "this simulator cannot be called in batches"
        raise BadInput("--cost-model", what, "use auto or surrogate")
    if cost_model != "surrogate":
        return computed
    never_modelled = {}
    for name in ("area_mm2", *NETWORK_SIZES):
        if name in computed:
            never_modelled[name] = computed[name]
    return never_modelled
