"""Which features belong to which layer, and what the exponents of a posynomial multiply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predictors.core import column_scales
from predictors.schema import Array, Feature, Schema

MIN_LAYERS = 3  # layers of which a group must have more
TERMS_PER_LAYER = 4  # products a layer
# Most segments of layers that have an offset b of their own: in a network of hundreds of layers
# neighbours share one.
MAX_SEGMENTS = 12


@dataclass(frozen=True)
class DesignMatrix:
    """The logarithms of genes that the exponents of a posynomial multiply, of n rows.

    Attributes:
        single: (n, p) of the genes that belong to no layer.
        per_layer: (n, layers, p') of the genes that every layer has, of a layer and of the one before.
        active_mask: (n, layers) whether the network has this layer.
        segments: (s, layers) 1 where a layer lies in a segment, else 0.
    """

    single: Array
    per_layer: Array
    active_mask: NDArray[np.bool_]
    segments: Array

    @property
    def parameters(self) -> tuple[int, int, int]:
        """How many offsets a, offsets of segments b, and exponents a posynomial has."""
        exponents = self.single.shape[1] + self.per_layer.shape[2]
        return (
            TERMS_PER_LAYER,
            TERMS_PER_LAYER * len(self.segments),
            TERMS_PER_LAYER * exponents,
        )


@dataclass(frozen=True)
class _OrdinalLevels:
    """The levels that ordinal features can have.

    Attributes:
        columns: (ordinals,) the encoded column of each ordinal.
        counts: (ordinals,) how many levels each has.
        table: (ordinals, most levels + 2) at index r the logarithm of the level of rank r, where ranks count from 1. Index 0
            repeats the first level, and what is beyond the last level repeats it.
    """

    columns: NDArray[np.intp]
    counts: NDArray[np.intp]
    table: Array

    def interpolated(self, encoded: Array) -> Array:
        """Compute the logarithms of ordinals, linear between two levels.

        Args:
            encoded: (n, ordinals) rank over number of levels; 0 where the feature is inactive.

        Returns:
            (n, ordinals) logarithms; 0 where the feature is inactive.
        """
        rank = encoded * self.counts
        rank_below = np.minimum(rank.astype(np.intp), self.counts)
        fraction = rank - rank_below
        ordinal = np.arange(len(self.columns))
        log_below = self.table[ordinal, rank_below]
        log_above = self.table[ordinal, rank_below + 1]
        interpolated = log_below * (1.0 - fraction) + log_above * fraction
        return np.where(rank > 0, interpolated, 0.0)


@dataclass(frozen=True)
class FeatureLayout:
    """Which encoded columns belong to which layer, and what their exponents multiply.

    Attributes:
        schema: The features that rows are encoded by.
        shift: (k,) means of the encoded columns, which numerics are centred by.
        scale: (k,) deviations of the encoded columns, which numerics are divided by.
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def of(cls, schema: Schema, encoded: Array) -> FeatureLayout:
        """Find the means and deviations of columns in the rows of a fit.

        Args:
            schema: The features.
            encoded: (n, k) encoded rows.

        Returns:
            The layout.
        """
        return cls(schema, encoded.mean(axis=0), column_scales(encoded))

    @cached_property
    def groups(self) -> list[list[int]]:
        """The genes that every layer has: for each, the indices of its features, layer by layer.

        A gene of fewer layers than the longest group cannot be put beside it and belongs to no layer.
        """
        members: dict[str, list[int]] = {}
        for j, feature in enumerate(self.schema.features):
            if feature.group and feature.kind == "ordinal":
                members.setdefault(feature.group, []).append(j)
        layers = max(map(len, members.values()), default=0)
        if layers <= MIN_LAYERS:
            return []
        return [group for group in members.values() if len(group) == layers]

    @property
    def depth(self) -> int:
        """How many layers there are; one where layers share no gene."""
        if self.groups:
            return len(self.groups[0])
        return 1

    @cached_property
    def segments(self) -> Array:
        """(segments, layers) 1 where a layer lies in a segment; segments are about equally long."""
        n_segments = min(self.depth, MAX_SEGMENTS)
        segment_of_layer = np.arange(self.depth) * n_segments // self.depth
        lies_in = np.arange(n_segments)[:, None] == segment_of_layer
        return np.asarray(lies_in, dtype=np.float64)

    @cached_property
    def single(self) -> NDArray[np.intp]:
        """(p,) encoded columns of the features that are in no group."""
        grouped = []
        for group in self.groups:
            grouped.extend(group)
        return np.flatnonzero(~np.isin(self.schema.owners, grouped))

    @cached_property
    def column(self) -> NDArray[np.intp]:
        """(d,) the first encoded column of each feature."""
        return np.searchsorted(self.schema.owners, np.arange(len(self.schema.features)))

    def __call__(self, encoded: Array) -> DesignMatrix:
        """Compute what the exponents multiply, for rows.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            The logarithms of genes, and which layers each row has.
        """
        x = self._logarithms(encoded)
        return DesignMatrix(
            x[:, self.single], self._per_layer(x), self._active(encoded), self.segments
        )

    def _per_layer(self, x: Array) -> Array:
        """(n, layers, p') two columns a group: its gene in this layer, and in the layer before (0 for the first)."""
        # An empty block, so that there is something to join where there is no group
        blocks = [np.zeros((len(x), self.depth, 0))]
        for group in self.groups:
            of_layer = x[:, self.column[group]]
            of_layer_before = np.zeros_like(of_layer)
            of_layer_before[:, 1:] = of_layer[:, :-1]
            blocks.append(of_layer[..., None])
            blocks.append(of_layer_before[..., None])
        return np.concatenate(blocks, axis=2)

    def _active(self, encoded: Array) -> NDArray[np.bool_]:
        """(n, layers) whether a row's network has a layer: whether any gene of the layer is active."""
        active = np.zeros((len(encoded), self.depth), bool)
        for group in self.groups:
            active |= encoded[:, self.column[group]] > 0
        # Without groups, or where a row has no layer at all, the first layer stands for the whole
        # network: the sum must have a term.
        active[:, 0] |= ~active.any(1)
        return active

    def _logarithms(self, encoded: Array) -> Array:
        """(n, k) encoded rows with ordinals as centred logarithms and numerics standardised; nominals stay 0 or 1."""
        standardised = (encoded - self.shift) / self.scale
        x = np.where(self.schema.column_kinds == "numeric", standardised, encoded)
        columns = self._levels.columns
        x[:, columns] = self._levels.interpolated(encoded[:, columns])
        return x

    @cached_property
    def _levels(self) -> _OrdinalLevels:
        """The levels of all ordinals, gathered from the schema."""
        ordinals = []
        logarithms = []
        for j, feature in enumerate(self.schema.features):
            if feature.kind == "ordinal":
                ordinals.append(j)
                logarithms.append(log_levels(feature))
        counts = np.array([len(levels) for levels in logarithms], np.intp)
        return _OrdinalLevels(self.column[ordinals], counts, _padded_table(logarithms))

    @cached_property
    def shares(self) -> Array:
        """(exponents, d) the variance of what each exponent multiplies, in the column of the feature it is due to.

        A gene of the layers counts for the features of all layers alike.
        """
        by_feature = np.diag([_variance(feature) for feature in self.schema.features])
        blocks = [by_feature[self.schema.owners[self.single]]]
        for group in self.groups:
            mean = by_feature[group].mean(0, keepdims=True)
            blocks += [mean, mean]  # of a layer, and of the one before it
        return np.concatenate(blocks)


def _padded_table(rows: list[Array]) -> Array:
    """(rows, longest + 2) rows of different lengths, with the first entry repeated once before and the last one after."""
    longest = max(map(len, rows), default=0)
    padded = []
    for row in rows:
        n_before = 1
        n_after = longest + 1 - len(row)
        padded.append(np.pad(row, (n_before, n_after), "edge"))
    return np.reshape(padded, (len(rows), longest + 2))


def log_levels(feature: Feature) -> Array:
    """Give an ordinal's levels as centred logarithms.

    Args:
        feature: An ordinal.

    Returns:
        (levels,) logarithms less their mean; where the least level is not positive and has no
        logarithm, equal steps from -1 to 1 instead.
    """
    values = np.asarray(feature.values, dtype=np.float64)
    if values[0] > 0:
        levels = np.log(values)
    else:
        levels = np.linspace(-1.0, 1.0, len(values))
    return np.asarray(levels - levels.mean())


def _variance(feature: Feature) -> float:
    """Variance of what a feature's exponent multiplies, where all levels are equally frequent."""
    if feature.kind == "numeric":  # it is standardised
        return 1.0
    if feature.kind == "nominal":
        n_levels = len(feature.values)
        # Of a column that is 1 with probability 1 / n_levels, else 0
        return (n_levels - 1) / n_levels**2
    return float(log_levels(feature).var())
