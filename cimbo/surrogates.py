"""What stands in for a metric while candidates are chosen: a fitted predictor, or the metric itself where it is exact.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise. Latency spans orders of
magnitude, and both the predictors and the hypervolume that is improved are better behaved on its logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.objectives import Problem
from cimbo.space import Params, Rows, SearchSpace

Array = NDArray[np.float64]
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
class Inputs:
    """Rows (n, d) with what surrogates need of them, computed once: designs and the predictors' table (n, d + features)."""

    designs: list[Params]
    table: Array


@dataclass(frozen=True)
class Encoder:
    """From canonical rows to ``Inputs``."""

    space: SearchSpace
    features: Features | None = None

    def __call__(self, rows: Rows) -> Inputs:
        designs = self.space.designs(rows)
        table = self.space.encode(rows)
        if self.features is None:
            return Inputs(designs, table)
        derived = self.features(designs)
        return Inputs(designs, np.column_stack([table, *derived.values()]))

    def schema(self, metric: str, *, log: bool) -> predictors.Schema:
        """The predictors' description of the table and the target."""
        genes = [
            predictors.Feature(c.name, "ordinal" if c.ordered else "nominal", c.values) for c in self.space.choices
        ]
        names = self.features(self.space.designs(np.zeros((1, len(genes)), np.int16))) if self.features else {}
        derived = [predictors.Feature(name, "numeric") for name in names]
        return predictors.Schema((*genes, *derived), metric, unit(metric), log)


def unit(metric: str) -> str:
    """The unit in a metric's name ("ms" of "latency_ms"), "" where it carries none."""
    known = {"ms": "ms", "us": "us", "s": "s", "uj": "uJ", "mj": "mJ", "mm2": "mm2", "mw": "mW", "percent": "%"}
    return known.get(metric.rsplit("_", 1)[-1], "") if "_" in metric else ""


@dataclass(frozen=True)
class Learned:
    """A predictor. ``trusted``: whether it predicted data it had not seen."""

    model: predictors.Model
    trusted: bool = True

    @property
    def log(self) -> bool:
        return self.model.schema.log

    def moments(self, inputs: Inputs) -> tuple[Array, Array]:
        p = self.model.predict(inputs.table, noise=False)
        return p.centre, p.spread

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        drawn = self.model.sample(inputs.table, n, seed)
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
    """What surrogates are made from, apart from the observations."""

    encoder: Encoder
    kind: str = "auto"
    cheap: Mapping[str, Exact] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)


def targets(problem: Problem) -> list[str]:
    """The metrics that need a surrogate: objectives, then constrained metrics that are no objective."""
    names = [o.name for o in problem.objectives] + [c.metric for c in problem.constraints]
    return list(dict.fromkeys(names))


def fit(
    problem: Problem, rows: Rows, metrics: Sequence[Mapping[str, float]], teaching: Teaching, *, seed: int
) -> dict[str, Surrogate]:
    """A surrogate for every metric the problem needs, from evaluated rows (n, d) and what they measured."""
    inputs = teaching.encoder(rows)
    goals = {o.name: o.goal for o in problem.objectives}
    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        y = np.array([m[metric] for m in metrics], float)
        log = bool((y > 0).all()) and (goals.get(metric) != "max" or y.max() > 30 * y.min())
        if metric in teaching.cheap:
            fitted[metric] = Computed(metric, teaching.cheap[metric], log)
            continue
        fitted[metric] = _learn(inputs, y, teaching, schema=teaching.encoder.schema(metric, log=log), seed=seed)
    return fitted


def _learn(inputs: Inputs, y: Array, teaching: Teaching, *, schema: predictors.Schema, seed: int) -> Learned:
    prior = teaching.priors.get(schema.target)
    model = predictors.fit(inputs.table, y, schema, teaching.kind, seed=seed, mean=prior)
    modelled = np.log(y) if schema.log else y
    spread = float(modelled.std())
    # In cross-validation no better than the mean: it may not steer the search alone.
    trusted = spread == 0 or float(model.facts["error"]) < spread
    return Learned(model, trusted)
