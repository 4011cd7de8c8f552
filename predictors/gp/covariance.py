"""The kernel between rows: a constant, Matern-5/2 parts and linear parts."""

from __future__ import annotations

import math

import numpy as np

from predictors.gp.hyperparameters import Hyper
from predictors.gp.inputs import KernelInputs
from predictors.schema import Array


def matern(a: Array, b: Array) -> tuple[Array, Array]:
    """Compute what the Matern-5/2 kernel between rows and its derivative are made of.

    The kernel is (1 + r + r^2 / 3) exp(-r); its derivative by the squared distance is -5/6 (1 + r)
    exp(-r).

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


def local(hyper: Hyper, a: KernelInputs, b: KernelInputs) -> Array:
    """Compute the Matern parts' covariance between rows.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.
        b: Kernel inputs of m rows.

    Returns:
        (..., n, m) the sum over the parts.
    """
    found: Array | float = 0.0
    for scale, p, q in zip(np.exp(hyper.scale), a.local, b.local, strict=True):
        lengthscales = np.exp(hyper.lengthscale)[p.owners]
        part = _matern_kernel(p.points / lengthscales, q.points / lengthscales)
        part *= scale
        part += found
        found = part
    return np.asarray(found)


def _matern_kernel(a: Array, b: Array) -> Array:
    """(..., n, m) (1 + r + r^2 / 3) exp(-r), in place: this is where prediction spends its time."""
    r, decay = matern(a, b)
    out = r * (1.0 / 3.0)
    out += 1.0
    out *= r
    out += 1.0
    out *= decay
    return out


def kernel(hyper: Hyper, a: KernelInputs, b: KernelInputs) -> Array:
    """Compute the covariance between rows, without noise.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.
        b: Kernel inputs of m rows.

    Returns:
        (..., n, m) covariance: 1, the Matern parts and the linear parts.
    """
    weighted = a.linear * hyper.linear_variances(a.group)
    out = local(hyper, a, b)
    out += weighted @ np.swapaxes(b.linear, -1, -2)
    out += 1.0
    return out


def variance(hyper: Hyper, a: KernelInputs) -> Array:
    """Compute the diagonal of ``kernel(hyper, a, a)`` alone.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.

    Returns:
        (..., n) prior variances.
    """
    stationary = float(np.exp(hyper.scale).sum())
    linear = (a.linear**2) @ hyper.linear_variances(a.group)
    return 1.0 + stationary + linear
