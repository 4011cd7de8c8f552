"""The logarithm of a sum of products, and its slopes: for all members of an ensemble and all rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictors.posynomial.layout import MIN_LAYERS, TERMS_PER_LAYER, DesignMatrix
from predictors.schema import Array

__all__ = [
    "MIN_LAYERS",
    "TERMS_PER_LAYER",
    "LogSums",
    "Parameters",
    "log_sums",
    "slopes",
    "split_parameters",
]

LEAST_TOTAL = 1e-300


@dataclass(frozen=True)
class Parameters:
    """a (m, terms), b (m, segments, terms) and the exponents, ``powers`` (m, p, terms), of m members."""

    a: Array
    b: Array
    powers: Array


@dataclass(frozen=True)
class LogSums:
    """``value`` (m, n), the logarithms; ``products`` (n, layers, m * terms), in units of the largest of their row."""

    value: Array
    products: Array


def split_parameters(theta: Array, segments: int) -> Parameters:
    """Split packed parameters.

    Args:
        theta: (m, parameters) of m members.
        segments: How many segments of layers there are.

    Returns:
        a, b and the exponents.
    """
    ends = [TERMS_PER_LAYER, TERMS_PER_LAYER * (1 + segments)]
    a, b, powers = np.split(theta, ends, axis=1)
    members = len(theta)
    return Parameters(
        a,
        b.reshape(members, segments, TERMS_PER_LAYER),
        powers.reshape(members, -1, TERMS_PER_LAYER),
    )


def log_sums(theta: Array, design: DesignMatrix) -> LogSums:
    """Compute the logarithms of the sums of every member for every row.

    Args:
        theta: (m, parameters) of m members.
        design: What the exponents multiply, of n rows.

    Returns:
        The logarithms, and the products that they are sums of.
    """
    n, depth, p = design.per_layer.shape
    terms = len(theta) * TERMS_PER_LAYER
    parameters = split_parameters(theta, len(design.segments))
    powers = parameters.powers.transpose(1, 0, 2).reshape(-1, terms)
    alone, per_layer = np.split(powers, [design.single.shape[1]])
    offsets = np.tensordot(design.segments.T, parameters.a[:, None] + parameters.b, (1, 1))
    # In place: this array is what takes the time.
    u = (design.per_layer.reshape(n * depth, p) @ per_layer).reshape(n, depth, terms)
    u += (design.single @ alone)[:, None]
    u += offsets.reshape(depth, -1)
    u[~design.active_mask] = -np.inf
    largest = u.reshape(n, depth * terms).max(1)
    u -= largest[:, None, None]
    np.exp(u, out=u)
    logarithm = largest[:, None] + np.log(_totals(u)[:, 0])
    return LogSums(logarithm.T, u)


def _totals(products: Array) -> Array:
    """(n, 1, m) sums of products (n, depth, m * r)."""
    n, _, width = products.shape
    of_layers = products.sum(1, keepdims=True)
    total = of_layers.reshape(n, 1, width // TERMS_PER_LAYER, TERMS_PER_LAYER).sum(3)
    # 0 where a step went so wild that other members drown a member
    return np.asarray(np.maximum(total, LEAST_TOTAL))


def slopes(design: DesignMatrix, products: Array) -> Array:
    """Compute the slopes of the logarithms in every parameter.

    Args:
        design: What the exponents multiply, of n rows.
        products: As ``log_sums`` gives them.

    Returns:
        (m, n, parameters): what each product's share in its sum is multiplied with.
    """
    shares = products / np.repeat(_totals(products), TERMS_PER_LAYER, axis=2)
    total = shares.sum(1, keepdims=True)
    members = shares.shape[2] // TERMS_PER_LAYER
    parts = [
        total,
        np.matmul(design.segments, shares),
        design.single[:, :, None] * total,
        np.matmul(design.per_layer.transpose(0, 2, 1), shares),
    ]
    of_members = []
    for part in parts:
        n = len(part)
        by_member = part.reshape(n, -1, members, TERMS_PER_LAYER).transpose(2, 0, 1, 3)
        of_members.append(by_member.reshape(members, n, -1))
    return np.concatenate(of_members, axis=2)
