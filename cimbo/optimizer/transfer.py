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
    """The records whose designs this space holds too."""
    return [r for r in records if _holds(space, r.params)]


def priors(
    space: SearchSpace,
    old: SearchSpace,
    records: Sequence[Record],
    views: Mapping[str, View],
    *,
    seed: int = 0,
) -> dict[str, predictors.Model]:
    """A predictor for each metric of ``views``, over the genes of ``old`` that ``space`` has as well.

    records: evaluations of ``old``. views: what each metric depends on there. A metric measured fewer than 10 times, or
    that shares no gene, gets none.
    """
    shared = frozenset(c.name for c in old.choices if _same_kind(space, c.name, ordered=c.ordered))
    found = {}
    for metric, view in views.items():
        known = [r for r in records if r.status == "done" and metric in r.metrics]
        view = replace(view, genes=shared if view.genes is None else shared & view.genes)
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
