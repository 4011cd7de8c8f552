"""What stands in for a metric while candidates are chosen: a fitted predictor, or the metric itself where it is exact.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise. Latency spans orders of
magnitude, and both the predictors and the hypervolume that is improved are better behaved on its logarithm.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.errors import BadInput
from cimbo.optimizer.gene_groups import group_names
from cimbo.problem.objectives import Problem, name_and_unit
from cimbo.problem.pareto import ranks
from cimbo.problem.space import Choice, Params, Rows, SearchSpace

Array = NDArray[np.float64]
RESELECTION_GROWTH = 1.5  # how much more data makes the kind be chosen anew
REFIT_GROWTH = 1.1  # how much more makes the hyper-parameters be found anew
MAX_TRAINING_ROWS = 500  # rows that a model is fitted to
OUTLIER_DEVIATIONS = 1e3  # median absolute deviations from the median: beyond, a value is no measurement of the same thing
#: list of n designs -> (n,) metric in its natural unit, exact and fast
AnalyticFunction = Callable[[list[Params]], Array]
#: list of n designs -> derived features, each (n,): what is known of a design without measuring it
Features = Callable[[list[Params]], Mapping[str, Array]]
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


@runtime_checkable
class RowsFunction(Protocol[Answer_co]):
    """A function of designs that also takes them as rows of a space, which spares it a dictionary for each."""

    def __call__(self, designs: list[Params]) -> Answer_co:
        """Answer for n designs."""
        ...

    def of_rows(self, space: SearchSpace, rows: Rows) -> Answer_co:
        """Answer for canonical rows (n, d)."""
        ...


def of_rows(function: Callable[[list[Params]], Answer], space: SearchSpace, rows: Rows) -> Answer:
    """Call ``function`` for canonical rows (n, d): as rows where it takes them, else as designs."""
    if isinstance(function, RowsFunction):
        found: Answer = function.of_rows(space, rows)
        return found
    return function(space.designs(rows))


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

    @property
    def noise(self) -> float:
        """Standard deviation of a measurement around the metric."""
        ...

    def mean(self, inputs: Inputs) -> Array:
        """(n,) mean alone, which costs less."""
        ...

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
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
        groups = group_names(space.architecture, space.hardware)
        choices = [space.choices[i] for i in self.columns(space)]
        genes = [_feature(c, groups[c.name]) for c in choices]
        derived = [predictors.Feature(name, "numeric") for name in self._feature_names(space)]
        return predictors.Schema((*genes, *derived), metric, name_and_unit(metric)[1], log)

    def _feature_names(self, space: SearchSpace) -> list[str]:
        """The derived features' names, as the first design of the space has them."""
        if self.features is None:
            return []
        first = space.canonical_rows(np.zeros((1, len(space.choices)), space.row_type))
        return list(of_rows(self.features, space, first))


def _feature(gene: Choice, group: str) -> predictors.Feature:
    kind = "ordinal" if gene.ordered else "nominal"
    return predictors.Feature(gene.name, kind, gene.values, group)


@cache
def _codes(n: int, ordered: bool) -> Array:
    """The predictors' encoding of each index of a gene of ``n`` values (n + 1, width), last that of INACTIVE."""
    active = np.arange(1.0, n + 1.0)[:, None] / n if ordered else np.eye(n)
    return np.concatenate([active, np.zeros((1, active.shape[1]))])


@dataclass(frozen=True)
class Inputs:
    """Canonical rows (n, d) and all that surrogates need of them, computed when asked for and kept."""

    space: SearchSpace
    rows: Rows
    _derived: dict[Features, list[Array]] = field(default_factory=dict, repr=False)
    _tables: dict[View, Array] = field(default_factory=dict, repr=False)
    _encoded: dict[View, Array] = field(default_factory=dict, repr=False)

    def derived(self, view: View) -> list[Array]:
        """A view's derived features, each (n,)."""
        if view.features is None:
            return []
        if view.features not in self._derived:
            found = of_rows(view.features, self.space, self.rows)
            self._derived[view.features] = list(found.values())
        return self._derived[view.features]

    def table(self, view: View) -> Array:
        """The predictors' table (n, genes + features) of a view."""
        if view not in self._tables:
            genes = self.space.encode(self.rows)[:, view.columns(self.space)]
            self._tables[view] = np.column_stack([genes, *self.derived(view)])
        return self._tables[view]

    def encoded(self, view: View) -> Array:
        """``view.schema(...).encode(table(view))`` (n, k), looked up: rows of the space need no checking."""
        if view not in self._encoded:
            choices = [(i, self.space.choices[i]) for i in view.columns(self.space)]
            genes = [_codes(len(c.values), c.ordered)[self.rows[:, i]] for i, c in choices]
            self._encoded[view] = np.column_stack([*genes, *map(np.nan_to_num, self.derived(view))])
        return self._encoded[view]


def modelled(values: Array, *, log: bool) -> Array:
    """Metrics (n,) in modelled units; those absurdly far from the others are brought to the edge of what is not.

    An evaluator's -1e9 for "it went wrong" must not flatten everything else.
    """
    values = np.log(values) if log else values
    middle = np.median(values)
    reach = OUTLIER_DEVIATIONS * float(np.median(np.abs(values - middle)))
    return np.clip(values, middle - reach, middle + reach) if reach > 0 else values


def logarithmic(y: Array, goal: str | None) -> bool:
    """Whether measurements (n,) are modelled as logarithms: positive, and costs or spread over more than a decade."""
    return bool((y > 0).all() and (goal != "max" or y.max() > 30 * y.min()))


@dataclass(frozen=True)
class FittedSurrogate:
    """A predictor over a view of the design. ``trusted``: whether it predicted data it had not seen."""

    model: predictors.Model
    view: View
    trusted: bool = True

    @property
    def log(self) -> bool:
        return self.model.schema.log

    @property
    def noise(self) -> float:
        return math.sqrt(self.model.noise_variance)

    def mean(self, inputs: Inputs) -> Array:
        return self.model.mean(inputs.encoded(self.view))

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        mean, variance = self.model.latent_posterior(inputs.encoded(self.view))
        return mean, np.sqrt(variance)

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        # Intervals are widened until they hold what a search meets later on; with half of that it finds its way sooner.
        return replace(self.model, std_scale=0.5 * (1.0 + self.model.std_scale)).sample_latent(
            inputs.encoded(self.view), n, seed
        )


@dataclass(frozen=True)
class AnalyticMetric:
    """A metric that is exact and cheap: no uncertainty, nothing to learn. Values are kept, as a search asks again."""

    metric: str
    compute: AnalyticFunction
    log: bool
    trusted: bool = field(default=True, init=False)
    noise: float = field(default=0.0, init=False)
    _kept: dict[bytes, float] = field(default_factory=dict, init=False, repr=False)

    def mean(self, inputs: Inputs) -> Array:
        keys = [row.tobytes() for row in inputs.rows]
        new = list({key: i for i, key in enumerate(keys) if key not in self._kept}.values())
        if new:
            values = np.asarray(of_rows(self.compute, inputs.space, inputs.rows[new]), float)
            values = np.log(np.maximum(values, np.finfo(float).tiny)) if self.log else values
            self._kept.update(zip((keys[i] for i in new), values.tolist(), strict=True))
        return np.array([self._kept[key] for key in keys])

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        return self.mean(inputs), np.zeros(len(inputs.rows))

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        return np.broadcast_to(self.mean(inputs), (n, len(inputs.rows)))


@dataclass(frozen=True)
class SurrogateFactory:
    """What surrogates are made from, apart from the observations.

    views: metric -> what it depends on; every gene where it is not named. analytic: metrics that are computed. priors: older
    predictors, used as mean functions. ``kept`` is a memory of fits that are asked for again with the same data.
    """

    space: SearchSpace
    kind: str | predictors.SurrogateKind = "auto"
    views: Mapping[str, View] = field(default_factory=dict)
    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[bytes, predictors.Model]] = field(default_factory=dict)

    def fit(
        self,
        table: Array,
        y: Array,
        schema: predictors.Schema,
        kind: str | predictors.SurrogateKind,
        *,
        seed: int,
        noise: Array | None = None,
    ) -> predictors.Model:
        """``predictors.fit`` with the metric's prior, remembered; ``noise``: standard deviations (n,) of ``y``."""
        known = [] if noise is None else [noise]
        data = hashlib.blake2b(
            np.column_stack([table, y, *known]).tobytes() + f"{seed} {kind} {schema.log}".encode()
        ).digest()
        place = (schema.target, "auto" if kind == "auto" else "fixed")
        if place not in self.kept or self.kept[place][0] != data:
            prior = self.priors.get(schema.target)
            model = predictors.fit(table, y, schema, kind, seed=seed, mean=prior, noise=noise)
            self.kept[place] = (data, model)
        return self.kept[place][1]


def checked_kind(kind: str | predictors.SurrogateKind) -> str | predictors.SurrogateKind:
    """``kind`` itself. Raises BadInput when no surrogate has this name, so that nothing is evaluated in vain."""
    if kind == "auto":
        return kind
    try:
        predictors.find(kind)
    except predictors.PredictorError as error:
        raise BadInput("surrogate", error.wrong, error.remedy) from None
    return kind


def targets(problem: Problem) -> list[str]:
    """The metrics that need a surrogate: objectives, then constrained metrics that are no objective."""
    return list(problem.targets)


def fit(
    problem: Problem,
    rows: Rows,
    metrics: Sequence[Mapping[str, float]],
    factory: SurrogateFactory,
    *,
    seed: int,
    noise: Mapping[str, Array] | None = None,
) -> dict[str, Surrogate]:
    """A surrogate for every metric the problem needs, from evaluated rows (n, d) and what they measured.

    ``noise``: of metrics whose measurements were repeated, the standard deviations (n,) of what was measured.
    """
    known_noise = noise or {}
    inputs = Inputs(problem.space, rows)
    goals = {o.name: o.goal for o in problem.objectives}
    scores = problem.scores(metrics)
    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        y = np.array([m[metric] for m in metrics], float)
        log = logarithmic(y, goals.get(metric))
        if metric in factory.analytic:
            fitted[metric] = AnalyticMetric(metric, factory.analytic[metric], log)
        else:
            fitted[metric] = _learn(
                inputs,
                y,
                factory,
                metric=metric,
                log=log,
                seed=seed,
                scores=scores,
                noise=known_noise.get(metric),
            )
    return fitted


def training_subset(scores: Array) -> NDArray[np.intp]:
    """Choose the rows that a model is fitted to, as indices into scores (n, m).

    All of them up to ``MAX_TRAINING_ROWS``; beyond, the best two thirds by front, the others evenly from the rest.

    What an exact process costs grows with the cube of its rows; where a search has got to needs more of them than where it
    came from.
    """
    n = len(scores)
    if n <= MAX_TRAINING_ROWS:
        return np.arange(n)
    best = np.argsort(ranks(scores, 2 * MAX_TRAINING_ROWS // 3), kind="stable")[
        : 2 * MAX_TRAINING_ROWS // 3
    ]
    rest = np.setdiff1d(np.arange(n), best)
    return np.sort(
        np.concatenate(
            [best, rest[np.linspace(0, len(rest) - 1, MAX_TRAINING_ROWS - len(best)).astype(int)]]
        )
    )


def _learn(
    inputs: Inputs,
    y: Array,
    factory: SurrogateFactory,
    *,
    metric: str,
    log: bool,
    seed: int,
    scores: Array,
    noise: Array | None,
) -> FittedSurrogate:
    view = factory.views.get(metric, View())
    schema = view.schema(inputs.space, metric, log=log)
    y = np.exp(modelled(y, log=True)) if log else modelled(y, log=False)

    def fitted(kind: str | predictors.SurrogateKind, rows: NDArray[np.intp]) -> predictors.Model:
        known = None if noise is None else noise[rows]
        return factory.fit(inputs.table(view)[rows], y[rows], schema, kind, seed=seed, noise=known)

    # Kind and hyper-parameters are functions of the first so many observations, found anew when there are half, or a tenth,
    # more: a search that was interrupted finds the same ones again. The other observations are conditioned on.
    first, n = refit_size(len(y), RESELECTION_GROWTH), refit_size(len(y), REFIT_GROWTH)
    if noise is not None:  # a later measurement of an early design changes what all of them say
        n = len(y)
    rows = training_subset(scores[:n])
    chosen = fitted("auto", training_subset(scores[:first])) if factory.kind == "auto" else None
    model = (
        chosen if chosen and first == n else fitted(chosen.kind if chosen else factory.kind, rows)
    )
    spread = float(modelled(y[rows], log=log).std())
    if n < len(y):
        rows = np.concatenate([rows, np.arange(n, len(y))])
        model = predictors.extend(model, inputs.table(view)[rows], y[rows], seed=seed)
    # In cross-validation no better than the mean: it may not steer the search alone.
    return FittedSurrogate(
        model, view, trusted=spread == 0 or float(model.metadata["error"]) < spread
    )


def refit_size(n: int, growth: float) -> int:
    """The largest of 5, 5 ``growth``, 5 ``growth``^2, ... (rounded up) that ``n`` reaches; ``n`` itself below 5."""
    reached = 5
    while (following := math.ceil(reached * growth)) <= n:
        reached = following
    return min(reached, n)
