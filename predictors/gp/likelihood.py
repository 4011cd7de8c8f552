"""The search for hyper-parameters: the most probable ones under the prior, by L-BFGS-B.

Why not gpytorch: the gradient is closed-form and every product is a matrix product, which fits 200 rows of 60 features
in a quarter of its time, needs no torch, and leaves plain arrays to store. The tests hold it to gpytorch's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predictors.core import Task
from predictors.gp.covariance import matern
from predictors.gp.hyperparameters import Hyper, Prior, bounds, prior, start
from predictors.gp.inputs import KernelFeatures, KernelInputs, MaternInput, Sizes
from predictors.schema import Array

MOST_STEPS = 50
HYPER_ROWS = 400  # hyper-parameters are found on at most so many rows
DIAGONAL_JITTER = 1e-8
LOG_TWO_PI = math.log(2 * math.pi)


def learn(
    kernel_features: KernelFeatures,
    task: Task,
    first: Hyper | None = None,
    steps: int = MOST_STEPS,
) -> Hyper:
    """Search the hyper-parameters for the rows of a task.

    Args:
        kernel_features: Maps encoded rows to kernel inputs.
        task: The standardised rows; of more than 400 it sees so many, chosen at random.
        first: Where the search starts; at fixed values when None.
        steps: How many steps of L-BFGS-B it may take.

    Returns:
        The most probable hyper-parameters that it found, within fixed bounds.
    """
    from scipy.optimize import minimize

    sizes = kernel_features.sizes
    if first is None:
        first = start(sizes)
    found = minimize(
        _objective_of(kernel_features, task),
        first.pack(),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds(sizes),
        options={"maxiter": steps},
    )
    return Hyper.unpack(found.x, sizes)


def _objective_of(
    kernel_features: KernelFeatures, task: Task
) -> Callable[[Array], tuple[float, Array]]:
    """The objective over a task's rows; of more than ``HYPER_ROWS`` over so many, chosen at random."""
    data = kernel_features.inputs(task.encoded)
    y = task.y
    noise_variance = task.noise_variance
    if len(y) > HYPER_ROWS:
        rows = np.random.default_rng(0).permutation(len(y))[:HYPER_ROWS]
        data = data.take(rows)
        y = y[rows]
        noise_variance = noise_variance[rows]
    return objective(data, y, noise_variance, kernel_features.sizes)


def objective(
    data: KernelInputs,
    y: Array,
    noise_variance: Array,
    sizes: Sizes,
) -> Callable[[Array], tuple[float, Array]]:
    """Make the function that the search for hyper-parameters minimises.

    Args:
        data: Kernel inputs of n training rows.
        y: (n,) standardised targets.
        noise_variance: (n,) noise variances that are given, besides the one that is learned.
        sizes: How many hyper-parameters there are.

    Returns:
        From packed log hyper-parameters to the negative log posterior and its gradient; infinity
        and zeros where the covariance is not positive definite.
    """
    return _NegativeLogPosterior(data, y, noise_variance, sizes)


@dataclass(frozen=True)
class _NegativeLogPosterior:
    """-log p(y | theta) - log p(theta) of packed log hyper-parameters theta, but for a constant, and its gradient."""

    data: KernelInputs
    y: Array
    noise_variance: Array
    sizes: Sizes

    def __call__(self, theta: Array) -> tuple[float, Array]:
        from scipy.linalg.lapack import dpotrf

        hyper = Hyper.unpack(theta, self.sizes)
        parts = [_MaternPart.of(part, hyper.lengthscale) for part in self.data.local]
        factor, failed = dpotrf(self._covariance(hyper, parts), lower=1, clean=1)
        if failed:  # only where the line search tries something wild: step back
            return np.inf, np.zeros_like(theta)
        inverse = _inverse(factor)
        alpha = inverse @ self.y
        gap = np.outer(alpha, alpha) - inverse
        away = theta - self._prior.mean
        slope_of_prior = away / self._prior.deviation**2
        from_prior = 0.5 * float((away * slope_of_prior).sum())
        value = self._misfit(alpha, factor) + from_prior
        return value, slope_of_prior - 0.5 * self._slopes(hyper, parts, gap)

    @cached_property
    def _prior(self) -> Prior:
        return prior(self.sizes)

    @cached_property
    def _grams(self) -> list[Array]:
        """Products of the linear parts' columns, each (n, n): made once, as only their weights change."""
        n_parts = self.sizes.linear + self.sizes.basis
        columns = [self.data.linear[:, self.data.group == part] for part in range(n_parts)]
        return [part @ part.T for part in columns]

    def _covariance(self, hyper: Hyper, parts: Sequence[_MaternPart]) -> Array:
        """(n, n) covariance of the measurements, noise included."""
        near = _weighted(np.exp(hyper.scale), [part.value for part in parts])
        covariance = np.asarray(1.0 + near)
        covariance += _weighted(np.exp(hyper.linear), self._grams)
        noise = math.exp(hyper.noise) + self.noise_variance + DIAGONAL_JITTER
        covariance[np.diag_indices(len(self.y))] += noise
        return covariance

    def _misfit(self, alpha: Array, factor: Array) -> float:
        """Negative log likelihood (Rasmussen & Williams, 2006, eq. 2.30); ``factor``: Cholesky factor of the covariance."""
        fit = 0.5 * float(self.y @ alpha)
        complexity = float(np.log(np.diag(factor)).sum())
        return fit + complexity + 0.5 * len(self.y) * LOG_TWO_PI

    def _slopes(
        self,
        hyper: Hyper,
        parts: Sequence[_MaternPart],
        gap: Array,
    ) -> Array:
        """(p,) slopes of twice the log likelihood: <gap, dK / dtheta> (Rasmussen & Williams, 2006, eq. 5.9)."""
        scales = np.exp(hyper.scale)
        by_scale = _products(scales, gap, [part.value for part in parts])
        by_linear = _products(np.exp(hyper.linear), gap, self._grams)
        by_noise = math.exp(hyper.noise) * np.trace(gap)
        n_lengthscales = sum(self.sizes.local)
        by_length = np.zeros(n_lengthscales)
        for scale, part in zip(scales, parts, strict=True):
            by_length = by_length + part.by_length(gap * scale, n_lengthscales)
        return np.concatenate([by_length, by_scale, by_linear, [by_noise]])


def _inverse(factor: Array) -> Array:
    """(n, n) inverse of the matrix that has this Cholesky factor; LAPACK computes its lower half."""
    from scipy.linalg.lapack import dpotri

    inverse: Array = dpotri(factor, lower=1)[0]
    inverse += np.tril(inverse, -1).T
    return inverse


def _products(weights: Array, gap: Array, parts: Sequence[Array]) -> list[float]:
    """For each part its weight times <gap, part>, the sum over the products of their entries."""
    return [weight * np.vdot(gap, part) for weight, part in zip(weights, parts, strict=True)]


def _weighted(weights: Array, parts: Sequence[Array]) -> Array | float:
    """The weighted sum of matrices; 0 of none."""
    total: Array | float = 0.0
    for weight, part in zip(weights, parts, strict=True):
        total = total + weight * part
    return total


@dataclass(frozen=True)
class _MaternPart:
    """A Matern part over training rows: scaled points ``z`` (n, k), whose lengthscales, value and slope (n, n)."""

    z: Array
    owners: NDArray[np.intp]
    value: Array
    slope: Array

    @classmethod
    def of(cls, part: MaternInput, lengthscale: Array) -> _MaternPart:
        """Compute a Matern part over training rows.

        Args:
            part: Points of n rows.
            lengthscale: All log lengthscales.

        Returns:
            The part with value and slope, each (n, n).
        """
        z = part.points / np.exp(lengthscale)[part.owners]
        r, decay = matern(z, z)
        value = (1.0 + r + r * r / 3.0) * decay
        slope = (-5.0 / 6.0) * (1.0 + r) * decay
        return cls(z, part.owners, value, slope)

    def by_length(self, gap: Array, n: int) -> Array:
        """Compute the slope of <gap, value> in each log lengthscale.

        The (rows, rows, k) array of distances is never made.

        Args:
            gap: (rows, rows) symmetric weights of the kernel's values.
            n: How many lengthscales there are in all parts together.

        Returns:
            (n,) slopes; 0 for the lengthscales of other parts.
        """
        w = gap * self.slope
        squares = w.sum(1) @ (self.z * self.z)
        products = (self.z * (w @ self.z)).sum(0)
        distances = 2.0 * (squares - products)
        return np.asarray(-2.0 * np.bincount(self.owners, distances, n), np.float64)
