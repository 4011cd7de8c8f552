"""Costs of per_layer networks as sums of products of powers, which is what most of them are.

    log y = log sum_{l, r} exp(a_r + b_s(l)r + sum_j c_jr x_j + sum_g (d_gr x_gl + e_gr x_g,l-1))

x are logarithms of genes: of every feature j that no layer has for itself, and of what layers share (``group`` of their
features), of layer l and of the one before it. A layer takes the longest of a few products (tiles times pixels over macros,
bytes over bandwidth); the largest of several is nearly their sum, and a network's cost is the sum over its layers. Exponents
are the same for all layers, so that a hundred measurements tell what sixty genes do, also far from where they were taken. In
geometric programming such a sum is called a posynomial (Boyd et al., "A tutorial on geometric programming", 2007; fitted to
data: Hoburg et al., "Data fitting with geometric-programming-compatible softmax functions", 2016).

The fit is the maximum a posteriori under normal priors, found by the method of Levenberg and Marquardt from many starts at
once. It has many optima: by how much members differ tells how little is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predictors.schema import Array, Feature, Schema

MIN_LAYERS = 3  # layers of which a group must have more
TERMS_PER_LAYER = 4  # products a layer
MAX_STEPS = 40
MAX_SEGMENTS = (
    12  # stretches of layers with a b of their own: in a network of hundreds neighbours share it
)
PRIOR_DEVIATIONS = (2.0, 1.0, 1.0)  # prior deviations of a, of b, and of the exponents
MIN_RELATIVE_RESIDUAL = (
    0.03  # residual below which a fit need not go, as a share of the target's deviation
)
MAX_FIT_ROWS = 400  # rows that are fitted
_START_DEVIATION, _RESIDUAL_DECAY = (
    0.5,
    0.7,
)  # share of the prior's deviation at the start; by how much the residual aimed at falls a step


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
        return (
            TERMS_PER_LAYER,
            TERMS_PER_LAYER * len(self.segments),
            TERMS_PER_LAYER * (self.single.shape[1] + self.per_layer.shape[2]),
        )


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
        return np.asarray(
            np.arange(n)[:, None] == np.arange(self.depth) * n // self.depth, dtype=np.float64
        )

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
        blocks, active = [np.zeros((len(x), self.depth, 0))], np.zeros((len(x), self.depth), bool)
        for group in self.groups:
            own = x[:, self.column[group]]
            active |= encoded[:, self.column[group]] > 0
            blocks += [own[..., None], np.pad(own, ((0, 0), (1, 0)))[:, :-1, None]]
        active[:, 0] |= ~active.any(
            1
        )  # nothing is shared, or no layer is there: one term says what the rest costs
        return DesignMatrix(
            x[:, self.single], np.concatenate(blocks, axis=2), active, self.segments
        )

    def _logarithms(self, encoded: Array) -> Array:
        """(n, k): ordinals as centred logarithms, 0 where inactive, between levels interpolated; numerics standardised."""
        x = np.where(self._numeric, (encoded - self.shift) / self.scale, encoded)
        columns, counts, table = self._table
        rank = encoded[:, columns] * counts
        low = np.minimum(rank.astype(np.intp), counts)
        share, each = rank - low, np.arange(len(columns))
        x[:, columns] = np.where(
            rank > 0, table[each, low] * (1.0 - share) + table[each, low + 1] * share, 0.0
        )
        return x

    @cached_property
    def _numeric(self) -> NDArray[np.bool_]:
        """(k,) whether each encoded column is a numeric feature's."""
        return np.array([f.kind == "numeric" for f in self.schema.features])[self.schema.owners]

    @cached_property
    def _table(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
        """Ordinals' columns, how many levels each has, and the logarithms of levels by rank, the ends repeated."""
        found = []
        for j, f in enumerate(self.schema.features):
            if f.kind == "ordinal":
                found.append((j, _levels(f)))
        counts = np.array([len(levels) for _, levels in found], np.intp)
        most = int(counts.max(initial=0))
        rows = [np.pad(levels, (1, most + 1 - len(levels)), "edge") for _, levels in found]
        return self.column[[j for j, _ in found]], counts, np.reshape(rows, (len(found), most + 2))

    @cached_property
    def shares(self) -> Array:
        """(p, d) how much of what each exponent multiplies is each feature's, by its variance."""
        one = np.diag([_variance(f) for f in self.schema.features])
        means = []
        for group in self.groups:
            for _ in range(2):
                means.append(one[group].mean(0))
        return np.concatenate(
            [one[self.schema.owners[self.single]], np.reshape(means, (-1, len(one)))]
        )


def _levels(feature: Feature) -> Array:
    """An ordinal's levels as centred logarithms; where one has none, as centred ranks."""
    values = np.asarray(feature.values, dtype=np.float64)
    if values[0] > 0:
        levels = np.log(values)
    else:
        levels = np.linspace(-1.0, 1.0, len(values))
    return np.asarray(levels - levels.mean())


def _variance(feature: Feature) -> float:
    """Of what an exponent multiplies, where every level is as frequent as any other."""
    n = max(len(feature.values), 1)
    return {"numeric": 1.0, "nominal": (n - 1) / n**2}.get(feature.kind) or float(
        _levels(feature).var()
    )


@dataclass(frozen=True)
class Posynomials:
    """Several fits of one standardised target, a unit of which is ``unit`` in logarithms: ``theta`` (members, parameters)."""

    layout: FeatureLayout
    theta: Array
    unit: float

    def __call__(self, encoded: Array) -> Array:
        """Predict by every member.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, members) in units of the standardised target.
        """
        return (_values(self.theta, self.layout(encoded))[0].T - _level(self.layout)) / self.unit

    def only(self, members: slice) -> Posynomials:
        """Choose members.

        Args:
            members: Which of them.

        Returns:
            Posynomials of these members.
        """
        return replace(self, theta=self.theta[members])

    @property
    def shares(self) -> Array:
        """(members, d) how much of a member's spread is each feature's, by its squared exponents."""
        powers = _split(self.theta, len(self.layout.segments))[2] ** 2
        found = powers.sum(2) @ self.layout.shares
        return np.asarray(found / np.maximum(found.sum(1, keepdims=True), 1e-300))


def parameter_count(layout: FeatureLayout) -> int:
    """Count a member's parameters.

    Args:
        layout: Which features belong to layers.

    Returns:
        How many there are.
    """
    exponents = len(layout.single) + 2 * len(layout.groups)
    return TERMS_PER_LAYER * (1 + len(layout.segments) + exponents)


def _level(layout: FeatureLayout) -> float:
    """The logarithm of the sum at parameters of zero."""
    return math.log(layout.depth * TERMS_PER_LAYER)


def _split(theta: Array, segments: int) -> tuple[Array, Array, Array]:
    """a (m, r), b (m, segments, r) and the exponents (m, p, r)."""
    a, b, powers = np.split(theta, [TERMS_PER_LAYER, TERMS_PER_LAYER * (1 + segments)], axis=1)
    return (
        a,
        b.reshape(len(theta), segments, TERMS_PER_LAYER),
        powers.reshape(len(theta), -1, TERMS_PER_LAYER),
    )


def _values(theta: Array, design: DesignMatrix) -> tuple[Array, Array]:
    """log sum exp (m, n), and each product (n, depth, m * r) in units of its row's largest."""
    (n, depth, p), m = design.per_layer.shape, len(theta)
    a, b, powers = _split(theta, len(design.segments))
    powers = powers.transpose(1, 0, 2).reshape(-1, m * TERMS_PER_LAYER)
    alone, per_layer = np.split(powers, [design.single.shape[1]])
    u = (design.per_layer.reshape(n * depth, p) @ per_layer).reshape(n, depth, m * TERMS_PER_LAYER)
    u += (design.single @ alone)[:, None]
    u += np.tensordot(design.segments.T, a[:, None] + b, (1, 1)).reshape(depth, -1)
    u[~design.active_mask] = -np.inf
    top = u.reshape(n, depth * m * TERMS_PER_LAYER).max(1)
    u -= top[:, None, None]
    np.exp(u, out=u)
    return (top[:, None] + np.log(_totals(u)[:, 0])).T, u


def _totals(products: Array) -> Array:
    """(n, 1, m) sums of products (n, depth, m * r)."""
    n, _, width = products.shape
    total = (
        products.sum(1, keepdims=True)
        .reshape(n, 1, width // TERMS_PER_LAYER, TERMS_PER_LAYER)
        .sum(3)
    )
    return np.asarray(
        np.maximum(total, 1e-300)
    )  # 0 where a step went so wild that other members drown a member


def _slopes(design: DesignMatrix, products: Array) -> Array:
    """(m, n, parameters): what each product's share in the sum is multiplied with."""
    shares = products / np.repeat(_totals(products), TERMS_PER_LAYER, axis=2)
    total, members = shares.sum(1, keepdims=True), shares.shape[2] // TERMS_PER_LAYER
    parts = (
        total,
        np.matmul(design.segments, shares),
        design.single[:, :, None] * total,
        np.matmul(design.per_layer.transpose(0, 2, 1), shares),
    )
    each = []
    for part in parts:
        each.append(part.reshape(len(part), -1, members, TERMS_PER_LAYER).transpose(2, 0, 1, 3))
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in each], axis=2)


def fit(
    schema: Schema, encoded: Array, y: Array, unit: float, seen: Array, seed: int = 0
) -> Posynomials:
    """Fit an ensemble of posynomials, each member to rows of its own.

    Args:
        schema: The features.
        encoded: (n, k) encoded rows; of more than ``MAX_FIT_ROWS`` so many are fitted, chosen at
            random.
        y: (n,) standardised target, a logarithm.
        unit: What one unit of ``y`` is in logarithms.
        seen: (members, n) 1 where a member may see a row, else 0.
        seed: Of the members' starts and the choice of rows.

    Returns:
        The ensemble.

    Raises:
        numpy.linalg.LinAlgError: When a step's equations have no solution in floating point.
    """
    layout, rng = FeatureLayout.of(schema, encoded), np.random.default_rng(seed)
    if len(y) > MAX_FIT_ROWS:
        rows = np.sort(rng.permutation(len(y))[:MAX_FIT_ROWS])
        encoded, y, seen = encoded[rows], y[rows], seen[:, rows]
    design, target = layout(encoded), unit * y + _level(layout)
    prior = np.repeat(PRIOR_DEVIATIONS, design.parameters)
    theta = _START_DEVIATION * prior * rng.standard_normal((len(seen), len(prior)))
    return Posynomials(layout, _descend(theta, prior, design, target, seen, unit), unit)


def _descend(
    theta: Array, prior: Array, design: DesignMatrix, target: Array, seen: Array, spread: float
) -> Array:
    """Levenberg-Marquardt for all members (m, parameters) at once, the residual that is aimed at falling from step to step.

    spread: standard deviation of the target.
    """
    sigma, damping, diagonal = (
        np.full(len(theta), 0.3 * spread),
        np.full(len(theta), 1e-2),
        np.arange(len(prior)),
    )
    value, products = _values(theta, design)
    for _ in range(MAX_STEPS):
        weight = seen / sigma[:, None] ** 2
        slopes = _slopes(design, products)
        curvature = np.matmul((slopes * weight[:, :, None]).transpose(0, 2, 1), slopes)
        curvature[:, diagonal, diagonal] += (1.0 + damping[:, None]) / prior**2
        gradient = np.matmul((weight * (value - target))[:, None], slopes)[:, 0] + theta / prior**2
        new = theta - np.linalg.solve(curvature, gradient[..., None])[..., 0]
        new_value, new_products = _values(new, design)
        gain = (weight * ((value - target) ** 2 - (new_value - target) ** 2)).sum(1)
        better = gain + ((theta**2 - new**2) / prior**2).sum(1) > 0
        theta, value = (
            np.where(better[:, None], new, theta),
            np.where(better[:, None], new_value, value),
        )
        products = np.where(np.repeat(better, TERMS_PER_LAYER), new_products, products)
        damping = np.clip(np.where(better, damping / 4.0, damping * 6.0), 1e-4, 1e4)
        residual = np.sqrt((seen * (value - target) ** 2).sum(1) / np.maximum(seen.sum(1), 1.0))
        sigma = np.maximum(
            MIN_RELATIVE_RESIDUAL * spread,
            np.minimum(sigma, np.maximum(residual, _RESIDUAL_DECAY * sigma)),
        )
    return theta
