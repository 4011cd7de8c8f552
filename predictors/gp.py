"""Exact Gaussian process over encoded rows: Matern-5/2 parts plus Bayesian linear parts.

k(x, x') = 1 + sum_p s_p * matern52(|z_p(x) - z_p(x')| / lengthscales) + sum_g v_g <phi_g(x), phi_g(x')>

:mod:`predictors.inputs` says what z and phi are. The fine Matern part has one lengthscale a feature (the columns of a nominal
share it), the coarse one has its own. The linear parts, each with a variance of its own, extrapolate where a stationary kernel
falls back to the mean, which is where a front grows, and their coefficients' uncertainty is part of the posterior.
Hyper-parameters are the MAP under log-normal priors, the fine lengthscales' as in Hvarfner et al., "Vanilla Bayesian
Optimization Performs Great in High Dimensions" (ICML 2024); the others' are ours.

Why not gpytorch: the gradient is closed-form and every product is a matrix product, which fits 200 rows of 60 features
in a quarter of its time, needs no torch, and leaves plain arrays to store. The tests hold it to gpytorch's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from predictors import checks
from predictors.core import Fitted, State, Task, forward
from predictors.inputs import KernelFeatures, KernelInputs, MaternInput, Sizes
from predictors.posynomial import Posynomials
from predictors.schema import Array, Schema

_MATERN_LOG_VARIANCES = np.array(
    [-1.0, 0.0]
)  # what is expected of the logarithm of the fine part's variance, and of the coarse one's
_LINEAR_LOG_VARIANCES = np.array(
    [0.0, 0.0, 0.0, 0.0, -1.5]
)  # and of those of ranks, levels, numerics; totals, counts
_BASIS_LOG_VARIANCE = np.array([0.0])  # and of that of a basis
_MAX_STEPS = 50
_FORWARD_STEPS = 25
_HYPER_ROWS = 400  # hyper-parameters are found on at most so many rows
_DIAGONAL_JITTER = 1e-8
_CHUNK_ROWS = 1024
#: rows that a process is fitted to -> columns of one more linear part, or None for no such part
Basis = Callable[[Task], Posynomials | None]


@dataclass(frozen=True)
class Hyper:
    """Log hyper-parameters: all ``lengthscale``s, ``scale`` of each Matern part, ``linear`` variances, ``noise`` variance."""

    lengthscale: Array
    scale: Array
    linear: Array
    noise: float

    def pack(self) -> Array:
        """Join all log hyper-parameters into one array.

        Returns:
            (p,) lengthscales, scales, linear variances, noise variance, in this order.
        """
        return np.concatenate([self.lengthscale, self.scale, self.linear, [self.noise]])

    @classmethod
    def unpack(cls, theta: Array, sizes: Sizes) -> Hyper:
        """Split a packed array into hyper-parameters; inverse of ``pack``.

        Args:
            theta: (p,) log hyper-parameters.
            sizes: How many of each there are.

        Returns:
            The hyper-parameters.
        """
        lengthscale, scale, linear, noise = np.split(theta, sizes.ends)
        return cls(lengthscale, scale, linear, float(noise[0]))


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
    a, b = math.sqrt(5.0) * a, math.sqrt(5.0) * b
    r = (-2.0 * a) @ np.swapaxes(b, -1, -2)
    r += (a * a).sum(-1)[..., :, None]
    r += (b * b).sum(-1)[..., None, :]
    np.sqrt(np.maximum(r, 0.0, out=r), out=r)
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
        ls = np.exp(hyper.lengthscale)[p.owners]
        r, decay = matern(p.points / ls, q.points / ls)
        out = r * (1.0 / 3.0)  # in place from here on: this is where prediction spends its time
        out += 1.0
        out *= r
        out += 1.0
        out *= decay
        out *= scale
        out += found
        found = out
    return np.asarray(found)


def kernel(hyper: Hyper, a: KernelInputs, b: KernelInputs) -> Array:
    """Compute the covariance between rows, without noise.

    Args:
        hyper: Log hyper-parameters.
        a: Kernel inputs of n rows.
        b: Kernel inputs of m rows.

    Returns:
        (..., n, m) covariance: 1, the Matern parts and the linear parts.
    """
    out = local(hyper, a, b)
    out += (a.linear * np.exp(hyper.linear)[a.group]) @ np.swapaxes(b.linear, -1, -2)
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
    return 1.0 + float(np.exp(hyper.scale).sum()) + (a.linear**2) @ np.exp(hyper.linear)[a.group]


def _linear(sizes: Sizes) -> Array:
    """What is expected of the logarithms of the linear parts' variances."""
    return np.concatenate(
        [_LINEAR_LOG_VARIANCES[: sizes.linear], _BASIS_LOG_VARIANCE[: int(sizes.basis)]]
    )


def _prior(sizes: Sizes) -> tuple[Array, Array]:
    """Mean and deviation of the normal prior on each log hyper-parameter."""
    lengths = np.concatenate([np.full(d, math.sqrt(2.0) + 0.5 * math.log(d)) for d in sizes.local])
    mean = [lengths, _MATERN_LOG_VARIANCES[: len(sizes.local)], _linear(sizes), np.array([-3.5])]
    deviation = np.repeat([math.sqrt(3.0), 0.7, 1.0, 1.0], [len(m) for m in mean])
    return np.concatenate(mean), deviation


def _start(sizes: Sizes) -> Hyper:
    lengths = np.concatenate([np.full(d, 0.2 + 0.5 * math.log(d)) for d in sizes.local])
    return Hyper(lengths, _MATERN_LOG_VARIANCES[: len(sizes.local)], _linear(sizes) - 0.5, -4.0)


def objective(
    data: KernelInputs, y: Array, noise_variance: Array, sizes: Sizes
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
    from scipy.linalg.lapack import dpotrf, dpotri

    n, (mean, deviation) = len(y), _prior(sizes)
    parts = [data.linear[:, data.group == g] for g in range(len(_linear(sizes)))]
    grams = [part @ part.T for part in parts]  # once, as only their weights change

    def evaluate(theta: Array) -> tuple[float, Array]:
        """Compute the negative log posterior at packed hyper-parameters, and its gradient.

        Args:
            theta: (p,) packed log hyper-parameters.

        Returns:
            The value, and its gradient (p,).
        """
        h = Hyper.unpack(theta, sizes)
        s, noise, v = np.exp(h.scale), math.exp(h.noise), np.exp(h.linear)
        near = [_Near.of(p, h.lengthscale) for p in data.local]
        k = 1.0 + sum(a * p.value for a, p in zip(s, near, strict=True))
        k += sum(weight * gram for weight, gram in zip(v, grams, strict=True))
        k[np.diag_indices(n)] += noise + noise_variance + _DIAGONAL_JITTER
        factor, failed = dpotrf(k, lower=1, clean=1)
        if failed:  # only where the line search tries something wild: step back
            return np.inf, np.zeros_like(theta)
        inverse = dpotri(factor, lower=1)[0]
        inverse += np.tril(inverse, -1).T
        alpha = inverse @ y
        gap = np.outer(alpha, alpha) - inverse
        by_length = sum(
            p.by_length(gap * a, sum(sizes.local)) for a, p in zip(s, near, strict=True)
        )
        by_scale = [a * np.vdot(gap, p.value) for a, p in zip(s, near, strict=True)]
        by_linear = [weight * np.vdot(gap, gram) for weight, gram in zip(v, grams, strict=True)]
        tilt = (theta - mean) / deviation**2
        gradient = np.concatenate([by_length, by_scale, by_linear, [noise * np.trace(gap)]])
        value = (
            0.5 * float(y @ alpha)
            + float(np.log(np.diag(factor)).sum())
            + 0.5 * n * math.log(2 * math.pi)
        )
        return value + 0.5 * float(((theta - mean) * tilt).sum()), tilt - 0.5 * gradient

    return evaluate


@dataclass(frozen=True)
class _Near:
    """A Matern part over training rows: scaled points ``z`` (n, k), whose lengthscales, value and slope (n, n)."""

    z: Array
    owners: NDArray[np.intp]
    value: Array
    slope: Array

    @classmethod
    def of(cls, part: MaternInput, lengthscale: Array) -> _Near:
        """Compute a Matern part over training rows.

        Args:
            part: Points of n rows.
            lengthscale: All log lengthscales.

        Returns:
            The part with value and slope, each (n, n).
        """
        z = part.points / np.exp(lengthscale)[part.owners]
        r, decay = matern(z, z)
        return cls(
            z, part.owners, (1.0 + r + r * r / 3.0) * decay, (-5.0 / 6.0) * (1.0 + r) * decay
        )

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
        distances = 2.0 * (w.sum(1) @ (self.z * self.z) - (self.z * (w @ self.z)).sum(0))
        return np.asarray(-2.0 * np.bincount(self.owners, distances, n), np.float64)


def learn(
    kernel_features: KernelFeatures, task: Task, start: Hyper | None = None, steps: int = _MAX_STEPS
) -> Hyper:
    """Search the hyper-parameters for the rows of a task.

    Args:
        kernel_features: Maps encoded rows to kernel inputs.
        task: The standardised rows; of more than 400 it sees so many, chosen at random.
        start: Where the search starts; at fixed values when None.
        steps: How many steps of L-BFGS-B it may take.

    Returns:
        The most probable hyper-parameters that it found, within fixed bounds.
    """
    from scipy.optimize import minimize

    sizes, data, y, noise_variance = (
        kernel_features.sizes,
        kernel_features.inputs(task.encoded),
        task.y,
        task.noise_variance,
    )
    if len(y) > _HYPER_ROWS:
        rows = np.random.default_rng(0).permutation(len(y))[:_HYPER_ROWS]
        data, y, noise_variance = data.take(rows), y[rows], noise_variance[rows]
    bounds = [(-3.0, 6.0)] * sum(sizes.local) + [(-8.0, 4.0)] * len(sizes.local)
    bounds += [(-9.0, 7.0)] * len(_linear(sizes)) + [(-11.0, 1.0)]
    theta = (start or _start(sizes)).pack()
    found = minimize(
        objective(data, y, noise_variance, sizes),
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps},
    )
    return Hyper.unpack(found.x, sizes)


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior given ``train`` rows: mean k(x, train) @ ``alpha``, covariance by ``whiten`` (inverse Cholesky)."""

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
        return math.exp(self.hyper.noise)

    @cached_property
    def slopes(self) -> Array:
        """(l,) posterior mean of the linear parts' coefficients."""
        return np.asarray(
            (self.alpha @ self.train.linear) * np.exp(self.hyper.linear)[self.train.group]
        )

    def mean(self, encoded: Array) -> Array:
        """Compute the latent mean; only the Matern parts need the training rows one by one.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised units.
        """
        mean = np.empty(len(encoded))
        for i in range(0, len(encoded), _CHUNK_ROWS):
            rows = self.kernel_features.inputs(encoded[i : i + _CHUNK_ROWS])
            mean[i : i + _CHUNK_ROWS] = (
                local(self.hyper, rows, self.train) @ self.alpha + rows.linear @ self.slopes
            )
        return np.asarray(mean + self.alpha.sum())

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute latent mean and variance.

        It works in chunks, so that 50,000 rows need no 50,000 x n matrix.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised units; the variance is at least 1e-12.
        """
        mean, var = np.empty(len(encoded)), np.empty(len(encoded))
        for i in range(0, len(encoded), _CHUNK_ROWS):
            rows = self.kernel_features.inputs(encoded[i : i + _CHUNK_ROWS])
            cross = kernel(self.hyper, rows, self.train)
            mean[i : i + _CHUNK_ROWS] = cross @ self.alpha
            explained = ((cross @ self.whiten.T) ** 2).sum(1)
            var[i : i + _CHUNK_ROWS] = np.maximum(variance(self.hyper, rows) - explained, 1e-12)
        return mean, var

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the latent joint belief.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q), in standardised units.
        """
        rows = self.kernel_features.inputs(encoded)
        cross = kernel(self.hyper, rows, self.train)
        white = cross @ self.whiten.T
        return cross @ self.alpha, kernel(self.hyper, rows, rows) - white @ np.swapaxes(
            white, -1, -2
        )

    def state(self) -> State:
        """Describe the process as data.

        Returns:
            Its arrays; with posynomials also theirs (``products``), and the number ``unit``.
        """
        arrays = {
            "shift": self.kernel_features.shift,
            "scale": self.kernel_features.scale,
            "theta": self.hyper.pack(),
        }
        arrays |= {"encoded": self.encoded, "alpha": self.alpha, "whiten": self.whiten}
        basis = self.kernel_features.basis
        if basis is None:
            return State({}, arrays, {})
        return State({"unit": basis.unit}, arrays | {"products": basis.theta}, {})


def condition(
    kernel_features: KernelFeatures, hyper: Hyper, encoded: Array, y: Array, noise_variance: Array
) -> GaussianProcess:
    """Compute the posterior for fixed hyper-parameters.

    Args:
        kernel_features: Maps encoded rows to kernel inputs.
        hyper: Log hyper-parameters.
        encoded: (n, k) encoded training rows.
        y: (n,) standardised targets.
        noise_variance: (n,) noise variances that are given, besides that of ``hyper``.

    Returns:
        The process given these rows.

    Raises:
        numpy.linalg.LinAlgError: When the covariance of the rows is not positive definite in
            floating point.
    """
    from scipy.linalg import cholesky, solve_triangular

    data = kernel_features.inputs(encoded)
    k = kernel(hyper, data, data)
    k[np.diag_indices(len(y))] += math.exp(hyper.noise) + noise_variance + _DIAGONAL_JITTER
    # In the order in which arrays are read from a file: BLAS rounds by it, and a saved model predicts the same bits.
    whiten = np.ascontiguousarray(
        solve_triangular(cholesky(k, lower=True), np.eye(len(y)), lower=True)
    )
    return GaussianProcess(
        kernel_features, hyper, np.ascontiguousarray(encoded), whiten.T @ (whiten @ y), whiten
    )


def extend(core: GaussianProcess, task: Task) -> GaussianProcess:
    """Compute the posterior for other rows under the hyper-parameters of a process.

    Args:
        core: The process.
        task: All rows that the new process is given.

    Returns:
        The new process.

    Raises:
        numpy.linalg.LinAlgError: As ``condition``.
    """
    return condition(core.kernel_features, core.hyper, task.encoded, task.y, task.noise_variance)


def targets(core: GaussianProcess, noise_variance: Array) -> Array:
    """Compute back what a process was conditioned on.

    Args:
        core: The process.
        noise_variance: (n,) the noise variances that it was given.

    Returns:
        (n,) standardised targets of its training rows.
    """
    cross = kernel(core.hyper, core.train, core.train) @ core.alpha
    return np.asarray(
        cross + (math.exp(core.hyper.noise) + noise_variance + _DIAGONAL_JITTER) * core.alpha
    )


def restore(schema: Schema, state: State, basis: Posynomials | None = None) -> GaussianProcess:
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
    a = state.arrays
    kernel_features = KernelFeatures(schema, a["shift"], a["scale"], basis)
    checks.hyperparameter_count(a["theta"], kernel_features.sizes.ends[-1] + 1)
    return GaussianProcess(
        kernel_features,
        Hyper.unpack(a["theta"], kernel_features.sizes),
        a["encoded"],
        a["alpha"],
        a["whiten"],
    )


def fit(task: Task, start: Hyper | None = None, basis: Basis | None = None) -> Fitted:
    """Fit a process: hyper-parameters, posterior, and leave-one-out predictions in closed form.

    Args:
        task: The standardised rows.
        start: Where the search for hyper-parameters starts; at fixed values when None.
        basis: From a task to one more linear part; none when None.

    Returns:
        The process with its held-out predictions (Rasmussen & Williams, 2006, eq. 5.12).

    Raises:
        numpy.linalg.LinAlgError: As ``condition``, or when the basis has no solution.
    """
    kernel_features = KernelFeatures.of(task.schema, task.encoded, basis(task) if basis else None)
    hyper = learn(kernel_features, task, start)
    core = condition(kernel_features, hyper, task.encoded, task.y, task.noise_variance)
    # Rasmussen & Williams (2006), eq. 5.12
    left_out = task.y - core.alpha / (core.whiten**2).sum(0)
    return Fitted(core, left_out, partial(_forward_z, task, basis))


def _forward_z(task: Task, basis: Basis | None) -> Array:
    """Standardised errors of later rows under processes that were fitted to earlier rows alone."""
    found = [np.zeros(0)]
    for past, rest in forward(len(task)):
        location, scale = float(task.y[past].mean()), float(task.y[past].std()) or 1.0
        y, noise_variance = (task.y[past] - location) / scale, task.noise_variance[past] / scale**2
        first = replace(
            task,
            encoded=task.encoded[past],
            y=y,
            noise_variance=noise_variance,
            scale=task.scale * scale,
        )
        kernel_features = KernelFeatures.of(
            task.schema, first.encoded, basis(first) if basis else None
        )
        hyper = learn(kernel_features, first, steps=_FORWARD_STEPS)
        mean, var = condition(
            kernel_features, hyper, first.encoded, first.y, first.noise_variance
        ).mean_and_variance(task.encoded[rest])
        error = (task.y[rest] - location) / scale - mean
        found.append(
            error / np.sqrt(var + math.exp(hyper.noise) + task.noise_variance[rest] / scale**2)
        )
    return np.concatenate(found)
