"""What stands in for a metric while candidates are chosen: a fitted predictor, or the metric itself where it is exact.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise. Latency spans orders of
magnitude, and both the predictors and the hypervolume that is improved are better behaved on its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.objectives import Problem
from cimbo.space import Params, Rows, SearchSpace

Array = NDArray[np.float64]
FAR = 1e3  # median absolute deviations from the median: beyond, a value is no measurement of the same thing
#: list of n designs -> (n,) metric in its natural unit, exact and fast
Exact = Callable[[list[Params]], Array]
#: list of n designs -> derived features, each (n,): what is known of a design without measuring it
Features = Callable[[list[Params]], Mapping[str, Array]]


class Surrogate(Protocol):
    """One metric in modelled units at rows (n, d)."""

    @property
    def log(self) -> bool:
        """Whether modelled units are the logarithm of natural ones."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether it predicts what it has not seen."""
        ...

    def moments(self, inputs: Inputs) -> tuple[Array, Array]:
        """Mean and standard deviation, each (n,)."""
        ...

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Joint posterior samples (n, rows) of the noise-free metric."""
        ...


@dataclass(frozen=True)
class View:
    """What a metric depends on: ``genes`` (all of them when None), and ``features`` derived from a design.

    An accuracy that does not depend on the buffer is learned from fewer measurements by a surrogate that knows it.
    """

    genes: frozenset[str] | None = None
    features: Features | None = None

    def columns(self, space: SearchSpace) -> list[int]:
        """The genes' columns, in the space's order."""
        return [i for i, name in enumerate(space.names) if self.genes is None or name in self.genes]

    def schema(self, space: SearchSpace, metric: str, *, log: bool) -> predictors.Schema:
        """The predictors' description of a table (n, genes + features) and of the target."""
        choices = [space.choices[i] for i in self.columns(space)]
        genes = [predictors.Feature(c.name, "ordinal" if c.ordered else "nominal", c.values) for c in choices]
        names = self.features(space.designs(np.zeros((1, len(space.choices)), np.int16))) if self.features else {}
        derived = [predictors.Feature(name, "numeric") for name in names]
        return predictors.Schema((*genes, *derived), metric, unit(metric), log)


@dataclass(frozen=True)
class Inputs:
    """Canonical rows (n, d) and all that surrogates need of them, computed when asked for and kept."""

    space: SearchSpace
    rows: Rows
    _tables: dict[View, Array] = field(default_factory=dict, repr=False)

    @cached_property
    def designs(self) -> list[Params]:
        return self.space.designs(self.rows)

    def table(self, view: View) -> Array:
        """The predictors' table (n, genes + features) of a view."""
        if view not in self._tables:
            genes = self.space.encode(self.rows)[:, view.columns(self.space)]
            derived = view.features(self.designs).values() if view.features else ()
            self._tables[view] = np.column_stack([genes, *derived])
        return self._tables[view]


def modelled(values: Array, *, log: bool) -> Array:
    """Metrics (n,) in modelled units; those absurdly far from the others are brought to the edge of what is not.

    An evaluator's -1e9 for "it went wrong" must not flatten everything else.
    """
    values = np.log(values) if log else values
    middle = np.median(values)
    reach = FAR * float(np.median(np.abs(values - middle)))
    return np.clip(values, middle - reach, middle + reach) if reach > 0 else values


def unit(metric: str) -> str:
    """The unit in a metric's name ("ms" of "latency_ms"), "" where it carries none."""
    known = {"ms": "ms", "us": "us", "s": "s", "uj": "uJ", "mj": "mJ", "mm2": "mm2", "mw": "mW", "percent": "%"}
    return known.get(metric.rsplit("_", 1)[-1], "") if "_" in metric else ""


@dataclass(frozen=True)
class Learned:
    """A predictor over a view of the design. ``trusted``: whether it predicted data it had not seen."""

    model: predictors.Model
    view: View
    trusted: bool = True

    @property
    def log(self) -> bool:
        return self.model.schema.log

    def moments(self, inputs: Inputs) -> tuple[Array, Array]:
        p = self.model.predict(inputs.table(self.view), noise=False)
        return p.centre, p.spread

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        drawn = self.model.sample(inputs.table(self.view), n, seed)
        return np.log(drawn) if self.log else drawn


@dataclass(frozen=True)
class Computed:
    """A metric that is exact and cheap: no uncertainty, nothing to learn."""

    metric: str
    compute: Exact
    log: bool
    trusted: bool = field(default=True, init=False)

    def moments(self, inputs: Inputs) -> tuple[Array, Array]:
        values = np.asarray(self.compute(inputs.designs), float)
        if self.log:
            values = np.log(np.maximum(values, np.finfo(float).tiny))
        return values, np.zeros(len(values))

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        return np.broadcast_to(self.moments(inputs)[0], (n, len(inputs.designs)))


@dataclass(frozen=True)
class Teaching:
    """What surrogates are made from, apart from the observations.

    views: metric -> what it depends on; every gene where it is not named. cheap: metrics that are computed. priors: older
    predictors, used as mean functions. ``choices`` keeps which kind "auto" chose, so that a refit need not choose again.
    """

    space: SearchSpace
    kind: str = "auto"
    views: Mapping[str, View] = field(default_factory=dict)
    cheap: Mapping[str, Exact] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)
    choices: dict[tuple[str, int], str] = field(default_factory=dict)


def targets(problem: Problem) -> list[str]:
    """The metrics that need a surrogate: objectives, then constrained metrics that are no objective."""
    names = [o.name for o in problem.objectives] + [c.metric for c in problem.constraints]
    return list(dict.fromkeys(names))


def fit(
    problem: Problem, rows: Rows, metrics: Sequence[Mapping[str, float]], teaching: Teaching, *, seed: int
) -> dict[str, Surrogate]:
    """A surrogate for every metric the problem needs, from evaluated rows (n, d) and what they measured."""
    inputs = Inputs(problem.space, rows)
    goals = {o.name: o.goal for o in problem.objectives}
    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        y = np.array([m[metric] for m in metrics], float)
        log = bool((y > 0).all()) and (goals.get(metric) != "max" or y.max() > 30 * y.min())
        if metric in teaching.cheap:
            fitted[metric] = Computed(metric, teaching.cheap[metric], log)
        else:
            fitted[metric] = _learn(inputs, y, teaching, metric=metric, log=log, seed=seed)
    return fitted


def _learn(inputs: Inputs, y: Array, teaching: Teaching, *, metric: str, log: bool, seed: int) -> Learned:
    view = teaching.views.get(metric, View())
    schema = view.schema(inputs.space, metric, log=log)
    table = inputs.table(view)
    y = np.exp(modelled(y, log=True)) if log else modelled(y, log=False)
    kind = teaching.kind
    if kind == "auto":
        # The kind is a function of the first so many observations, and chosen anew when there are a quarter more: a search
        # that was interrupted chooses the same ones again.
        n = milestone(len(y))
        if (metric, n) not in teaching.choices:
            teaching.choices[metric, n] = predictors.fit(table[:n], y[:n], schema, "auto", seed=seed).kind
        kind = teaching.choices[metric, n]
    model = predictors.fit(table, y, schema, kind, seed=seed, mean=teaching.priors.get(metric))
    spread = float(modelled(y, log=log).std())
    # In cross-validation no better than the mean: it may not steer the search alone.
    return Learned(model, view, trusted=spread == 0 or float(model.facts["error"]) < spread)


def milestone(n: int) -> int:
    """The largest of 5, 7, 9, 12, ... (each a quarter more) that ``n`` reaches; ``n`` itself below 5."""
    reached = 5
    while (following := math.ceil(reached * 1.25)) <= n:
        reached = following
    return min(reached, n)
