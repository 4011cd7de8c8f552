"""The posterior of a process for given hyper-parameters: what it predicts, and how it is stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from predictors.core import State, Task
from predictors.gp.covariance import kernel, matern_covariance, variance
from predictors.gp.hyperparameters import Hyper
from predictors.gp.inputs import KernelFeatures
from predictors.gp.likelihood import DIAGONAL_JITTER
from predictors.gp.parts import KernelInputs
from predictors.posynomial import Posynomials
from predictors.schema import Array, Schema
from predictors.storage import checks

CHUNK_ROWS = 1024
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior of a process given n training rows, in standardised target units.

    With the covariance K of the training rows (noise included) and its Cholesky factor L, the latent
    mean at x is k(x, train) alpha, and its variance k(x, x) - |whiten k(train, x)|^2 (Rasmussen &
    Williams, 2006, algorithm 2.1).

    Attributes:
        kernel_features: Maps encoded rows to the kernel's inputs.
        hyper: Log hyper-parameters.
        encoded: (n, k) the training rows.
        alpha: (n,) K^-1 y.
        whiten: (n, n) L^-1.
    """

    kernel_features: KernelFeatures
    hyper: Hyper
    encoded: Array
    alpha: Array
    whiten: Array

    @cached_property
    def train(self) -> KernelInputs:
        """Kernel inputs of the training rows."""
        return self.kernel_features.inputs(self.encoded)

    @property
    def noise(self) -> float:
        """Variance of one measurement around the function, in standardised units."""
        return math.exp(self.hyper.log_noise_variance)

    @cached_property
    def slopes(self) -> Array:
        """(l,) posterior mean of the linear columns' coefficients: prior variance times phi' alpha."""
        of_columns = self.alpha @ self.train.linear
        return of_columns * self.hyper.linear_variances(self.train.group)

    def mean(self, encoded: Array) -> Array:
        """Compute the latent mean.

        Only the Matern parts need the training rows one by one; the linear parts are a product with
        ``slopes``, and the kernel's constant 1 contributes the sum of ``alpha``.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised units.
        """
        mean = np.empty(len(encoded))
        for chunk in _chunks(len(encoded)):
            rows = self.kernel_features.inputs(encoded[chunk])
            of_matern = matern_covariance(self.hyper, rows, self.train) @ self.alpha
            mean[chunk] = of_matern + rows.linear @ self.slopes
        return np.asarray(mean + self.alpha.sum())

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute latent mean and variance.

        It works in chunks, so that 50,000 rows need no 50,000 x n matrix.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised units; the variance is at least 1e-12.
        """
        mean = np.empty(len(encoded))
        remaining = np.empty(len(encoded))
        for chunk in _chunks(len(encoded)):
            rows = self.kernel_features.inputs(encoded[chunk])
            cross = kernel(self.hyper, rows, self.train)
            mean[chunk] = cross @ self.alpha
            explained = ((cross @ self.whiten.T) ** 2).sum(1)
            remaining[chunk] = variance(self.hyper, rows) - explained
        return mean, np.maximum(remaining, LEAST_VARIANCE)

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint normal distribution of the latent function at rows.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q), in standardised units.
        """
        rows = self.kernel_features.inputs(encoded)
        cross = kernel(self.hyper, rows, self.train)
        whitened = cross @ self.whiten.T
        explained = whitened @ np.swapaxes(whitened, -1, -2)
        return cross @ self.alpha, kernel(self.hyper, rows, rows) - explained

    def state(self) -> State:
        """Describe the process as data.

        Returns:
            Its arrays; with posynomials also theirs (``products``), and the number ``unit``.
        """
        arrays = {
            "shift": self.kernel_features.shift,
            "scale": self.kernel_features.scale,
            "theta": self.hyper.pack(),
            "encoded": self.encoded,
            "alpha": self.alpha,
            "whiten": self.whiten,
        }
        basis = self.kernel_features.basis
        if basis is None:
            return State({}, arrays, {})
        return State({"unit": basis.unit}, arrays | {"products": basis.theta}, {})


def _chunks(n: int) -> Iterator[slice]:
    """Split n rows into slices of at most ``CHUNK_ROWS``."""
    for first in range(0, n, CHUNK_ROWS):
        yield slice(first, first + CHUNK_ROWS)


def condition(
    kernel_features: KernelFeatures,
    hyper: Hyper,
    task: Task,
) -> GaussianProcess:
    """Compute the posterior for fixed hyper-parameters.

    Args:
        kernel_features: Maps encoded rows to kernel inputs.
        hyper: Log hyper-parameters.
        task: The training rows. Their given noise variances are added to that of ``hyper``.

    Returns:
        The process given these rows.

    Raises:
        numpy.linalg.LinAlgError: When the covariance of the rows is not positive definite in
            floating point.
    """
    from scipy.linalg import cholesky, solve_triangular

    data = kernel_features.inputs(task.encoded)
    covariance = kernel(hyper, data, data)
    covariance[np.diag_indices(len(task))] += _noise(hyper, task.noise_variance)
    factor = cholesky(covariance, lower=True)
    inverse = solve_triangular(factor, np.eye(len(task)), lower=True)
    # In the order in which arrays are read from a file: BLAS rounds by it, and a saved model
    # predicts the same bits.
    whiten = np.ascontiguousarray(inverse)
    return GaussianProcess(
        kernel_features,
        hyper,
        encoded=np.ascontiguousarray(task.encoded),
        alpha=whiten.T @ (whiten @ task.y),
        whiten=whiten,
    )


def _noise(hyper: Hyper, noise_variance: Array) -> Array:
    """(n,) learned noise + given noise + jitter: what is added to the kernel's diagonal at training rows."""
    return math.exp(hyper.log_noise_variance) + noise_variance + DIAGONAL_JITTER


def extend(core: GaussianProcess, task: Task) -> GaussianProcess:
    """Compute the posterior given other training rows, with the hyper-parameters of a process.

    Args:
        core: The process.
        task: All training rows of the new process; those of ``core`` are not added.

    Returns:
        The new process.

    Raises:
        numpy.linalg.LinAlgError: As ``condition``.
    """
    return condition(core.kernel_features, core.hyper, task)


def targets(core: GaussianProcess, noise_variance: Array) -> Array:
    """Compute from a process the targets that it was conditioned on: K alpha = y.

    Args:
        core: The process.
        noise_variance: (n,) the noise variances that it was given.

    Returns:
        (n,) standardised targets of its training rows.
    """
    without_noise = kernel(core.hyper, core.train, core.train) @ core.alpha
    return without_noise + _noise(core.hyper, noise_variance) * core.alpha


def restore(
    schema: Schema,
    state: State,
    basis: Posynomials | None = None,
) -> GaussianProcess:
    """Build a process again from what ``GaussianProcess.state`` returned.

    Args:
        schema: The features of the process.
        state: Its arrays, and with posynomials the number ``unit``.
        basis: The posynomials that are its basis, already built; None for a process without.

    Returns:
        The process.

    Raises:
        PredictorError: When ``GaussianProcess.state`` cannot have written it.
    """
    checks.process_state(schema, state)
    arrays = state.arrays
    kernel_features = KernelFeatures(schema, arrays["shift"], arrays["scale"], basis)
    checks.hyperparameter_count(arrays["theta"], kernel_features.sizes.ends[-1] + 1)
    return GaussianProcess(
        kernel_features,
        Hyper.unpack(arrays["theta"], kernel_features.sizes),
        encoded=arrays["encoded"],
        alpha=arrays["alpha"],
        whiten=arrays["whiten"],
    )
