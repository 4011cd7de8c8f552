"""The kernel between rows: a constant, Matern-5/2 parts and linear parts."""

from __future__ import annotations

import math

import numpy as np

from predictors.gp.hyperparameters import Hyper
from predictors.gp.parts import KernelInputs
from predictors.schema import Array


def matern_terms(a: Array, b: Array) -> tuple[Array, Array]:
    """Compute the two matrices from which the Matern-5/2 kernel and its derivative are made.

    With r = sqrt(5) * distance the kernel is (1 + r + r^2 / 3) exp(-r), and its derivative by the
    squared distance is -5/6 (1 + r) exp(-r) (Rasmussen & Williams, 2006, eq. 4.17).

    Args:
        a: (..., n, k) rows divided by the lengthscales.
        b: (..., m, k) rows divided by the lengthscales.

    Returns:
        r = sqrt(5) * distance, and exp(-r), each (..., n, m).
    """
    a = math.sqrt(5.0) * a
    b = math.sqrt(5.0) * b
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b: one matrix product instead of all differences
    r = (-2.0 * a) @ np.swapaxes(b, -1, -2)
    r += (a * a).sum(-1)[..., :, None]
    r += (b * b).sum(-1)[..., None, :]
    np.maximum(r, 0.0, out=r)  # rounding may have left a little less than 0
    np.sqrt(r, out=r)
    return r, np.exp(-r)


def matern_covariance(hyper: Hyper, a: KernelInputs, b: KernelInputs) -> Array:
    """Compute the covariance between rows that the Matern parts contribute.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.
        b: Kernel inputs of m rows.

    Returns:
        (..., n, m) the sum over the Matern parts, each times its variance.
    """
    total: Array | float = 0.0
    variances = np.exp(hyper.log_matern_variances)
    for matern_variance, part_a, part_b in zip(variances, a.matern, b.matern, strict=True):
        lengthscales = np.exp(hyper.log_lengthscales)[part_a.owners]
        part = _matern_kernel(part_a.points / lengthscales, part_b.points / lengthscales)
        part *= matern_variance
        part += total
        total = part
    return np.asarray(total)


def _matern_kernel(a: Array, b: Array) -> Array:
    """(..., n, m) Matern-5/2 kernel of rows a (..., n, k) and b (..., m, k) divided by the lengthscales."""
    r, decay = matern_terms(a, b)
    # (1 + r + r^2 / 3) exp(-r), computed in place as ((r / 3 + 1) r + 1) exp(-r): this is where
    # prediction spends its time
    value = r * (1.0 / 3.0)
    value += 1.0
    value *= r
    value += 1.0
    value *= decay
    return value


def kernel(hyper: Hyper, a: KernelInputs, b: KernelInputs) -> Array:
    """Compute the covariance between rows, without noise.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.
        b: Kernel inputs of m rows.

    Returns:
        (..., n, m) covariance: the Matern parts, the linear parts, and 1 for a constant mean with
        a standard normal prior.
    """
    weighted = a.linear * hyper.linear_variances(a.group)
    of_linear = weighted @ np.swapaxes(b.linear, -1, -2)
    return matern_covariance(hyper, a, b) + of_linear + 1.0


def variance(hyper: Hyper, a: KernelInputs) -> Array:
    """Compute the prior variance of rows: the diagonal of ``kernel(hyper, a, a)`` alone.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.

    Returns:
        (..., n) prior variances.
    """
    # A Matern kernel is 1 at distance 0: each part counts with its variance
    stationary = float(np.exp(hyper.log_matern_variances).sum())
    linear = (a.linear**2) @ hyper.linear_variances(a.group)
    return 1.0 + stationary + linear
