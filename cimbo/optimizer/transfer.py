"""Transfer from another study: predictors fitted to its log, on the genes that both have, as mean functions of surrogates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

import predictors
from cimbo.errors import BadInput
from cimbo.optimizer.surrogates import Inputs, View
from cimbo.optimizer.threads import one_thread
from cimbo.problem.space import Choice, Params, SearchSpace
from cimbo.storage import Record

MIN_OLD_EVALUATIONS = 10  # measurements of a metric that another study must have


def fitting(space: SearchSpace, records: Iterable[Record]) -> list[Record]:
    """Choose the records whose designs belong to a space.

    Args:
        space: The space.
        records: Evaluations, perhaps of another space.

    Returns:
        Those of them that fit, in order.
    """
    return [r for r in records if _holds(space, r.params)]


def priors(
    space: SearchSpace,
    old: SearchSpace,
    records: Sequence[Record],
    views: Mapping[str, View],
    *,
    seed: int = 0,
) -> dict[str, predictors.Model]:
    """Fit a predictor for each metric to the evaluations of another study.

    It sees the genes that both spaces have, and that are ordered in both or unordered in both.

    Args:
        space: The space of the new study.
        old: The space of the other study.
        records: Evaluations of ``old``.
        views: What each metric depends on there, by name.
        seed: Seed of the fits.

    Returns:
        A predictor by name of the metric. A metric measured fewer than MIN_OLD_EVALUATIONS times,
        or that shares no gene, gets none.
    """
    shared = frozenset(choice.name for choice in old.choices if _has_same_kind(space, choice))
    models = {}
    for metric, view in views.items():
        measured = [r for r in records if r.status == "done" and metric in r.metrics]
        genes = shared
        if view.genes is not None:
            genes = shared & view.genes
        if len(measured) >= MIN_OLD_EVALUATIONS and genes:
            shared_view = replace(view, genes=genes)
            models[metric] = _prior(old, measured, metric, shared_view, seed)
    return models


def _prior(
    old: SearchSpace,
    records: Sequence[Record],
    metric: str,
    view: View,
    seed: int,
) -> predictors.Model:
    """Fit a predictor of a metric to evaluations of the space ``old`` that measured it."""
    y = np.array([record.metrics[metric] for record in records])
    log = bool((y > 0).all()) and y.max() > 10 * y.min()
    rows = old.rows([record.params for record in records])
    table = Inputs(old, rows).table(view)
    schema = view.schema(old, metric, log=log)
    with one_thread():
        return predictors.fit(table, y, schema, "auto", seed=seed)


def _has_same_kind(space: SearchSpace, gene: Choice) -> bool:
    """Whether a space has a gene of the same name, and both are ordered or both unordered."""
    if gene.name not in space.column:
        return False
    return space.choices[space.column[gene.name]].ordered == gene.ordered


def _holds(space: SearchSpace, design: Params) -> bool:
    try:
        return space.canonical(design) == design
    except BadInput:
        return False
