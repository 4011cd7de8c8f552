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
# Most stretches of layers that have a b of their own: in a network of hundreds of layers
# neighbours share one.
MAX_SEGMENTS = 12


@dataclass(frozen=True)
class DesignMatrix:
    """What exponents multiply: of no layer ``single`` (n, p), of each ``per_layer`` (n, layers, p').

    active_mask: (n, layers) whether a layer is. segments: (s, layers).
    """

    single: Array
    per_layer: Array
    active_mask: NDArray[np.bool_]
    segments: Array

    @property
    def parameters(self) -> tuple[int, int, int]:
        """How many a, b and exponents there are."""
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
        columns: Of the features among the encoded ones, (ordinals,).
        counts: How many levels each has, (ordinals,).
        table: Logarithm of each level at its rank, which counts from 1, (ordinals, most levels + 2); the first and the last
            level stand there twice.
    """

    columns: NDArray[np.intp]
    counts: NDArray[np.intp]
    table: Array

    def interpolated(self, encoded: Array) -> Array:
        """Logarithms of ordinals, linear between levels; 0 where inactive.

        Args:
            encoded: Rank over number of levels; 0 where the feature is inactive, (n, ordinals).

        Returns:
            Logarithms, (n, ordinals).
        """
        rank = encoded * self.counts
        low = np.minimum(rank.astype(np.intp), self.counts)
        share = rank - low
        ordinal = np.arange(len(self.columns))
        below = self.table[ordinal, low]
        above = self.table[ordinal, low + 1]
        between = below * (1.0 - share) + above * share
        return np.where(rank > 0, between, 0.0)


@dataclass(frozen=True)
class FeatureLayout:
    """Which encoded columns belong to which layer. shift, scale: (k,) what numerics are standardised by."""

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
        """What layers share: for each, the feature of every layer in order."""
        found: dict[str, list[int]] = {}
        for j, feature in enumerate(self.schema.features):
            if feature.group and feature.kind == "ordinal":
                found.setdefault(feature.group, []).append(j)
        longest = max(map(len, found.values()), default=0)
        if longest <= MIN_LAYERS:
            return []
        return [group for group in found.values() if len(group) == longest]

    @property
    def depth(self) -> int:
        """How many layers there are; one where nothing is shared."""
        if self.groups:
            return len(self.groups[0])
        return 1

    @cached_property
    def segments(self) -> Array:
        """(segments, layers) 1 where a layer lies in a segment."""
        n = min(self.depth, MAX_SEGMENTS)
        segment_of_layer = np.arange(self.depth) * n // self.depth
        lies_in = np.arange(n)[:, None] == segment_of_layer
        return np.asarray(lies_in, dtype=np.float64)

    @cached_property
    def single(self) -> NDArray[np.intp]:
        """Encoded columns of the features that no group holds."""
        grouped = []
        for group in self.groups:
            grouped.extend(group)
        return np.flatnonzero(~np.isin(self.schema.owners, grouped))

    @cached_property
    def column(self) -> NDArray[np.intp]:
        """(d,) the first encoded column of each feature."""
        return np.searchsorted(self.schema.owners, np.arange(len(self.schema.features)))

    def __call__(self, encoded: Array) -> DesignMatrix:
        """Compute what the sums of rows are made of.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            What the exponents multiply, and which layers there are.
        """
        x = self._logarithms(encoded)
        return DesignMatrix(
            x[:, self.single], self._per_layer(x), self._active(encoded), self.segments
        )

    def _per_layer(self, x: Array) -> Array:
        """(n, layers, p') what each group has at a layer, and at the layer before it."""
        blocks = [np.zeros((len(x), self.depth, 0))]
        for group in self.groups:
            own = x[:, self.column[group]]
            of_layer_before = np.zeros_like(own)
            of_layer_before[:, 1:] = own[:, :-1]
            blocks.append(own[..., None])
            blocks.append(of_layer_before[..., None])
        return np.concatenate(blocks, axis=2)

    def _active(self, encoded: Array) -> NDArray[np.bool_]:
        """(n, layers) whether a layer is there: whether any of its genes is active."""
        active = np.zeros((len(encoded), self.depth), bool)
        for group in self.groups:
            active |= encoded[:, self.column[group]] > 0
        # Where nothing is shared or no layer is there, the first term says what the rest costs.
        active[:, 0] |= ~active.any(1)
        return active

    def _logarithms(self, encoded: Array) -> Array:
        """(n, k): ordinals as centred logarithms, numerics standardised, nominals as they are."""
        standardised = (encoded - self.shift) / self.scale
        x = np.where(self.schema.column_kinds == "numeric", standardised, encoded)
        columns = self._levels.columns
        x[:, columns] = self._levels.interpolated(encoded[:, columns])
        return x

    @cached_property
    def _levels(self) -> _OrdinalLevels:
        """The levels of all ordinals."""
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
        """(p, d) how much of what each exponent multiplies is each feature's, by its variance."""
        one = np.diag([_variance(feature) for feature in self.schema.features])
        blocks = [one[self.schema.owners[self.single]]]
        for group in self.groups:
            mean = one[group].mean(0, keepdims=True)
            blocks += [mean, mean]  # of a layer, and of the one before it
        return np.concatenate(blocks)


def _padded_table(rows: list[Array]) -> Array:
    """Rows of different lengths as one table, the ends of each repeated: one before, the rest after."""
    longest = max(map(len, rows), default=0)
    padded = []
    for row in rows:
        padded.append(np.pad(row, (1, longest + 1 - len(row)), "edge"))
    return np.reshape(padded, (len(rows), longest + 2))


def log_levels(feature: Feature) -> Array:
    """Give an ordinal's levels as centred logarithms.

    Args:
        feature: An ordinal.

    Returns:
        (levels,) logarithms; centred ranks where a level has no logarithm.
    """
    values = np.asarray(feature.values, dtype=np.float64)
    if values[0] > 0:
        levels = np.log(values)
    else:
        levels = np.linspace(-1.0, 1.0, len(values))
    return np.asarray(levels - levels.mean())


def _variance(feature: Feature) -> float:
    """Of what an exponent multiplies, where every level is as frequent as any other."""
    if feature.kind == "numeric":
        return 1.0
    n = max(len(feature.values), 1)
    if feature.kind == "nominal" and n > 1:
        return (n - 1) / n**2
    return float(log_levels(feature).var())
