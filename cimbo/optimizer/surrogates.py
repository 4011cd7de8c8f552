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
from cimbo.optimizer.expression_surrogate import learned_parts
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
"""A metric that can be computed: from a list of n designs, dicts of active genes, to its values (n,).

Examples:
    >>> import numpy as np
    >>> def latency_ms(designs):
    ...     return np.array([64 * design["depth"] / design["rows"] for design in designs])
    >>> float(latency_ms([{"depth": 2, "rows": 128}])[0])
    1.0
"""
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
        """Answer for designs that are given as rows, as a call with these designs does.

        Args:
            space: The space of the rows.
            rows: Canonical rows, (n, d).

        Returns:
            The answer for the n designs.
        """
        ...


def of_rows(function: Callable[[list[Params]], Answer], space: SearchSpace, rows: Rows) -> Answer:
    """Call a function for rows: as rows where it takes them, else as designs.

    Args:
        function: A function of designs, perhaps a ``RowsFunction``.
        space: The space of the rows.
        rows: Canonical rows, (n, d).

    Returns:
        What the function answers.
    """
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
        """Predict the mean alone, which costs less than ``mean_and_std``.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means in modelled units, (n,).
        """
        ...

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Predict mean and standard deviation of the noise-free metric.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means and standard deviations in modelled units, (n,) each.
        """
        ...

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Draw joint posterior samples of the noise-free metric.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
        ...


@dataclass(frozen=True)
class View:
    """What a metric depends on: ``genes`` (all of them when None), and ``features`` derived from a design.

    An accuracy that does not depend on the buffer is learned from fewer measurements by a surrogate that knows it.

    Examples:
        >>> from cimbo import OptimizerOptions, View
        >>> accuracy = View(genes=frozenset({"depth", "width"}))  # no gene of the chip changes it
        >>> OptimizerOptions(views={"accuracy": accuracy}).views["accuracy"].features is None
        True
    """

    genes: frozenset[str] | None = None
    features: Features | None = None

    def columns(self, space: SearchSpace) -> list[int]:
        """Find the columns of the genes in view.

        Args:
            space: The space whose rows have these columns.

        Returns:
            Indices of the columns, rising.
        """
        columns = []
        for i, name in enumerate(space.names):
            if self.genes is None or name in self.genes:
                columns.append(i)
        return columns

    def schema(self, space: SearchSpace, metric: str, *, log: bool) -> predictors.Schema:
        """Describe a table (n, genes + features) and its target to the predictors.

        Args:
            space: The space of the designs.
            metric: Name of the target.
            log: Whether the target is modelled as its logarithm.

        Returns:
            The description: genes in the space's order, then the derived features.
        """
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
    """The predictors' encoding of each index of a gene of ``n`` values (n + 1, width), last that of INACTIVE_INDEX."""
    if ordered:
        active = np.arange(1.0, n + 1.0)[:, None] / n
    else:
        active = np.eye(n)
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
        """Compute the derived features of a view, or look them up.

        Args:
            view: What a metric depends on.

        Returns:
            A column (n,) for each feature; none where the view has no features.
        """
        if view.features is None:
            return []
        if view.features not in self._derived:
            found = of_rows(view.features, self.space, self.rows)
            self._derived[view.features] = list(found.values())
        return self._derived[view.features]

    def table(self, view: View) -> Array:
        """Build the predictors' table of a view, or look it up.

        Args:
            view: What a metric depends on.

        Returns:
            Values of genes, then derived features, (n, genes + features).
        """
        if view not in self._tables:
            genes = self.space.encode(self.rows)[:, view.columns(self.space)]
            self._tables[view] = np.column_stack([genes, *self.derived(view)])
        return self._tables[view]

    def encoded(self, view: View) -> Array:
        """Encode the table of a view, or look it up.

        It is ``view.schema(...).encode(table(view))`` without checks, which rows of the space do
        not need.

        Args:
            view: What a metric depends on.

        Returns:
            The encoded table, (n, k).
        """
        if view not in self._encoded:
            choices = [(i, self.space.choices[i]) for i in view.columns(self.space)]
            genes = [_codes(len(c.values), c.ordered)[self.rows[:, i]] for i, c in choices]
            self._encoded[view] = np.column_stack([*genes, *map(np.nan_to_num, self.derived(view))])
        return self._encoded[view]


def modelled(values: Array, *, log: bool) -> Array:
    """Bring a metric into modelled units.

    Values absurdly far from the others are brought to the edge of what is not: an evaluator's -1e9
    for "it went wrong" must not flatten everything else. The edge is OUTLIER_DEVIATIONS median
    absolute deviations from the median.

    Args:
        values: The metric in its natural unit, (n,); above 0 where ``log`` is set.
        log: Whether modelled units are logarithms.

    Returns:
        Values in modelled units, (n,).
    """
    values = np.log(values) if log else values
    middle = np.median(values)
    reach = OUTLIER_DEVIATIONS * float(np.median(np.abs(values - middle)))
    if reach > 0:
        return np.clip(values, middle - reach, middle + reach)
    return values


def logarithmic(y: Array, goal: str | None) -> bool:
    """Decide whether measurements are modelled as logarithms.

    They are where all are positive, and either they are not to be maximised or the largest is more
    than 30 times the smallest.

    Args:
        y: Measurements in their natural unit, (n,).
        goal: "min" or "max"; None where the metric is no objective.

    Returns:
        Whether logarithms are taken.
    """
    return bool((y > 0).all() and (goal != "max" or y.max() > 30 * y.min()))


@dataclass(frozen=True)
class FittedSurrogate:
    """A predictor over a view of the design. ``trusted``: whether it predicted data it had not seen."""

    model: predictors.Model
    view: View
    trusted: bool = True

    @property
    def log(self) -> bool:
        """Whether the model's target is a logarithm."""
        return self.model.schema.log

    @property
    def noise(self) -> float:
        """Standard deviation of a measurement, as the model knows it."""
        return math.sqrt(self.model.noise_variance)

    def mean(self, inputs: Inputs) -> Array:
        """Predict the mean alone.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means in modelled units, (n,).
        """
        return self.model.mean(inputs.encoded(self.view))

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Predict mean and standard deviation of the noise-free metric.

        Args:
            inputs: The designs, n rows.

        Returns:
            Means and standard deviations in modelled units, (n,) each.
        """
        mean, variance = self.model.latent_posterior(inputs.encoded(self.view))
        return mean, np.sqrt(variance)

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        # Intervals are widened until they hold what a search meets later on; with half of that it finds its way sooner.
        """Draw joint posterior samples of the noise-free metric.

        Their spread is widened half as much as that of the intervals that are reported.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: The same seed gives the same samples.

        Returns:
            Samples in modelled units, (n, k).
        """
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
        """Compute the metric, or look it up for rows that were asked before.

        Args:
            inputs: The designs, n rows.

        Returns:
            The metric in modelled units, (n,).
        """
        keys = [row.tobytes() for row in inputs.rows]
        new = list({key: i for i, key in enumerate(keys) if key not in self._kept}.values())
        if new:
            values = np.asarray(of_rows(self.compute, inputs.space, inputs.rows[new]), float)
            if self.log:
                values = np.log(np.maximum(values, np.finfo(float).tiny))
            self._kept.update(zip((keys[i] for i in new), values.tolist(), strict=True))
        return np.array([self._kept[key] for key in keys])

    def mean_and_std(self, inputs: Inputs) -> tuple[Array, Array]:
        """Compute the metric; there is no uncertainty.

        Args:
            inputs: The designs, n rows.

        Returns:
            The metric in modelled units, and zeros, (n,) each.
        """
        return self.mean(inputs), np.zeros(len(inputs.rows))

    def samples(self, inputs: Inputs, n: int, seed: int) -> Array:
        """Repeat the metric: every sample is the same.

        Args:
            inputs: The designs, k rows.
            n: Number of samples.
            seed: Not looked at.

        Returns:
            The metric in modelled units, (n, k), read-only.
        """
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
        """Fit a predictor with the metric's prior as its mean.

        Where the last fit was to the same data, it is looked up instead.

        Args:
            table: Genes and features of the designs, (n, genes + features).
            y: Measurements in their natural unit, (n,).
            schema: What the table and the target are.
            kind: Kind of predictor; "auto" lets the predictors choose one.
            seed: Of the fit.
            noise: Standard deviations of ``y``, (n,); None where measurements were not repeated.

        Returns:
            The predictor.
        """
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
    """Check the name of a kind of surrogate, so that nothing is evaluated in vain.

    Args:
        kind: "auto", a name, or a kind itself.

    Returns:
        ``kind`` as it was given.

    Raises:
        BadInput: No surrogate has this name.
    """
    if kind == "auto":
        return kind
    try:
        predictors.find(kind)
    except predictors.PredictorError as error:
        raise BadInput("surrogate", error.wrong, error.remedy) from None
    return kind


def targets(problem: Problem) -> list[str]:
    """List the metrics that need a surrogate.

    Args:
        problem: What the study searches.

    Returns:
        Names of the objectives, then of constrained metrics that are no objective.
    """
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
    """Fit a surrogate for every metric that the problem needs.

    Args:
        problem: What the study searches.
        rows: Canonical rows of the evaluated designs, (n, d).
        metrics: What each of them measured, in natural units.
        factory: What surrogates are made from, apart from the observations.
        seed: Of the fits.
        noise: Of metrics whose measurements were repeated, the standard deviations (n,) of what was
            measured.

    Returns:
        A surrogate by name of the metric; analytic metrics are their own.
    """
    known_noise = noise or {}
    inputs = Inputs(problem.space, rows)
    goals = {o.name: o.goal for o in problem.objectives}
    scores = problem.scores(metrics)
    measured: dict[str, Array] = {}
    for metric in dict.fromkeys(name for m in metrics for name in m):
        if all(metric in m for m in metrics):
            measured[metric] = np.array([m[metric] for m in metrics], float)

    @cache
    def learned(metric: str) -> Surrogate:
        """Fit one metric by itself, or take it as it is computed."""
        y = measured[metric]
        log = logarithmic(y, goals.get(metric))
        if metric in factory.analytic:
            return AnalyticMetric(metric, factory.analytic[metric], log)
        noise_of = known_noise.get(metric)
        return _learn(
            inputs, y, factory, metric=metric, log=log, seed=seed, scores=scores, noise=noise_of
        )

    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        by_parts = None
        if is_learned_by_parts(problem, factory, metric):
            log = logarithmic(measured[metric], goals.get(metric))
            by_parts = learned_parts(metric, problem.derived, inputs, measured, learned, log=log)
        fitted[metric] = by_parts or learned(metric)
    return fitted


def is_learned_by_parts(problem: Problem, factory: SurrogateFactory, metric: str) -> bool:
    """Tell whether a metric's parts are learned rather than the metric.

    Args:
        problem: What the study searches.
        factory: What surrogates are made from.
        metric: A target.

    Returns:
        Whether it is derived, and neither computed nor known by features of its own or an older
        predictor; with features a surrogate of the whole is as good.
    """
    if metric not in problem.derived.expressions or metric in factory.analytic:
        return False
    return factory.views.get(metric, View()).features is None and metric not in factory.priors


def training_subset(scores: Array) -> NDArray[np.intp]:
    """Choose the rows that a model is fitted to.

    All of them up to ``MAX_TRAINING_ROWS``; beyond, the best two thirds by front, the others evenly
    from the rest.

    What an exact process costs grows with the cube of its rows; where a search has got to needs
    more of them than where it came from.

    Args:
        scores: Scores of the evaluated designs, to be maximised, (n, m).

    Returns:
        Indices of the rows, rising, at most ``MAX_TRAINING_ROWS``.
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
    if log:
        y = np.exp(modelled(y, log=True))
    else:
        y = modelled(y, log=False)

    def fitted(kind: str | predictors.SurrogateKind, rows: NDArray[np.intp]) -> predictors.Model:
        """Fit a predictor of a kind to some of the observations."""
        known = None if noise is None else noise[rows]
        return factory.fit(inputs.table(view)[rows], y[rows], schema, kind, seed=seed, noise=known)

    # Kind and hyper-parameters are functions of the first so many observations, found anew when there are half, or a tenth,
    # more: a search that was interrupted finds the same ones again. The other observations are conditioned on.
    first, n = refit_size(len(y), RESELECTION_GROWTH), refit_size(len(y), REFIT_GROWTH)
    if noise is not None:  # a later measurement of an early design changes what all of them say
        n = len(y)
    rows = training_subset(scores[:n])
    chosen = None
    if factory.kind == "auto":
        chosen = fitted("auto", training_subset(scores[:first]))
    if chosen and first == n:
        model = chosen
    else:
        model = fitted(chosen.kind if chosen else factory.kind, rows)
    spread = float(modelled(y[rows], log=log).std())
    if n < len(y):
        rows = np.concatenate([rows, np.arange(n, len(y))])
        model = predictors.extend(model, inputs.table(view)[rows], y[rows], seed=seed)
    # In cross-validation no better than the mean: it may not steer the search alone.
    return FittedSurrogate(
        model, view, trusted=spread == 0 or float(model.metadata["error"]) < spread
    )


def refit_size(n: int, growth: float) -> int:
    """Find the number of observations that hyper-parameters are fitted to.

    Sizes are 5, 5 ``growth``, 5 ``growth``^2, ..., each rounded up before the next is formed.

    Args:
        n: Observations there are.
        growth: Factor from one size to the next, above 1.

    Returns:
        The largest such size that ``n`` reaches; ``n`` itself below 5.
    """
    reached = 5
    while (following := math.ceil(reached * growth)) <= n:
        reached = following
    return min(reached, n)
