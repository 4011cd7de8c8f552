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
    """The parameters of m posynomials ("members"), with the symbols of ``predictors.posynomial``.

    Attributes:
        a: (m, terms) offset of each product.
        b: (m, segments, terms) offset of each product in each segment of layers.
        powers: (m, exponents, terms) exponents c of single genes, then d and e of the layers' genes.
    """

    a: Array
    b: Array
    powers: Array


@dataclass(frozen=True)
class LogSums:
    """The sums of products of m members for n rows.

    Attributes:
        value: (m, n) logarithm of each sum.
        products: (n, layers, m * terms) the products of each sum, divided by the largest product of
            the row. The last axis counts all terms of the first member, then of the next.
    """

    value: Array
    products: Array


def split_parameters(theta: Array, segments: int) -> Parameters:
    """Split packed parameters into their kinds.

    Args:
        theta: (m, parameters) of m members.
        segments: How many segments of layers there are.

    Returns:
        Offsets a and b, and the exponents.
    """
    # Where a and where b end
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
    # log sum exp(z) = max z + log sum exp(z - max z): exp(z) alone would overflow. In place, since
    # this array is what takes the time.
    largest = products.max((1, 2))
    products -= largest[:, None, None]
    np.exp(products, out=products)
    logarithm = largest[:, None] + np.log(_totals(products)[:, 0])
    return LogSums(logarithm.T, products)


def _log_products(parameters: Parameters, design: DesignMatrix) -> Array:
    """(n, layers, m * terms) the logarithm of every product; -inf where a row's network lacks the layer."""
    n, depth, p = design.per_layer.shape
    all_terms = parameters.a.size  # m * terms
    powers = parameters.powers.transpose(1, 0, 2).reshape(-1, all_terms)
    powers_of_single, powers_of_layer = np.split(powers, [design.single.shape[1]])
    a_plus_b = parameters.a[:, None] + parameters.b
    offsets = np.tensordot(design.segments.T, a_plus_b, (1, 1))  # (layers, m, terms)
    of_layers = design.per_layer.reshape(n * depth, p) @ powers_of_layer
    log_products = of_layers.reshape(n, depth, all_terms)
    log_products += (design.single @ powers_of_single)[:, None]
    log_products += offsets.reshape(depth, -1)
    log_products[~design.active_mask] = -np.inf
    return log_products


def _totals(products: Array) -> Array:
    """(n, 1, m) the sum over layers and terms of each member's products (n, layers, m * terms)."""
    n, _, all_terms = products.shape
    members = all_terms // TERMS_PER_LAYER
    over_layers = products.sum(1, keepdims=True)
    total = over_layers.reshape(n, 1, members, TERMS_PER_LAYER).sum(3)
    # Products are relative to a row's largest one of all members. After a step in a bad direction
    # all products of a member can be 0 beside it; what follows takes the logarithm.
    return np.asarray(np.maximum(total, LEAST_TOTAL))


def slopes(design: DesignMatrix, products: Array) -> Array:
    """Compute the derivative of every logarithm by every parameter of its member.

    For S = sum of products P, d(log S) / d(parameter) = sum over products of P / S times what the
    parameter multiplies in log P: 1 for a, whether the layer is in the segment for b, the logarithm of
    a gene for an exponent.

    Args:
        design: What the exponents multiply, of n rows.
        products: (n, layers, m * terms) as ``log_sums`` gives them.

    Returns:
        (m, n, parameters) slopes, in the order of ``split_parameters``.
    """
    fractions = products / np.repeat(_totals(products), TERMS_PER_LAYER, axis=2)
    over_layers = fractions.sum(1, keepdims=True)
    of_a = over_layers
    of_b = np.matmul(design.segments, fractions)
    of_single = design.single[:, :, None] * over_layers
    of_layers = np.matmul(design.per_layer.transpose(0, 2, 1), fractions)
    parts = [_by_member(part) for part in (of_a, of_b, of_single, of_layers)]
    return np.concatenate(parts, axis=2)


def _by_member(slopes_of_terms: Array) -> Array:
    """Bring slopes from (n, p, m * terms) to (m, n, p * terms): all parameters of one member together."""
    n, _, all_terms = slopes_of_terms.shape
    members = all_terms // TERMS_PER_LAYER
    separated = slopes_of_terms.reshape(n, -1, members, TERMS_PER_LAYER)
    return separated.transpose(2, 0, 1, 3).reshape(members, n, -1)
