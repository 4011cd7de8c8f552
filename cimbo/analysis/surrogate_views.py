"""What the search's surrogates say around chosen designs: along one gene, and over two genes at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.surrogates import AnalyticMetric, Inputs, Surrogate
from cimbo.problem.space import INACTIVE_INDEX, Params, Rows, SearchSpace

Array = NDArray[np.float64]
#: Half the width of the central 90 % of a normal distribution, in standard deviations
NORMAL_QUANTILE_95 = 1.6448536269514722


@dataclass(frozen=True)
class Curve:
    """A metric along one gene, all other genes kept.

    Attributes:
        mean: (k,) the prediction for each of the gene's k values; NaN where the space has no such design.
        low: (k,) lower end of the interval that holds 90 % of the noise-free metric.
        high: (k,) upper end.
    """

    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Surface:
    """A metric over two genes, all others kept: ``mean`` (values of ``down``, values of ``across``); NaN as in a curve."""

    across: str
    down: str
    mean: Array


@dataclass(frozen=True)
class AroundDesign:
    """What surrogates say around one design: by metric, a curve for each active gene, and surfaces of pairs of genes."""

    design: Params
    curves: Mapping[str, Mapping[str, Curve]]
    surfaces: Mapping[str, Sequence[Surface]]


@dataclass(frozen=True)
class SurrogateViews:
    """Views of fitted surrogates.

    Attributes:
        designs: What they say around each chosen design.
        computed: Metrics that are computed exactly, not learned.
        doubted: Metrics whose surrogate is in cross-validation no better than the mean.
    """

    designs: Sequence[AroundDesign]
    computed: frozenset[str]
    doubted: frozenset[str]


@dataclass(frozen=True)
class _Block:
    """Rows of one view, where they stand among all rows, and which of them the space has."""

    rows: Rows
    start: int

    def of(self, values: Array) -> Array:
        return values[self.start : self.start + len(self.rows)]


def views(
    space: SearchSpace,
    surrogates: Mapping[str, Surrogate],
    designs: Sequence[Params],
    paired: Sequence[str] = (),
) -> SurrogateViews:
    """Ask surrogates about the surroundings of designs.

    Args:
        space: The space of the designs.
        surrogates: By metric, as ``Study.surrogates`` fits them.
        designs: Around which designs.
        paired: Genes of which every pair is looked at as a surface, where both are active.

    Returns:
        Curves and surfaces in each metric's natural unit. Genes that a change makes active take their first value.
    """
    around = [_Around(space, design, paired) for design in designs]
    every = [rows for a in around for rows in (*a.lines.values(), *a.planes.values())]
    if not every:
        return SurrogateViews([], frozenset(), frozenset())
    starts = np.cumsum([0, *map(len, every)])
    stacked = space.canonical_rows(np.concatenate(every))
    allowed = space.allowed_rows(stacked)
    predicted = {}
    for metric, surrogate in surrogates.items():
        predicted[metric] = _natural(surrogate, Inputs(space, stacked), allowed)
    found, place = [], iter(starts.tolist())
    for a in around:
        lines = {gene: _Block(rows, next(place)) for gene, rows in a.lines.items()}
        planes = {pair: _Block(rows, next(place)) for pair, rows in a.planes.items()}
        curves = {}
        for m, p in predicted.items():
            curves[m] = {g: _curve(b, p) for g, b in lines.items()}
        surfaces = {}
        for m, p in predicted.items():
            surfaces[m] = [_surface(space, pair, b, p) for pair, b in planes.items()]
        found.append(AroundDesign(a.design, curves, surfaces))
    computed = set()
    for m, s in surrogates.items():
        if isinstance(s, AnalyticMetric):
            computed.add(m)
    doubted = {m for m, s in surrogates.items() if not s.trusted}
    return SurrogateViews(found, frozenset(computed), frozenset(doubted))


class _Around:
    """The rows that lie along each active gene of a design, and over each pair of ``paired`` ones."""

    def __init__(self, space: SearchSpace, design: Params, paired: Sequence[str]) -> None:
        self.design = design
        row = space.rows([design])[0]
        active = []
        for i, c in enumerate(space.choices):
            if row[i] != INACTIVE_INDEX:
                active.append(c)
        self.lines: dict[str, Rows] = {}
        for choice in active:
            rows = np.repeat(row[None], len(choice.values), axis=0)
            rows[:, space.column[choice.name]] = np.arange(len(choice.values))
            self.lines[choice.name] = rows
        self.planes: dict[tuple[str, str], Rows] = {}
        names = {c.name for c in active}
        for across, down in itertools.combinations([g for g in paired if g in names], 2):
            self.planes[across, down] = _plane(space, row, across, down)


def _plane(space: SearchSpace, row: Rows, across: str, down: str) -> Rows:
    """A row for each pair of values, those of ``across`` changing fastest."""
    i, j = space.column[across], space.column[down]
    wide, high = len(space.choices[i].values), len(space.choices[j].values)
    rows = np.repeat(row[None], wide * high, axis=0)
    rows[:, i] = np.tile(np.arange(wide), high)
    rows[:, j] = np.repeat(np.arange(high), wide)
    return rows


def _natural(surrogate: Surrogate, inputs: Inputs, allowed: NDArray[np.bool_]) -> Array:
    """Mean, lower and upper end of every row (3, n) in the natural unit; NaN for rows that the space does not allow."""
    mean, std = surrogate.mean_and_std(inputs)
    ends = np.stack([mean, mean - NORMAL_QUANTILE_95 * std, mean + NORMAL_QUANTILE_95 * std])
    if surrogate.log:
        with np.errstate(over="ignore"):
            ends = np.exp(ends)
    ends[:, ~allowed] = np.nan
    return np.where(np.isfinite(ends), ends, np.nan)


def _curve(block: _Block, predicted: Array) -> Curve:
    mean, low, high = (block.of(values) for values in predicted)
    return Curve(mean, low, high)


def _surface(space: SearchSpace, pair: tuple[str, str], block: _Block, predicted: Array) -> Surface:
    across, down = pair
    shape = [len(space.choices[space.column[gene]].values) for gene in (down, across)]
    return Surface(across, down, block.of(predicted[0]).reshape(shape))
