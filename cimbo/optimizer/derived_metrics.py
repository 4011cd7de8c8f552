"""Derived metrics while candidates are chosen: computed where all that they follow from is.

What was measured (Kendall tau on 250 designs of fmnist-vit and its chips after 30 and 80 evaluations, four metrics, two seeds)
is in ``docs/design/proposals.md``: a surrogate of the expression and the expression of surrogates are as good as each other
where both see the physics of costs, and what counts is that they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.surrogates import AnalyticFunction, View, of_rows
from cimbo.problem.derived import DerivedMetrics
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params, Rows, SearchSpace

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ComputedExpression:
    """A derived metric of metrics that are computed and of genes.

    Attributes:
        derived: The study's derived metrics.
        metric: The one that this is.
        parts: The metrics it follows from, as functions of designs.
        space: The space of the designs.
    """

    derived: DerivedMetrics
    metric: str
    parts: Mapping[str, AnalyticFunction]
    space: SearchSpace

    def __call__(self, designs: list[Params]) -> Array:
        """(n,) the metric of n designs."""
        return self.of_rows(self.space, self.space.rows(designs))

    def of_rows(self, space: SearchSpace, rows: Rows) -> Array:
        """Compute the metric of designs that are given as rows.

        Args:
            space: The space of the rows.
            rows: Canonical rows, (n, d).

        Returns:
            The metric in its natural unit, (n,).
        """
        if not len(rows):
            return np.zeros(0)
        genes = space.encode(rows)
        values: dict[str, Array] = {}
        for name in self.derived.parts(self.metric):
            if name in self.parts:
                values[name] = np.asarray(of_rows(self.parts[name], space, rows), float)
            else:
                values[name] = genes[:, space.column[name]]
        return np.asarray(self.derived.of_parts(self.metric, values), float)


def with_computed(
    problem: Problem, analytic: Mapping[str, AnalyticFunction]
) -> dict[str, AnalyticFunction]:
    """Add the derived targets that can be computed.

    They follow from analytic metrics and ordered genes alone.

    Args:
        problem: What the study searches.
        analytic: Metrics that are computed, by name.

    Returns:
        ``analytic`` and such targets, by name, as functions of designs.
    """
    found = dict(analytic)
    derived = problem.derived
    numeric = {choice.name for choice in problem.space.choices if choice.ordered}
    for metric in problem.targets:
        if metric in found or metric not in derived.expressions:
            continue
        parts = derived.parts(metric)
        if all(part in analytic or part in numeric for part in parts):
            computed = {part: analytic[part] for part in parts if part in analytic}
            found[metric] = ComputedExpression(derived, metric, computed, problem.space)
    return found


def with_views_of_parts(
    problem: Problem,
    views: Mapping[str, View],
) -> dict[str, View]:
    """Add views of derived targets.

    Such a view has every gene, and the features of the first of the metrics it follows from that
    has some and sees every gene.

    Args:
        problem: What the study searches.
        views: What metrics depend on, by name.

    Returns:
        ``views`` and those of derived targets with such a part, by name.
    """
    found = dict(views)
    for metric in problem.targets:
        if metric in found or metric not in problem.derived.expressions:
            continue
        for part in problem.derived.parts(metric):
            view = views.get(part, View())
            if view.features is not None and view.genes is None:
                found[metric] = replace(view)
                break
    return found
