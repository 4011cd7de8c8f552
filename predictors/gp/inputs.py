"""What a process sees of encoded rows: points for its Matern parts, columns for its linear parts.

Two Matern parts. The *fine* one is over every feature. Where layers share a gene (the ``group`` of its features) there is a
*coarse* one too, over what the layers do in total and the features that are no layer's: how wide a network is in all, on which
chip, decides most of a cost, and is a problem of ten dimensions instead of sixty.

Linear columns are ranks, levels (one-hot) and numeric features; with shared genes also their totals and how many layers have
each level; with a ``basis`` also what its members predict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.core import as_rows, column_scales
from predictors.posynomial import Posynomials
from predictors.schema import Array, Schema

Index = NDArray[np.intp]
# Up to so many features of one name have no coarse part with their total.
MAX_UNPOOLED_FEATURES = 3
# What standardised points of the coarse part are divided by, to compare with ranks, which are within (0, 1].
COARSE_DIVISOR = 2.0
# The share of layers at a level is multiplied by this, because it varies little about its mean.
LEVEL_SHARE_SCALE = 2.0
LINEAR_PARTS = 3  # ranks, levels, numerics
LINEAR_PARTS_OF_SHARED = 2  # totals, counts
Group = tuple[int, ...]


@dataclass(frozen=True)
class MaternInput:
    """Points of a Matern part (..., n, k), and which of all lengthscales each column has (k,)."""

    points: Array
    owners: Index


@dataclass(frozen=True)
class KernelInputs:
    """Kernel inputs of rows: points of every Matern part; ``linear`` columns (..., n, l), the ``group`` of each (l,)."""

    local: tuple[MaternInput, ...]
    linear: Array
    group: Index

    def take(self, rows: Any) -> KernelInputs:
        """Choose rows.

        Args:
            rows: Row numbers, or anything else that indexes the first axis.

        Returns:
            Kernel inputs of these rows.
        """
        return KernelInputs(
            tuple(MaternInput(p.points[rows], p.owners) for p in self.local),
            self.linear[rows],
            self.group,
        )


@dataclass(frozen=True)
class Sizes:
    """How many hyper-parameters a kernel has.

    Attributes:
        local: Lengthscales of each Matern part.
        linear: Linear parts.
        basis: Whether there is one more, of a basis.
    """

    local: tuple[int, ...]
    linear: int
    basis: bool = False

    @property
    def ends(self) -> list[int]:
        """Where lengthscales, scales of Matern parts and linear variances end in a packed array."""
        lengthscales = sum(self.local)
        scales = lengthscales + len(self.local)
        linear = scales + self.linear + self.basis
        return [lengthscales, scales, linear]


@dataclass(frozen=True)
class _CoarseColumns:
    """Encoded ``columns`` of the features that no group holds, and the lengthscale that each point has, ``owners``.

    Points are the totals of the groups, then those columns.
    """

    columns: Index
    owners: Index


@dataclass(frozen=True)
class _LevelColumns:
    """How each level is read from encoded rows; each field is (levels,).

    Attributes:
        columns: The encoded column.
        counts: What it is multiplied by, so that an ordinal's becomes a rank: its count of levels.
        ranks: The level's rank, from 1.
    """

    columns: Index
    counts: Array
    ranks: Array


def shared(schema: Schema) -> tuple[Group, ...]:
    """Find the features that layers share.

    They are the ordinals that have one ``Feature.group`` and as many levels, where there are more
    than ``MAX_UNPOOLED_FEATURES`` of them.

    Args:
        schema: The features.

    Returns:
        For each such group the indices of its features, in their order.
    """
    found: dict[tuple[str, int], list[int]] = {}
    for j, feature in enumerate(schema.features):
        if feature.group and feature.kind == "ordinal":
            alike = (feature.group, len(feature.values))
            found.setdefault(alike, []).append(j)
    return tuple(tuple(group) for group in found.values() if len(group) > MAX_UNPOOLED_FEATURES)


@dataclass(frozen=True)
class KernelFeatures:
    """Maps encoded rows (n, k) to the kernel's inputs; numerics and totals are centred and scaled as they were in training.

    shift, scale: (k + t,), of the encoded columns, then of the totals of t groups.
    """

    schema: Schema
    shift: Array
    scale: Array
    basis: Posynomials | None = None

    @classmethod
    def of(
        cls,
        schema: Schema,
        encoded: Array,
        basis: Posynomials | None = None,
    ) -> KernelFeatures:
        """Find the centres and scales of numerics and totals in training rows.

        Args:
            schema: The features.
            encoded: (n, k) encoded training rows.
            basis: Posynomials whose predictions are one more linear part; none when None.

        Returns:
            The map from encoded rows to kernel inputs.
        """
        plain = cls(schema, np.zeros(0), np.zeros(0))
        columns = np.concatenate([encoded, encoded @ plain._summing], axis=1)
        # Ranks and one-hot columns are within [0, 1] whatever the rows are: they are only centred.
        all_totals = np.ones(len(plain.shared), bool)
        free = np.append(plain._are("numeric"), all_totals)
        shift = np.where(free, columns.mean(axis=0), 0.5)
        scale = np.where(free, column_scales(columns), 1.0)
        return cls(schema, shift, scale, basis)

    @cached_property
    def shared(self) -> tuple[Group, ...]:
        """For each group of features that layers share, the indices of its features."""
        return shared(self.schema)

    @cached_property
    def sizes(self) -> Sizes:
        """How many hyper-parameters a kernel of these inputs has."""
        fine = len(self.schema.features)
        has_basis = self.basis is not None
        if not self.shared:
            return Sizes((fine,), LINEAR_PARTS, has_basis)
        coarse = len(self.shared) + len(self._single)
        return Sizes((fine, coarse), LINEAR_PARTS + LINEAR_PARTS_OF_SHARED, has_basis)

    def inputs(self, encoded: Array) -> KernelInputs:
        """Compute the kernel inputs of rows.

        Args:
            encoded: (..., n, k) encoded rows.

        Returns:
            Points of every Matern part, and the linear columns.
        """
        rows = as_rows(encoded)
        shape = encoded.shape[:-1]
        z, totals = self._standardised(rows)
        local = [MaternInput(z.reshape(*shape, -1), self.schema.owners)]
        if self.shared:
            points = self._coarse_points(z, totals)
            local.append(MaternInput(points.reshape(*shape, -1), self._coarse.owners))
        linear = np.concatenate(self._linear(rows, z, totals), axis=1)
        return KernelInputs(tuple(local), linear.reshape(*shape, -1), self._groups)

    def _standardised(self, rows: Array) -> tuple[Array, Array]:
        """Columns (n, k) and the totals of groups (n, t), as they are centred and scaled."""
        k = rows.shape[1]
        totals = rows @ self._summing
        columns = (rows - self.shift[:k]) / self.scale[:k]
        standardised_totals = (totals - self.shift[k:]) / self.scale[k:]
        return columns, standardised_totals

    def _coarse_points(self, z: Array, totals: Array) -> Array:
        """(n, ...) points of the coarse part: the totals, then the features that no group holds."""
        columns = self._coarse.columns
        divisor = np.where(self._are("numeric")[columns], COARSE_DIVISOR, 1.0)
        single = z[:, columns] / divisor
        return np.concatenate([totals / COARSE_DIVISOR, single], axis=1)

    def _linear(self, rows: Array, z: Array, totals: Array) -> list[Array]:
        """The columns of each linear part, each (n, ...)."""
        ordinal = z[:, self._are("ordinal")]
        numeric = z[:, self._are("numeric")]
        levels = self._levels(rows)
        blocks = [ordinal, levels, _curved(numeric)]
        if self.shared:
            blocks.append(_curved(totals))
            blocks.append(levels @ self._counting)
        if self.basis is not None:
            blocks.append(self.basis(rows))
        # Divided by the root of their number, so that one prior fits few and many genes.
        return [block / math.sqrt(max(block.shape[1], 1)) for block in blocks]

    @cached_property
    def _groups(self) -> Index:
        """(l,) the part that each linear column belongs to."""
        no_rows = np.zeros((0, len(self.schema.owners)))
        no_totals = np.zeros((0, len(self.shared)))
        parts = self._linear(no_rows, no_rows, no_totals)
        widths = [part.shape[1] for part in parts]
        return np.repeat(np.arange(len(parts)), widths)

    @cached_property
    def linear_shares(self) -> Array:
        """(l, d) how much of each linear column is each feature's."""
        one = np.eye(len(self.schema.features))
        kinds = np.array([f.kind for f in self.schema.features])
        numeric = one[kinds == "numeric"]
        with_bend = [numeric, numeric]
        blocks = [one[kinds == "ordinal"], one[self._level_owners], *with_bend]
        if self.shared:
            with_bend = [self._total_shares, self._total_shares]
            of_counts = np.repeat(self._total_shares, self._levels_of_groups, axis=0)
            blocks += [*with_bend, of_counts]
        if self.basis is not None:
            blocks.append(self.basis.shares)
        return np.concatenate(blocks)

    @property
    def _levels_of_groups(self) -> list[int]:
        """How many levels the features of each group have."""
        return [len(self.schema.features[group[0]].values) for group in self.shared]

    @cached_property
    def local_shares(self) -> Array:
        """(lengthscales, d) how much of what a lengthscale stretches is each feature's."""
        one = np.eye(len(self.schema.features))
        if not self.shared:
            return one
        return np.concatenate([one, self._total_shares, one[self._single]])

    @cached_property
    def _total_shares(self) -> Array:
        """(t, d) how much of each group's total is each feature's: the same of every member."""
        one = np.eye(len(self.schema.features))
        return np.stack([one[list(group)].mean(0) for group in self.shared])

    @cached_property
    def _single(self) -> list[int]:
        """The features that no group holds."""
        grouped = set(chain.from_iterable(self.shared))
        return [j for j in range(len(self.schema.features)) if j not in grouped]

    @cached_property
    def _coarse(self) -> _CoarseColumns:
        """The columns of the coarse part; its lengthscales come after those of the fine one."""
        owners = self.schema.owners
        columns = np.flatnonzero(np.isin(owners, self._single))
        first = len(self.schema.features)
        of_totals = first + np.arange(len(self.shared))
        position = np.searchsorted(self._single, owners[columns])
        of_single = first + len(self.shared) + position
        return _CoarseColumns(columns, np.concatenate([of_totals, of_single]))

    @cached_property
    def _summing(self) -> Array:
        """(k, t) from encoded columns to totals."""
        found = np.zeros((len(self.schema.owners), len(self.shared)))
        for t, group in enumerate(self.shared):
            found[np.isin(self.schema.owners, group), t] = 1.0
        return found

    @cached_property
    def _counting(self) -> Array:
        """(levels, counts) from one-hot columns to the share of a group's features that have each level.

        A share is in units of about its own spread, which falls with the root of the levels.
        """
        owners = self._level_owners
        blocks = [np.zeros((len(owners), 0))]
        for group, levels in zip(self.shared, self._levels_of_groups, strict=True):
            weight = LEVEL_SHARE_SCALE * levels**0.5 / len(group)
            of_each_feature = np.tile(np.eye(levels), (len(group), 1))
            block = np.zeros((len(owners), levels))
            block[np.isin(owners, group)] = of_each_feature * weight
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    @cached_property
    def _level_owners(self) -> Index:
        """(levels,) the feature that each level is of, of all ordinals and nominals in order."""
        levels = [len(f.values) for f in self.schema.features]
        return np.repeat(np.arange(len(levels)), levels)

    def _are(self, kind: str) -> NDArray[np.bool_]:
        """(k,) whether each encoded column is of a feature of that kind."""
        return np.asarray(self.schema.column_kinds == kind)

    def _levels(self, encoded: Array) -> Array:
        """Weigh the levels of all ordinals and nominals: one-hot, as far as rows are at a level.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, levels) 1 at the level that a row has, 0 at the others. A value between two levels of
            an ordinal shares the 1 among them linearly.
        """
        levels = self._level_columns
        # An ordinal's rank is encoded as rank / count. A weight is max(0, 1 - |rank - level's rank|).
        # It is computed in place, since this is a large part of prediction's time.
        hats = encoded[:, levels.columns]
        hats *= levels.counts
        hats -= levels.ranks
        np.abs(hats, out=hats)
        np.subtract(1.0, hats, out=hats)
        return np.maximum(hats, 0.0, out=hats)

    @cached_property
    def _level_columns(self) -> _LevelColumns:
        """How the levels of all ordinals and nominals are read from encoded rows."""
        columns: list[int] = []
        counts: list[float] = []
        ranks: list[float] = []
        first = 0
        for feature in self.schema.features:
            n = len(feature.values)
            if feature.kind == "nominal":  # its columns are 0 or 1 already: one rank, 1
                columns += range(first, first + n)
                counts += [1.0] * n
                ranks += [1.0] * n
            else:
                columns += [first] * n
                counts += [n] * n
                ranks += range(1, n + 1)
            first += feature.width
        return _LevelColumns(
            np.array(columns, np.intp), np.array(counts, float), np.array(ranks, float)
        )


def _curved(z: Array) -> Array:
    """Numbers with one bend each: accuracy saturates in the cost, and a straight line overshoots a grown front."""
    bend = 1.0 - np.exp(-0.5 * np.clip(z, -4.0, 8.0))
    return np.concatenate([z, bend], axis=1)
