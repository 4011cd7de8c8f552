"""What the search's surrogates say around chosen designs: along one gene, and over two genes at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.surrogates import AnalyticMetric, Inputs, Surrogate
from cimbo.problem.intervals import NORMAL_QUANTILE_95
from cimbo.problem.space import INACTIVE_INDEX, Params, Rows, SearchSpace

Array = NDArray[np.float64]


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
        """Those of all values (n,) that are of its rows."""
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
    stack = _Stack()
    around = [_Around.of(space, design, paired, stack) for design in designs]
    if not stack.blocks:
        return SurrogateViews([], frozenset(), frozenset())
    rows = space.canonical_rows(np.concatenate([block.rows for block in stack.blocks]))
    allowed = space.allowed_rows(rows)
    predicted = {}
    for metric, surrogate in surrogates.items():
        predicted[metric] = _natural(surrogate, Inputs(space, rows), allowed)
    computed = [name for name, each in surrogates.items() if isinstance(each, AnalyticMetric)]
    doubted = [name for name, each in surrogates.items() if not each.trusted]
    found = [each.seen(space, predicted) for each in around]
    return SurrogateViews(found, frozenset(computed), frozenset(doubted))


@dataclass(frozen=True)
class _Stack:
    """All rows that surrogates are asked about, at once: blocks of them, one after another."""

    blocks: list[_Block] = field(default_factory=list)

    def add(self, rows: Rows) -> _Block:
        """Add rows at the end."""
        block = _Block(rows, sum(len(before.rows) for before in self.blocks))
        self.blocks.append(block)
        return block


@dataclass(frozen=True)
class _Around:
    """The rows that lie along each active gene of a design, and over each pair of ``paired`` ones."""

    design: Params
    lines: Mapping[str, _Block]
    planes: Mapping[tuple[str, str], _Block]

    @classmethod
    def of(
        cls, space: SearchSpace, design: Params, paired: Sequence[str], stack: _Stack
    ) -> _Around:
        """Find the rows, and add them to a stack."""
        row = space.rows([design])[0]
        lines = {}
        for choice, index in zip(space.choices, row, strict=True):
            if index != INACTIVE_INDEX:
                lines[choice.name] = stack.add(_line(space, row, choice.name))
        planes = {}
        for across, down in itertools.combinations([g for g in paired if g in lines], 2):
            planes[across, down] = stack.add(_plane(space, row, across, down))
        return cls(design, lines, planes)

    def seen(self, space: SearchSpace, predicted: Mapping[str, Array]) -> AroundDesign:
        """The curves and surfaces in predictions (3, n) of all rows, by metric."""
        curves = {}
        surfaces = {}
        for metric, ends in predicted.items():
            curves[metric] = {gene: _curve(block, ends) for gene, block in self.lines.items()}
            surfaces[metric] = [
                _surface(space, pair, block, ends) for pair, block in self.planes.items()
            ]
        return AroundDesign(self.design, curves, surfaces)


def _line(space: SearchSpace, row: Rows, gene: str) -> Rows:
    """A row for each value of a gene."""
    column = space.column[gene]
    n = len(space.choices[column].values)
    rows = np.repeat(row[None], n, axis=0)
    rows[:, column] = np.arange(n)
    return rows


def _plane(space: SearchSpace, row: Rows, across: str, down: str) -> Rows:
    """A row for each pair of values, those of ``across`` changing fastest."""
    i = space.column[across]
    j = space.column[down]
    width = len(space.choices[i].values)
    height = len(space.choices[j].values)
    rows = np.repeat(row[None], width * height, axis=0)
    rows[:, i] = np.tile(np.arange(width), height)
    rows[:, j] = np.repeat(np.arange(height), width)
    return rows


def _natural(surrogate: Surrogate, inputs: Inputs, allowed: NDArray[np.bool_]) -> Array:
    """Mean, lower and upper end of every row (3, n) in the natural unit; NaN for rows that the space does not allow."""
    mean, std = surrogate.mean_and_std(inputs)
    reach = NORMAL_QUANTILE_95 * std
    ends = np.stack([mean, mean - reach, mean + reach])
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
