"""What another study teaches this one: mean functions for surrogates, learned on the genes that both have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

import predictors
from cimbo.errors import BadInput
from cimbo.optimizer.surrogates import Inputs, View
from cimbo.optimizer.threads import one_thread
from cimbo.problem.space import Params, SearchSpace
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
    shared = frozenset(c.name for c in old.choices if _same_kind(space, c.name, ordered=c.ordered))
    found = {}
    for metric, view in views.items():
        known = [r for r in records if r.status == "done" and metric in r.metrics]
        if view.genes is None:
            genes = shared
        else:
            genes = shared & view.genes
        view = replace(view, genes=genes)
        if len(known) >= MIN_OLD_EVALUATIONS and view.genes:
            y = np.array([r.metrics[metric] for r in known])
            log = bool((y > 0).all()) and y.max() > 10 * y.min()
            table = Inputs(old, old.rows([r.params for r in known])).table(view)
            schema = view.schema(old, metric, log=log)
            with one_thread():
                found[metric] = predictors.fit(table, y, schema, "auto", seed=seed)
    return found


def _same_kind(space: SearchSpace, gene: str, *, ordered: bool) -> bool:
    return gene in space.column and space.choices[space.column[gene]].ordered == ordered


def _holds(space: SearchSpace, design: Params) -> bool:
    try:
        return space.canonical(design) == design
    except BadInput:
        return False
