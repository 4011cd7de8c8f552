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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.posynomial import Posynomials
from predictors.schema import Array, Schema

Index = NDArray[np.intp]
# Features of one name that are learned each for itself, without their total.
MAX_UNPOOLED_FEATURES = 3
# What standardised points of the coarse part are divided by, to compare with ranks, which are within (0, 1].
COARSE_DIVISOR = 2.0
# What the share of layers at a level is multiplied by: it hardly strays from its mean.
LEVEL_SHARE_SCALE = 2.0
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
        scales = sum(self.local) + len(self.local)
        return [sum(self.local), scales, scales + self.linear + self.basis]


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
    for j, f in enumerate(schema.features):
        if f.group and f.kind == "ordinal":
            found.setdefault((f.group, len(f.values)), []).append(j)
    shared = []
    for group in found.values():
        if len(group) > MAX_UNPOOLED_FEATURES:
            shared.append(tuple(group))
    return tuple(shared)


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
    def of(cls, schema: Schema, encoded: Array, basis: Posynomials | None = None) -> KernelFeatures:
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
        free = np.append(plain._are("numeric"), np.ones(len(plain.shared), bool))
        spread = columns.std(axis=0)
        scale = np.where(free & (spread > 1e-12 * (1 + np.abs(columns).max(axis=0))), spread, 1.0)
        return cls(schema, np.where(free, columns.mean(axis=0), 0.5), scale, basis)

    @cached_property
    def shared(self) -> tuple[Group, ...]:
        """For each group of features that layers share, the indices of its features."""
        return shared(self.schema)

    @cached_property
    def sizes(self) -> Sizes:
        """How many hyper-parameters a kernel of these inputs has."""
        d, more = len(self.schema.features), self.basis is not None
        if self.shared:
            return Sizes((d, len(self.shared) + len(self._single)), 5, more)
        return Sizes((d,), 3, more)

    def inputs(self, encoded: Array) -> KernelInputs:
        """Compute the kernel inputs of rows.

        Args:
            encoded: (..., n, k) encoded rows.

        Returns:
            Points of every Matern part, and the linear columns.
        """
        rows = encoded.reshape(-1, encoded.shape[-1])
        k, shape = rows.shape[1], encoded.shape[:-1]
        z = (rows - self.shift[:k]) / self.scale[:k]
        totals = (rows @ self._summing - self.shift[k:]) / self.scale[k:]
        local = [MaternInput(z.reshape(*shape, -1), self.schema.owners)]
        if self.shared:
            columns, owners = self._coarse
            single = z[:, columns] / np.where(self._are("numeric")[columns], COARSE_DIVISOR, 1.0)
            points = np.concatenate([totals / COARSE_DIVISOR, single], axis=1)
            local.append(MaternInput(points.reshape(*shape, -1), owners))
        linear = np.concatenate(self._linear(rows, z, totals), axis=1)
        return KernelInputs(tuple(local), linear.reshape(*shape, -1), self._groups)

    def _linear(self, rows: Array, z: Array, totals: Array) -> list[Array]:
        """The linear parts' columns, each (n, ...), divided by the root of their number: one prior fits few and many genes."""
        levels = self._levels(rows)
        blocks = [z[:, self._are("ordinal")], levels, _curved(z[:, self._are("numeric")])]
        if self.shared:
            blocks += [_curved(totals), levels @ self._counting]
        if self.basis is not None:
            blocks.append(self.basis(rows))
        return [b / math.sqrt(max(b.shape[1], 1)) for b in blocks]

    @cached_property
    def _groups(self) -> Index:
        """(l,) the part that each linear column belongs to."""
        nothing = np.zeros((0, len(self.schema.owners)))
        parts = self._linear(nothing, nothing, np.zeros((0, len(self.shared))))
        return np.repeat(np.arange(len(parts)), [p.shape[1] for p in parts])

    @cached_property
    def linear_shares(self) -> Array:
        """(l, d) how much of each linear column is each feature's."""
        one, kinds = np.eye(len(self.schema.features)), [f.kind for f in self.schema.features]
        levels = one[[j for j, f in enumerate(self.schema.features) for _ in f.values]]
        numeric = one[[kind == "numeric" for kind in kinds]]
        blocks = [one[[kind == "ordinal" for kind in kinds]], levels, numeric, numeric]
        if self.shared:
            totals = np.stack([one[list(group)].mean(0) for group in self.shared])
            counts = np.repeat(
                totals,
                [len(self.schema.features[group[0]].values) for group in self.shared],
                axis=0,
            )
            blocks += [totals, totals, counts]
        return np.concatenate([*blocks, self.basis.shares] if self.basis is not None else blocks)

    @cached_property
    def local_shares(self) -> Array:
        """(lengthscales, d) how much of what a lengthscale stretches is each feature's."""
        one = np.eye(len(self.schema.features))
        if not self.shared:
            return one
        return np.concatenate(
            [one, [one[list(group)].mean(0) for group in self.shared], one[self._single]]
        )

    @cached_property
    def _single(self) -> list[int]:
        """The features that no group holds."""
        grouped: set[int] = set()
        for group in self.shared:
            grouped.update(group)
        return [j for j in range(len(self.schema.features)) if j not in grouped]

    @cached_property
    def _coarse(self) -> tuple[Index, Index]:
        """Encoded columns of the features that no group holds; the lengthscale of each total and of each of those columns."""
        owners = self.schema.owners
        columns = np.flatnonzero(np.isin(owners, self._single))
        place = (
            len(self.schema.features)
            + len(self.shared)
            + np.searchsorted(self._single, owners[columns])
        )
        return columns, np.concatenate(
            [len(self.schema.features) + np.arange(len(self.shared)), place]
        )

    @cached_property
    def _summing(self) -> Array:
        """(k, t) from encoded columns to totals."""
        found = np.zeros((len(self.schema.owners), len(self.shared)))
        for t, group in enumerate(self.shared):
            found[np.isin(self.schema.owners, group), t] = 1.0
        return found

    @cached_property
    def _counting(self) -> Array:
        """(levels, counts) from one-hot columns to the share of a group's features that have each level, in units of spread."""
        owners = []
        for j, f in enumerate(self.schema.features):
            for _ in f.values:
                owners.append(j)
        blocks = [np.zeros((len(owners), 0))]
        for group in self.shared:
            levels = len(self.schema.features[group[0]].values)
            block = np.zeros((len(owners), levels))
            block[np.isin(owners, group)] = np.tile(np.eye(levels), (len(group), 1)) * (
                LEVEL_SHARE_SCALE * levels**0.5 / len(group)
            )
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def _are(self, kind: str) -> NDArray[np.bool_]:
        """(k,) whether each encoded column is of a feature of that kind."""
        return np.asarray(self._kinds == kind)

    @cached_property
    def _kinds(self) -> NDArray[np.str_]:
        """(k,) the kind of feature that each encoded column is of."""
        return np.array([f.kind for f in self.schema.features])[self.schema.owners]

    def _levels(self, encoded: Array) -> Array:
        """One-hot of every ordinal and nominal; between two levels of an ordinal the weight is shared."""
        columns, counts, ranks = self._steps
        hats = encoded[:, columns]
        hats *= counts
        hats -= ranks
        np.abs(hats, out=hats)
        np.subtract(1.0, hats, out=hats)
        return np.maximum(hats, 0.0, out=hats)

    @cached_property
    def _steps(self) -> tuple[Index, Array, Array]:
        """For each level's column: the encoded column it is read from, what to multiply it by, the level's rank.

        A nominal's columns are 0 or 1 already: one rank, 1.
        """
        found, column = [], 0
        for f in self.schema.features:
            n = len(f.values)
            if f.kind == "nominal":
                found += [(column + i, 1, 1) for i in range(n)]
            else:
                found += [(column, n, i + 1) for i in range(n)]
            column += f.width
        table = np.array(found, dtype=np.float64).reshape(-1, 3)
        return table[:, 0].astype(np.intp), table[:, 1], table[:, 2]


def _curved(z: Array) -> Array:
    """Numbers with one bend each: accuracy saturates in the cost, and a straight line overshoots a grown front."""
    return np.concatenate([z, 1.0 - np.exp(-0.5 * np.clip(z, -4.0, 8.0))], axis=1)
