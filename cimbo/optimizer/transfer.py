"""What another study teaches this one: mean functions for surrogates, learned on the genes that both have."""

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

MIN_OLD_EVALUATIONS = 10  # evaluations below which nothing is learned from another study


def fitting(space: SearchSpace, records: Iterable[Record]) -> list[Record]:
    """Choose the records whose designs a space holds, too.

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

    It sees the genes that both spaces have, ordered or unordered in both.

    Args:
        space: The space of the new study.
        old: The space of the other study.
        records: Evaluations of ``old``.
        views: What each metric depends on there, by name.
        seed: Of the fits.

    Returns:
        A predictor by name of the metric. A metric measured fewer than MIN_OLD_EVALUATIONS times,
        or that shares no gene, gets none.
    """
    shared = frozenset(choice.name for choice in old.choices if _has_same_kind(space, choice))
    found = {}
    for metric, view in views.items():
        known = [r for r in records if r.status == "done" and metric in r.metrics]
        genes = shared
        if view.genes is not None:
            genes = shared & view.genes
        if len(known) >= MIN_OLD_EVALUATIONS and genes:
            seen = replace(view, genes=genes)
            found[metric] = _prior(old, known, metric, seen, seed)
    return found


def _prior(
    old: SearchSpace,
    records: Sequence[Record],
    metric: str,
    view: View,
    seed: int,
) -> predictors.Model:
    """A predictor of a metric, fitted to evaluations that have it."""
    y = np.array([record.metrics[metric] for record in records])
    log = bool((y > 0).all()) and y.max() > 10 * y.min()
    rows = old.rows([record.params for record in records])
    table = Inputs(old, rows).table(view)
    schema = view.schema(old, metric, log=log)
    with one_thread():
        return predictors.fit(table, y, schema, "auto", seed=seed)


def _has_same_kind(space: SearchSpace, gene: Choice) -> bool:
    """Whether a space has a gene of this name that is ordered, or unordered, too."""
    if gene.name not in space.column:
        return False
    return space.choices[space.column[gene.name]].ordered == gene.ordered


def _holds(space: SearchSpace, design: Params) -> bool:
    try:
        return space.canonical(design) == design
    except BadInput:
        return False
