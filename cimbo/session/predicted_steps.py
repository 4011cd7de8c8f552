"""A design with one gene a step further, as surrogates of the study's own evaluations predict it.

For chips that cimbo's model does not know, nothing else says what a gene is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from cimbo.analysis.neighbours import Interval, Neighbour, compared, predicted
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import Inputs, Surrogate, SurrogateFactory
from cimbo.problem.space import Params, SearchSpace
from cimbo.session.context import StudyContext
from cimbo.session.warm_start import known_views
from cimbo.storage import Record

LEAST_EVALUATIONS = 10  # to predict from
NORMAL_90 = 1.6449  # standard deviations that hold 90 % of a normal distribution
SURROGATE_KIND = "gp"  # quick, and smooth between neighbours


def predicted_steps(context: StudyContext, record: Record) -> list[Neighbour]:
    """Compare a design with each one that differs in one gene of its chip, or of the whole where there are no such genes.

    Args:
        context: The study.
        record: The design, measured.

    Returns:
        A neighbour a step. Its metrics are what was measured of it, or else those of the design changed as predicted,
        where enough was measured to predict from.
    """
    problem = context.study.problem
    measured = _measured(context)
    known = {problem.space.key(each.params): each for each in measured}
    found = []
    unseen = []
    for params in _steps(problem.space, record.params):
        seen = known.get(problem.space.key(params))
        if seen is None:
            unseen.append(params)
        elif seen.key != record.key:
            found.append(compared(problem, record, params, seen.metrics, key=seen.key))
    if unseen and len(measured) >= LEAST_EVALUATIONS:
        found += _predicted(context, record, measured, unseen)
    return found


def _measured(context: StudyContext) -> list[Record]:
    """The evaluations that have every objective and every constrained metric."""
    found = []
    for record in context.study.evaluations():
        targets = context.study.problem.targets
        if record.status == "done" and all(name in record.metrics for name in targets):
            found.append(record)
    return found


def _predicted(
    context: StudyContext, record: Record, measured: Sequence[Record], steps: list[Params]
) -> list[Neighbour]:
    """Neighbours whose metrics are those of the design, changed as surrogates of ``measured`` predict it."""
    problem = context.study.problem
    factory = SurrogateFactory(problem.space, SURROGATE_KIND, known_views(context))
    rows = problem.space.rows([each.params for each in measured])
    fitted = surrogates.fit(problem, rows, [each.metrics for each in measured], factory, seed=0)
    metrics = [dict(record.metrics) for _ in steps]
    intervals: list[dict[str, Interval]] = [{} for _ in steps]
    for name, surrogate in fitted.items():
        changes = _changes(surrogate, problem.space, record, steps)
        here = record.metrics[name]
        for i, (change, reach) in enumerate(changes):
            metrics[i][name] = _moved(here, change, log=surrogate.log)
            low = _moved(here, change - reach, log=surrogate.log)
            high = _moved(here, change + reach, log=surrogate.log)
            intervals[i][name] = (low, high)
    neighbours = []
    for i, params in enumerate(steps):
        neighbours.append(predicted(problem, record, params, metrics[i], intervals[i]))
    return neighbours


def _moved(value: float, change: float, *, log: bool) -> float:
    """A metric that changes by so much in modelled units."""
    if log:
        return value * math.exp(change)
    return value + change


def _changes(
    surrogate: Surrogate, space: SearchSpace, record: Record, steps: list[Params]
) -> list[tuple[float, float]]:
    """By how much a metric changes with each step, and how far that may be off with 90 %, in modelled units.

    The design itself is measured, so that the error is that of the step's own prediction.

    Returns:
        A pair a step.
    """
    inputs = Inputs(space, space.rows([record.params, *steps]))
    means, deviations = surrogate.mean_and_std(inputs)
    reach = NORMAL_90 * np.hypot(deviations[1:], surrogate.noise)
    return list(zip((means[1:] - means[0]).tolist(), reach.tolist(), strict=True))


def _steps(space: SearchSpace, params: Params) -> Iterator[Params]:
    """Designs one value away in an ordered gene, and with any other value of an unordered one."""
    for choice in space.hardware or space.architecture:
        if choice.name not in params:
            continue
        for value in choice.values_beside(params[choice.name]):
            yield space.canonical({**_all_genes(space, params), choice.name: value})


def _all_genes(space: SearchSpace, params: Params) -> Params:
    """The design with a value for every gene: inactive ones the first, should a step wake them."""
    return {choice.name: params.get(choice.name, choice.values[0]) for choice in space.choices}
