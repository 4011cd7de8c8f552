"""A design with one gene a step further, as surrogates of the study's own evaluations predict it.

For chips that cimbo's model does not know, nothing else says what a gene is worth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cimbo.analysis.neighbours import Neighbour, compared
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import Inputs, Surrogate, SurrogateFactory
from cimbo.problem.space import Choice, Params, SearchSpace, Value
from cimbo.session.context import StudyContext
from cimbo.session.warm_start import known_views
from cimbo.storage import Record

LEAST_EVALUATIONS = 10  # to predict from
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
    measured = []
    for r in context.study.evaluations():
        if r.status == "done" and all(name in r.metrics for name in problem.targets):
            measured.append(r)
    known = {problem.space.key(r.params): r for r in measured}
    found, steps = [], []
    for params in _steps(problem.space, record.params):
        seen = known.get(problem.space.key(params))
        if seen is None:
            steps.append(params)
        elif seen.key != record.key:
            found.append(compared(problem, record, params, seen.metrics, key=seen.key))
    if len(measured) < LEAST_EVALUATIONS or not steps:
        return found
    factory = SurrogateFactory(problem.space, SURROGATE_KIND, known_views(context))
    rows = problem.space.rows([r.params for r in measured])
    fitted = surrogates.fit(problem, rows, [r.metrics for r in measured], factory, seed=0)
    changes = {name: _changes(s, problem.space, record, steps) for name, s in fitted.items()}
    for i, params in enumerate(steps):
        metrics = dict(record.metrics)
        for name, change in changes.items():
            was = metrics[name]
            if fitted[name].log:
                metrics[name] = was * float(np.exp(change[i]))
            else:
                metrics[name] = was + change[i]
        found.append(compared(problem, record, params, metrics, computed_by="predicted"))
    return found


def _changes(
    surrogate: Surrogate, space: SearchSpace, record: Record, steps: list[Params]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """By how much a metric changes with each step (n,), in modelled units."""
    means = surrogate.mean(Inputs(space, space.rows([record.params, *steps])))
    return np.asarray(means[1:] - means[0])


def _steps(space: SearchSpace, params: Params) -> Iterator[Params]:
    """Designs one value away in an ordered gene, and with any other value of an unordered one."""
    for choice in space.hardware or space.architecture:
        if choice.name not in params:
            continue
        for value in _next_values(choice, params):
            yield space.canonical({**_all_genes(space, params), choice.name: value})


def _next_values(choice: Choice, params: Params) -> list[Value]:
    values = list(choice.values)
    here = values.index(params[choice.name])
    if not choice.ordered:
        return [value for value in values if value != params[choice.name]]
    return [values[i] for i in (here - 1, here + 1) if 0 <= i < len(values)]


def _all_genes(space: SearchSpace, params: Params) -> Params:
    """The design with a value for every gene: inactive ones the first, should a step wake them."""
    return {choice.name: params.get(choice.name, choice.values[0]) for choice in space.choices}
