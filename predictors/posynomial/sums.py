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
    products = _log_products(split_parameters(theta, len(design.segments)), design)
    # The largest of a row is taken out before the exponential, which would overflow otherwise,
    # and in place: this array is what takes the time.
    largest = products.max((1, 2))
    products -= largest[:, None, None]
    np.exp(products, out=products)
    logarithm = largest[:, None] + np.log(_totals(products)[:, 0])
    return LogSums(logarithm.T, products)


def _log_products(parameters: Parameters, design: DesignMatrix) -> Array:
    """(n, layers, m * terms) the logarithm of every product; -inf where a layer is not there."""
    n, depth, p = design.per_layer.shape
    terms = parameters.a.size
    powers = parameters.powers.transpose(1, 0, 2).reshape(-1, terms)
    powers_of_single, powers_of_layer = np.split(powers, [design.single.shape[1]])
    a_plus_b = parameters.a[:, None] + parameters.b
    offsets = np.tensordot(design.segments.T, a_plus_b, (1, 1))
    of_layers = design.per_layer.reshape(n * depth, p) @ powers_of_layer
    products = of_layers.reshape(n, depth, terms)
    products += (design.single @ powers_of_single)[:, None]
    products += offsets.reshape(depth, -1)
    products[~design.active_mask] = -np.inf
    return products


def _totals(products: Array) -> Array:
    """(n, 1, m) sums of products (n, depth, m * r)."""
    n, _, width = products.shape
    members = width // TERMS_PER_LAYER
    of_terms = products.sum(1, keepdims=True)
    total = of_terms.reshape(n, 1, members, TERMS_PER_LAYER).sum(3)
    # After a step in a bad direction the products of a member can all vanish beside a row's
    # largest one.
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
    of_a = total
    of_b = np.matmul(design.segments, shares)
    of_single = design.single[:, :, None] * total
    of_layers = np.matmul(design.per_layer.transpose(0, 2, 1), shares)
    parts = [_by_member(part) for part in (of_a, of_b, of_single, of_layers)]
    return np.concatenate(parts, axis=2)


def _by_member(slopes_of_terms: Array) -> Array:
    """Slopes (n, p, m * terms) as (m, n, p * terms)."""
    n, _, width = slopes_of_terms.shape
    members = width // TERMS_PER_LAYER
    separated = slopes_of_terms.reshape(n, -1, members, TERMS_PER_LAYER)
    return separated.transpose(2, 0, 1, 3).reshape(members, n, -1)
