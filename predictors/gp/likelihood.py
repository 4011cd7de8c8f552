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
from predictors.gp.covariance import matern_terms
from predictors.gp.hyperparameters import Hyper, Prior, bounds, prior, start
from predictors.gp.inputs import KernelFeatures
from predictors.gp.parts import KernelInputs, MaternInput, Sizes
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
    """Find the most probable hyper-parameters for the rows of a task.

    Args:
        kernel_features: Maps encoded rows to kernel inputs.
        task: The standardised rows; of more than 400 it sees so many, chosen at random.
        first: Where the search starts; at fixed values when None.
        steps: How many steps of L-BFGS-B it may take.

    Returns:
        The most probable hyper-parameters that the search found, within fixed bounds.
    """
    from scipy.optimize import minimize

    sizes = kernel_features.sizes
    if first is None:
        first = start(sizes)
    optimum = minimize(
        _objective_of(kernel_features, task),
        first.pack(),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds(sizes),
        options={"maxiter": steps},
    )
    return Hyper.unpack(optimum.x, sizes)


def _objective_of(
    kernel_features: KernelFeatures, task: Task
) -> Callable[[Array], tuple[float, Array]]:
    """Make the objective over the rows of a task, or over ``HYPER_ROWS`` of them, drawn at random."""
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
    """-log p(y | theta) - log p(theta), but for a constant, and its gradient in theta.

    theta are the packed log hyper-parameters. The gradient of the log likelihood is half the sum over
    the entries of W dK / dtheta, with the covariance K and W = alpha alpha' - K^-1, alpha = K^-1 y
    (Rasmussen & Williams, 2006, eq. 5.9). W is called ``gradient_weights``.

    Attributes:
        data: Kernel inputs of n training rows.
        y: (n,) standardised targets.
        noise_variance: (n,) given noise variances.
        sizes: How many hyper-parameters there are.
    """

    data: KernelInputs
    y: Array
    noise_variance: Array
    sizes: Sizes

    def __call__(self, theta: Array) -> tuple[float, Array]:
        from scipy.linalg.lapack import dpotrf

        hyper = Hyper.unpack(theta, self.sizes)
        parts = [_MaternPart.of(part, hyper.log_lengthscales) for part in self.data.matern]
        factor, failed = dpotrf(self._covariance(hyper, parts), lower=1, clean=1)
        # Not positive definite: this happens only where the line search tries extreme values, and
        # an infinite objective makes it step back.
        if failed:
            return np.inf, np.zeros_like(theta)
        inverse = _inverse(factor)
        alpha = inverse @ self.y
        gradient_weights = np.outer(alpha, alpha) - inverse
        from_prior_mean = theta - self._prior.mean
        prior_gradient = from_prior_mean / self._prior.deviation**2
        prior_value = 0.5 * float((from_prior_mean * prior_gradient).sum())
        value = self._negative_log_likelihood(alpha, factor) + prior_value
        likelihood_gradient = 0.5 * self._twice_gradient(hyper, parts, gradient_weights)
        return value, prior_gradient - likelihood_gradient

    @cached_property
    def _prior(self) -> Prior:
        return prior(self.sizes)

    @cached_property
    def _grams(self) -> list[Array]:
        """For each linear part the products of its columns phi, phi phi' (n, n).

        They are made once: a step of the search changes only the variances that they are weighted by.
        """
        n_parts = self.sizes.linear_parts + int(self.sizes.has_basis)
        columns = [self.data.linear[:, self.data.group == part] for part in range(n_parts)]
        return [part @ part.T for part in columns]

    def _covariance(self, hyper: Hyper, parts: Sequence[_MaternPart]) -> Array:
        """(n, n) covariance of the measurements, noise included."""
        of_matern = _weighted(np.exp(hyper.log_matern_variances), [part.value for part in parts])
        covariance = np.asarray(1.0 + of_matern)  # 1: the constant mean, of prior variance 1
        covariance += _weighted(np.exp(hyper.log_linear_variances), self._grams)
        noise = math.exp(hyper.log_noise_variance) + self.noise_variance + DIAGONAL_JITTER
        covariance[np.diag_indices(len(self.y))] += noise
        return covariance

    def _negative_log_likelihood(self, alpha: Array, factor: Array) -> float:
        """y' K^-1 y / 2 + log |K| / 2 + n log(2 pi) / 2 (Rasmussen & Williams, 2006, eq. 2.30).

        Args:
            alpha: (n,) K^-1 y.
            factor: (n, n) lower Cholesky factor of the covariance K. The sum of the logarithms of its
                diagonal is log |K| / 2.

        Returns:
            The negative log likelihood of the targets.
        """
        fit = 0.5 * float(self.y @ alpha)
        complexity = float(np.log(np.diag(factor)).sum())
        return fit + complexity + 0.5 * len(self.y) * LOG_TWO_PI

    def _twice_gradient(
        self,
        hyper: Hyper,
        parts: Sequence[_MaternPart],
        gradient_weights: Array,
    ) -> Array:
        """Compute the gradient of twice the log likelihood.

        A part of K is its variance v times a matrix M, and dK / d(log v) = v M.

        Args:
            hyper: Log hyper-parameters.
            parts: The Matern parts at these hyper-parameters.
            gradient_weights: (n, n) the matrix W of the class's formula.

        Returns:
            (p,) slopes in the log hyper-parameters, in the order of ``Hyper.pack``.
        """
        variances = np.exp(hyper.log_matern_variances)
        by_matern = _weighted_sums(variances, gradient_weights, [part.value for part in parts])
        by_linear = _weighted_sums(
            np.exp(hyper.log_linear_variances), gradient_weights, self._grams
        )
        by_noise = math.exp(hyper.log_noise_variance) * np.trace(gradient_weights)
        n_lengthscales = sum(self.sizes.lengthscales)
        by_lengthscale = np.zeros(n_lengthscales)
        for variance, part in zip(variances, parts, strict=True):
            slopes = part.lengthscale_slopes(gradient_weights * variance, n_lengthscales)
            by_lengthscale = by_lengthscale + slopes
        return np.concatenate([by_lengthscale, by_matern, by_linear, [by_noise]])


def _inverse(factor: Array) -> Array:
    """(n, n) inverse of the symmetric matrix that has this lower Cholesky factor (n, n)."""
    from scipy.linalg.lapack import dpotri

    # LAPACK fills only the lower triangle: mirror it into the upper one
    inverse: Array = dpotri(factor, lower=1)[0]
    inverse += np.tril(inverse, -1).T
    return inverse


def _weighted_sums(
    variances: Array, gradient_weights: Array, matrices: Sequence[Array]
) -> list[float]:
    """For each matrix M (n, n) and its variance v: v times the sum of all entries of W * M."""
    sums = []
    for variance, matrix in zip(variances, matrices, strict=True):
        sums.append(variance * np.vdot(gradient_weights, matrix))
    return sums


def _weighted(weights: Array, matrices: Sequence[Array]) -> Array | float:
    """The weighted sum of matrices; 0 of none."""
    total: Array | float = 0.0
    for weight, matrix in zip(weights, matrices, strict=True):
        total = total + weight * matrix
    return total


@dataclass(frozen=True)
class _MaternPart:
    """A Matern part of the kernel over n training rows, at given lengthscales.

    Attributes:
        z: (n, k) points divided by their lengthscales.
        owners: (k,) for each coordinate the index of its lengthscale among all lengthscales.
        value: (n, n) the Matern kernel, of variance 1.
        slope: (n, n) its derivative by the squared distance.
    """

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
        r, decay = matern_terms(z, z)
        value = (1.0 + r + r * r / 3.0) * decay
        slope = (-5.0 / 6.0) * (1.0 + r) * decay
        return cls(z, part.owners, value, slope)

    def lengthscale_slopes(self, weights: Array, n_lengthscales: int) -> Array:
        """Compute the slope of the weighted sum of the kernel's values in each log lengthscale.

        The derivative of a squared distance by a log lengthscale is -2 (z_i - z_j)^2, summed over the
        coordinates that have this lengthscale. With symmetric s_ij = weights * slope, the sum over
        i, j of s_ij (z_i - z_j)^2 is 2 (sum of s_ij z_i^2 - sum of s_ij z_i z_j): the (n, n, k) array
        of differences is never made.

        Args:
            weights: (n, n) symmetric weights of the kernel's values.
            n_lengthscales: How many lengthscales there are in all parts together.

        Returns:
            (n_lengthscales,) slopes; 0 for the lengthscales of other parts.
        """
        weighted_slope = weights * self.slope
        squares = weighted_slope.sum(1) @ (self.z * self.z)
        products = (self.z * (weighted_slope @ self.z)).sum(0)
        by_coordinate = 2.0 * (squares - products)
        by_lengthscale = np.bincount(self.owners, by_coordinate, n_lengthscales)
        return np.asarray(-2.0 * by_lengthscale, np.float64)
