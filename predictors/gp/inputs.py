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

import numpy as np
from numpy.typing import NDArray

from predictors.core import as_rows, column_scales
from predictors.gp.parts import Index, KernelInputs, MaternInput, Sizes
from predictors.posynomial import Posynomials
from predictors.schema import Array, Schema

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
class _CoarseColumns:
    """How the points of the coarse Matern part are made; they are the groups' totals, then ``columns``.

    Attributes:
        columns: (c,) encoded columns of the features that are in no group.
        owners: (groups + c,) for each coordinate of a point the index of its lengthscale.
    """

    columns: Index
    owners: Index


@dataclass(frozen=True)
class _LevelColumns:
    """How the levels of all ordinals and nominals are read from encoded rows; each field is (levels,).

    Attributes:
        columns: The encoded column that tells of the level.
        counts: What this column is multiplied by. An ordinal's column holds rank / number of
            levels: times the number of levels it is a rank. A nominal's is 0 or 1 already.
        ranks: The value of column * count where a row is exactly at the level: its rank, from 1.
    """

    columns: Index
    counts: Array
    ranks: Array


def shared(schema: Schema) -> tuple[Group, ...]:
    """Find the groups of features that are the same gene of different layers, as "bits of layer 3".

    A group is all ordinals with the same ``Feature.group`` and the same number of levels. Groups of
    at most ``MAX_UNPOOLED_FEATURES`` features are left out.

    Args:
        schema: The features.

    Returns:
        For each such group the indices of its features, in their order.
    """
    members: dict[tuple[str, int], list[int]] = {}
    for j, feature in enumerate(schema.features):
        if feature.group and feature.kind == "ordinal":
            name_and_levels = (feature.group, len(feature.values))
            members.setdefault(name_and_levels, []).append(j)
    large = []
    for group in members.values():
        if len(group) > MAX_UNPOOLED_FEATURES:
            large.append(tuple(group))
    return tuple(large)


@dataclass(frozen=True)
class KernelFeatures:
    """Maps encoded rows (n, k) to the kernel's inputs, with the centres and scales of the training rows.

    Attributes:
        schema: The features that the rows are encoded by.
        shift: (k + t,) what is taken off the k encoded columns, then off the totals of t groups.
        scale: (k + t,) what they are divided by then.
        basis: Posynomials whose predictions are one more linear part; none when None.
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
        # Not usable for rows yet, but it knows which columns are of which kind and group.
        unscaled = cls(schema, np.zeros(0), np.zeros(0))
        columns = np.concatenate([encoded, encoded @ unscaled._summing], axis=1)
        # Numerics and totals can be of any size. Ranks and one-hot columns are within [0, 1]
        # whatever the rows are: they are only centred.
        all_totals = np.ones(len(unscaled.shared), bool)
        is_unbounded = np.append(unscaled._are("numeric"), all_totals)
        shift = np.where(is_unbounded, columns.mean(axis=0), 0.5)
        scale = np.where(is_unbounded, column_scales(columns), 1.0)
        return cls(schema, shift, scale, basis)

    @cached_property
    def shared(self) -> tuple[Group, ...]:
        """For each group of features that layers share, the indices of its features."""
        return shared(self.schema)

    @cached_property
    def sizes(self) -> Sizes:
        """How many hyper-parameters a kernel of these inputs has."""
        of_features = len(self.schema.features)  # a lengthscale for each feature
        has_basis = self.basis is not None
        if not self.shared:
            return Sizes((of_features,), LINEAR_PARTS, has_basis)
        # A second Matern part sees each group of shared features as one number, its total.
        of_totals = len(self.shared) + len(self._single)
        return Sizes((of_features, of_totals), LINEAR_PARTS + LINEAR_PARTS_OF_SHARED, has_basis)

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
        matern = [MaternInput(z.reshape(*shape, -1), self.schema.owners)]
        if self.shared:
            points = self._coarse_points(z, totals)
            matern.append(MaternInput(points.reshape(*shape, -1), self._coarse.owners))
        linear = np.concatenate(self._linear(rows, z, totals), axis=1)
        return KernelInputs(tuple(matern), linear.reshape(*shape, -1), self._groups)

    def _standardised(self, rows: Array) -> tuple[Array, Array]:
        """Centre and scale the encoded columns (n, k), and the totals of the groups (n, t)."""
        k = rows.shape[1]  # shift and scale hold k columns first, then the totals
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
        """Compute the columns of every linear part.

        Args:
            rows: (n, k) encoded rows.
            z: (n, k) the same, centred and scaled.
            totals: (n, t) the groups' totals, centred and scaled.

        Returns:
            For each part its columns, (n, columns of the part). The order is that of
            ``LINEAR_LOG_VARIANCES``: ranks, levels, numerics, totals, counts, basis.
        """
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
        """(l,) the number of the linear part that each linear column belongs to.

        The widths of the parts are read off by computing the columns of no rows at all.
        """
        no_rows = np.zeros((0, len(self.schema.owners)))
        no_totals = np.zeros((0, len(self.shared)))
        parts = self._linear(no_rows, no_rows, no_totals)
        widths = [part.shape[1] for part in parts]
        return np.repeat(np.arange(len(parts)), widths)

    @cached_property
    def linear_shares(self) -> Array:
        """(l, d) which share of each linear column is due to each of d features; rows sum to 1."""
        identity = np.eye(len(self.schema.features))
        kinds = np.array([f.kind for f in self.schema.features])
        numeric = identity[kinds == "numeric"]
        # Block for block in the order of _linear: ordinals, levels (one-hot), numerics and their bends, then the
        # totals of groups, their bends, and how many features of a group are at each of its levels.
        blocks = [
            identity[kinds == "ordinal"],
            identity[self._level_owners],
            numeric,
            numeric,
        ]
        if self.shared:
            of_counts = np.repeat(self._total_shares, self._levels_of_groups, axis=0)
            blocks += [self._total_shares, self._total_shares, of_counts]
        if self.basis is not None:
            blocks.append(self.basis.shares)
        return np.concatenate(blocks)

    @property
    def _levels_of_groups(self) -> list[int]:
        """How many levels the features of each group have."""
        return [len(self.schema.features[group[0]].values) for group in self.shared]

    @cached_property
    def lengthscale_shares(self) -> Array:
        """(lengthscales, d) which share of what a lengthscale divides is due to each of d features."""
        of_fine = np.eye(len(self.schema.features))
        if not self.shared:
            return of_fine
        return np.concatenate([of_fine, self._total_shares, of_fine[self._single]])

    @cached_property
    def _total_shares(self) -> Array:
        """(t, d) which share of each group's total is due to each feature: equal for all members."""
        identity = np.eye(len(self.schema.features))
        return np.stack([identity[list(group)].mean(0) for group in self.shared])

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
        # The fine part has one lengthscale a feature, the coarse one then one a total, and one
        # a feature that is in no group: all columns of such a feature share it.
        first = len(self.schema.features)
        of_totals = first + np.arange(len(self.shared))
        position_of_feature = np.searchsorted(self._single, owners[columns])
        of_single = first + len(self.shared) + position_of_feature
        return _CoarseColumns(columns, np.concatenate([of_totals, of_single]))

    @cached_property
    def _summing(self) -> Array:
        """(k, t) matrix of zeros and ones: encoded rows times it are the totals of t groups."""
        matrix = np.zeros((len(self.schema.owners), len(self.shared)))
        for t, group in enumerate(self.shared):
            matrix[np.isin(self.schema.owners, group), t] = 1.0
        return matrix

    @cached_property
    def _counting(self) -> Array:
        """(levels, counts) matrix: one-hot levels times it count how often each group has each level.

        A count is divided by the group's number of features and multiplied by
        ``LEVEL_SHARE_SCALE`` sqrt(levels), so that columns vary alike whatever the number of levels:
        whether a feature has one of L equally frequent levels has a deviation of about 1 / sqrt(L).
        """
        owners = self._level_owners
        # An empty block, so that there is something to join where there is no group
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
        """(levels,) for the levels of all ordinals and nominals, in order, the index of the feature."""
        levels = [len(f.values) for f in self.schema.features]
        return np.repeat(np.arange(len(levels)), levels)

    def _are(self, kind: str) -> NDArray[np.bool_]:
        """(k,) whether each encoded column is of a feature of that kind."""
        return np.asarray(self.schema.column_kinds == kind)

    def _levels(self, encoded: Array) -> Array:
        """Write the levels of all ordinals and nominals as one-hot columns.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, levels) 1 at the level that a row has, 0 at the others. Where a row lies between two
            levels of an ordinal, these two get weights that sum to 1 (linear interpolation).
        """
        levels = self._level_columns
        # A weight is max(0, 1 - |row's rank - level's rank|). It is computed in place, since this
        # is a large part of prediction's time.
        weights = encoded[:, levels.columns]
        weights *= levels.counts
        weights -= levels.ranks
        np.abs(weights, out=weights)
        np.subtract(1.0, weights, out=weights)
        return np.maximum(weights, 0.0, out=weights)

    @cached_property
    def _level_columns(self) -> _LevelColumns:
        """How the levels of all ordinals and nominals are read from encoded rows."""
        columns: list[int] = []
        counts: list[float] = []
        ranks: list[float] = []
        first_column = 0
        for feature in self.schema.features:
            n_levels = len(feature.values)  # none of a numeric
            if feature.kind == "nominal":  # one column a level, which is 0 or 1 already
                columns += range(first_column, first_column + n_levels)
                counts += [1.0] * n_levels
                ranks += [1.0] * n_levels
            else:  # one column for all levels: rank / number of levels
                columns += [first_column] * n_levels
                counts += [n_levels] * n_levels
                ranks += range(1, n_levels + 1)
            first_column += feature.width
        return _LevelColumns(
            np.array(columns, np.intp), np.array(counts, float), np.array(ranks, float)
        )


def _curved(z: Array) -> Array:
    """(n, 2 c) the numbers z (n, c), then 1 - exp(-z / 2) of each: a line, and a curve that saturates."""
    # Accuracy saturates in the cost: a straight line overshoots where a front has grown. z is clipped
    # since the exponential would run away below.
    bend = 1.0 - np.exp(-0.5 * np.clip(z, -4.0, 8.0))
    return np.concatenate([z, bend], axis=1)
