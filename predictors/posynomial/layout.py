"""Which features belong to which layer, and what the exponents of a posynomial multiply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predictors.schema import Array, Feature, Schema

MIN_LAYERS = 3  # layers of which a group must have more
TERMS_PER_LAYER = 4  # products a layer
# Stretches of layers with a b of their own: in a network of hundreds neighbours share it.
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
    """Ordinals' encoded ``columns``, how many levels each has, and their logarithms by rank, the ends repeated."""

    columns: NDArray[np.intp]
    counts: NDArray[np.intp]
    table: Array


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
        spread = encoded.std(axis=0)
        varied = spread > 1e-12 * (1 + np.abs(encoded).max(axis=0))
        return cls(schema, encoded.mean(axis=0), np.where(varied, spread, 1.0))

    @cached_property
    def groups(self) -> list[list[int]]:
        """What layers share: for each, the feature of every layer in order."""
        found: dict[str, list[int]] = {}
        for j, f in enumerate(self.schema.features):
            if f.group and f.kind == "ordinal":
                found.setdefault(f.group, []).append(j)
        longest = max(map(len, found.values()), default=0)
        groups = []
        for group in found.values():
            if len(group) == longest > MIN_LAYERS:
                groups.append(group)
        return groups

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
        return np.asarray(np.arange(n)[:, None] == segment_of_layer, dtype=np.float64)

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
        blocks = [np.zeros((len(x), self.depth, 0))]
        active = np.zeros((len(x), self.depth), bool)
        for group in self.groups:
            own = x[:, self.column[group]]
            of_layer_before = np.pad(own, ((0, 0), (1, 0)))[:, :-1]
            blocks += [own[..., None], of_layer_before[..., None]]
            active |= encoded[:, self.column[group]] > 0
        # Nothing is shared, or no layer is there: one term says what the rest costs.
        active[:, 0] |= ~active.any(1)
        per_layer = np.concatenate(blocks, axis=2)
        return DesignMatrix(x[:, self.single], per_layer, active, self.segments)

    def _logarithms(self, encoded: Array) -> Array:
        """(n, k): ordinals as centred logarithms, 0 where inactive, between levels interpolated; numerics standardised."""
        x = np.where(self._numeric, (encoded - self.shift) / self.scale, encoded)
        levels = self._levels
        rank = encoded[:, levels.columns] * levels.counts
        low = np.minimum(rank.astype(np.intp), levels.counts)
        share = rank - low
        ordinal = np.arange(len(levels.columns))
        below, above = levels.table[ordinal, low], levels.table[ordinal, low + 1]
        x[:, levels.columns] = np.where(rank > 0, below * (1.0 - share) + above * share, 0.0)
        return x

    @cached_property
    def _numeric(self) -> NDArray[np.bool_]:
        """(k,) whether each encoded column is a numeric feature's."""
        return np.array([f.kind == "numeric" for f in self.schema.features])[self.schema.owners]

    @cached_property
    def _levels(self) -> _OrdinalLevels:
        """The levels of all ordinals."""
        ordinals = []
        for j, feature in enumerate(self.schema.features):
            if feature.kind == "ordinal":
                ordinals.append(j)
        logarithms = [log_levels(self.schema.features[j]) for j in ordinals]
        counts = np.array([len(levels) for levels in logarithms], np.intp)
        most = int(counts.max(initial=0))
        rows = []
        for levels in logarithms:
            rows.append(np.pad(levels, (1, most + 1 - len(levels)), "edge"))
        table = np.reshape(rows, (len(ordinals), most + 2))
        return _OrdinalLevels(self.column[ordinals], counts, table)

    @cached_property
    def shares(self) -> Array:
        """(p, d) how much of what each exponent multiplies is each feature's, by its variance."""
        one = np.diag([_variance(f) for f in self.schema.features])
        means = []
        for group in self.groups:
            mean = one[group].mean(0)
            means += [mean, mean]  # of a layer, and of the one before it
        alone = one[self.schema.owners[self.single]]
        return np.concatenate([alone, np.reshape(means, (-1, len(one)))])


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
