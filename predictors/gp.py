"""Exact Gaussian process over encoded rows: an ARD Matern-5/2 part plus Bayesian linear parts.

k(x, x') = 1 + s * matern52(|x - x'| / lengthscales) + sum_g v_g <phi_g(x), phi_g(x')>

One lengthscale a feature (the columns of a nominal share it). The linear parts, each with a variance of its own, are
ranks, levels (one-hot) and numeric features; they extrapolate where a stationary kernel falls back to the mean, which
is where a front grows, and their coefficients' uncertainty is part of the posterior. Hyper-parameters are the MAP under
log-normal priors, lengthscales as in Hvarfner et al., "Vanilla Bayesian Optimization Performs Great in High Dimensions"
(ICML 2024).

Why not gpytorch: the gradient is closed-form and every product is a matrix product, which fits 200 rows of 60 features
in a quarter of its time, needs no torch, and leaves plain arrays to store. The tests hold it to gpytorch's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.core import Fitted, State, Task, forward
from predictors.schema import Array, Schema

Index = NDArray[np.intp]
GROUPS = 3  # ranks, levels, numerics
_STEPS = 50
_FORWARD_STEPS = 25
_HYPER_ROWS = 400  # hyper-parameters are found on at most so many rows
_JITTER = 1e-8
_CHUNK = 1024


@dataclass(frozen=True)
class Views:
    """Maps encoded rows to the kernel's inputs; numerics are centred and scaled as they were in training.

    Array fields, k encoded columns: ``shift``, ``scale`` (k,).
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def of(cls, schema: Schema, encoded: Array) -> Views:
        numeric = _is(schema, "numeric")
        spread = encoded.std(axis=0)
        scale = np.where(numeric & (spread > 1e-12 * (1 + np.abs(encoded).max(axis=0))), spread, 1.0)
        return cls(schema, np.where(numeric, encoded.mean(axis=0), 0.5), scale)

    def near(self, encoded: Array) -> Array:
        """Inputs of the Matern part, (n, k) -> (n, k)."""
        return (encoded - self.shift) / self.scale

    def linear(self, encoded: Array) -> tuple[Array, Index]:
        """Inputs of the linear parts, (n, k) -> (n, l), and the group of each column, (l,).

        Each group is divided by the root of its width, so that one prior fits few and many genes.
        """
        ranks, numeric = _is(self.schema, "ordinal"), _is(self.schema, "numeric")
        z = self.near(encoded)
        blocks = [z[:, ranks], self._levels(encoded), _curved(z[:, numeric])]
        scaled = [b / math.sqrt(max(b.shape[1], 1)) for b in blocks]
        group = np.repeat(np.arange(GROUPS), [b.shape[1] for b in blocks])
        return np.concatenate(scaled, axis=1), group

    def linear_owners(self) -> Index:
        """(l,) index of the feature behind each column of ``linear``."""
        kinds = [f.kind for f in self.schema.features]
        ranks = [j for j, kind in enumerate(kinds) if kind == "ordinal"]
        levels = [j for j, f in enumerate(self.schema.features) for _ in f.values]
        numeric = [j for j, kind in enumerate(kinds) if kind == "numeric"]
        return np.array(ranks + levels + numeric + numeric, dtype=np.intp)

    def _levels(self, encoded: Array) -> Array:
        """One-hot of every ordinal and nominal; between two levels of an ordinal the weight is shared."""
        columns, counts, ranks = self._steps
        hats = encoded[:, columns]
        hats *= counts
        hats -= ranks
        np.abs(hats, out=hats)
        np.subtract(1.0, hats, out=hats)
        return np.maximum(hats, 0.0, out=hats)

    @cached_property
    def _steps(self) -> tuple[Index, Array, Array]:
        """For each level's column: the encoded column it is read from, what to multiply it by, the level's rank.

        A nominal's columns are 0 or 1 already: one rank, 1.
        """
        found, column = [], 0
        for f in self.schema.features:
            n = len(f.values)
            if f.kind == "nominal":
                found += [(column + i, 1, 1) for i in range(n)]
            else:
                found += [(column, n, i + 1) for i in range(n)]
            column += f.width
        table = np.array(found, dtype=np.float64).reshape(-1, 3)
        return table[:, 0].astype(np.intp), table[:, 1], table[:, 2]


def _curved(z: Array) -> Array:
    """Numerics with one bend each: accuracy saturates in the cost, and a straight line overshoots a grown front."""
    return np.concatenate([z, 1.0 - np.exp(-0.5 * np.clip(z, -4.0, 8.0))], axis=1)


def _is(schema: Schema, kind: str) -> NDArray[np.bool_]:
    return np.array([f.kind == kind for f in schema.features])[schema.owners]


@dataclass(frozen=True)
class Hyper:
    """Log hyper-parameters: ``lengthscale`` (d,), ``scale`` of the Matern part, ``linear`` (3,), ``noise`` variance."""

    lengthscale: Array
    scale: float
    linear: Array
    noise: float

    def pack(self) -> Array:
        return np.concatenate([self.lengthscale, [self.scale], self.linear, [self.noise]])

    @classmethod
    def unpack(cls, theta: Array) -> Hyper:
        return cls(theta[: -GROUPS - 2], float(theta[-GROUPS - 2]), theta[-GROUPS - 1 : -1], float(theta[-1]))


@dataclass(frozen=True)
class Inputs:
    """Kernel inputs of rows: ``near`` (..., n, k) with its ``owners`` (k,), ``linear`` (..., n, l), ``group`` (l,)."""

    near: Array
    owners: Index
    linear: Array
    group: Index

    def take(self, rows: Any) -> Inputs:
        return Inputs(self.near[rows], self.owners, self.linear[rows], self.group)


def inputs(views: Views, encoded: Array) -> Inputs:
    """Kernel inputs of encoded rows (..., n, k)."""
    linear, group = views.linear(encoded.reshape(-1, encoded.shape[-1]))
    return Inputs(views.near(encoded), views.schema.owners, linear.reshape(*encoded.shape[:-1], -1), group)


def matern(a: Array, b: Array) -> tuple[Array, Array]:
    """Matern-5/2 between rows already divided by the lengthscales: r = sqrt(5) * distance and exp(-r), (..., n, m).

    The kernel is (1 + r + r^2 / 3) exp(-r); its derivative by the squared distance is -5/6 (1 + r) exp(-r).
    """
    a, b = math.sqrt(5.0) * a, math.sqrt(5.0) * b
    r = (-2.0 * a) @ np.swapaxes(b, -1, -2)
    r += (a * a).sum(-1)[..., :, None]
    r += (b * b).sum(-1)[..., None, :]
    np.sqrt(np.maximum(r, 0.0, out=r), out=r)
    return r, np.exp(-r)


def kernel(hyper: Hyper, a: Inputs, b: Inputs) -> Array:
    """Covariance between rows, (..., n, m), without noise."""
    ls = np.exp(hyper.lengthscale)[a.owners]
    weights = np.exp(hyper.linear)[a.group]
    r, decay = matern(a.near / ls, b.near / ls)
    out = r * (1.0 / 3.0)  # in place from here on: this is where prediction spends its time
    out += 1.0
    out *= r
    out += 1.0
    out *= decay
    out *= math.exp(hyper.scale)
    out += (a.linear * weights) @ np.swapaxes(b.linear, -1, -2)
    out += 1.0
    return out


def variance(hyper: Hyper, a: Inputs) -> Array:
    """Diagonal of ``kernel(hyper, a, a)``, (..., n)."""
    return 1.0 + math.exp(hyper.scale) + (a.linear**2) @ np.exp(hyper.linear)[a.group]


def _prior(d: int) -> tuple[Array, Array]:
    """Mean and deviation of the normal prior on each log hyper-parameter."""
    mean = [math.sqrt(2.0) + 0.5 * math.log(d)] * d + [-1.0] + [0.0] * GROUPS + [-3.5]
    deviation = [math.sqrt(3.0)] * d + [0.7] + [1.0] * GROUPS + [1.0]
    return np.array(mean), np.array(deviation)


def _start(d: int) -> Hyper:
    return Hyper(np.full(d, 0.5 * math.log(d) + 0.2), -1.0, np.full(GROUPS, -0.5), -4.0)


def objective(data: Inputs, y: Array, known: Array) -> Callable[[Array], tuple[float, Array]]:
    """Negative log posterior of packed log hyper-parameters and its gradient; ``known``: given noise variances (n,)."""
    from scipy.linalg.lapack import dpotrf, dpotri

    n, d = len(y), int(data.owners.max()) + 1
    mean, deviation = _prior(d)
    parts = [data.linear[:, data.group == g] for g in range(GROUPS)]
    grams = [part @ part.T for part in parts]  # once, as only their weights change

    def evaluate(theta: Array) -> tuple[float, Array]:
        h = Hyper.unpack(theta)
        z = data.near / np.exp(h.lengthscale)[data.owners]
        r, decay = matern(z, z)
        local, slope = (1.0 + r + r * r / 3.0) * decay, (-5.0 / 6.0) * (1.0 + r) * decay
        s, noise, v = math.exp(h.scale), math.exp(h.noise), np.exp(h.linear)
        k = 1.0 + s * local + sum(weight * gram for weight, gram in zip(v, grams, strict=True))
        k[np.diag_indices(n)] += noise + known + _JITTER
        factor, failed = dpotrf(k, lower=1, clean=1)
        if failed:  # only where the line search tries something wild: step back
            return np.inf, np.zeros_like(theta)
        inverse = dpotri(factor, lower=1)[0]
        inverse += np.tril(inverse, -1).T
        alpha = inverse @ y
        gap = np.outer(alpha, alpha) - inverse
        w = gap * slope * s
        # sum_ij w_ij (z_ik - z_jk)^2 without the (n, n, k) array
        distances = 2.0 * (w.sum(1) @ (z * z) - (z * (w @ z)).sum(0))
        by_linear = [weight * np.vdot(gap, gram) for weight, gram in zip(v, grams, strict=True)]
        tilt = (theta - mean) / deviation**2
        gradient = np.concatenate(
            [
                -2.0 * np.bincount(data.owners, distances, d),
                [s * (gap * local).sum()],
                by_linear,
                [noise * np.trace(gap)],
            ]
        )
        value = 0.5 * float(y @ alpha) + float(np.log(np.diag(factor)).sum()) + 0.5 * n * math.log(2 * math.pi)
        return value + 0.5 * float(((theta - mean) * tilt).sum()), tilt - 0.5 * gradient

    return evaluate


def learn(data: Inputs, y: Array, known: Array, start: Hyper | None = None, steps: int = _STEPS) -> Hyper:
    """Hyper-parameters for rows ``data`` and standardised targets ``y`` (n,)."""
    from scipy.optimize import minimize

    d = int(data.owners.max()) + 1
    if len(y) > _HYPER_ROWS:
        rows = np.random.default_rng(0).permutation(len(y))[:_HYPER_ROWS]
        data, y, known = data.take(rows), y[rows], known[rows]
    bounds = [(-3.0, 6.0)] * d + [(-8.0, 4.0)] + [(-9.0, 7.0)] * GROUPS + [(-11.0, 1.0)]
    theta = (start or _start(d)).pack()
    found = minimize(objective(data, y, known), theta, jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"maxiter": steps})
    return Hyper.unpack(found.x)


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior given ``train`` rows: mean k(x, train) @ ``alpha``, covariance by ``whiten`` (inverse Cholesky)."""

    views: Views
    hyper: Hyper
    encoded: Array
    alpha: Array
    whiten: Array

    @cached_property
    def train(self) -> Inputs:
        return inputs(self.views, self.encoded)

    @property
    def noise(self) -> float:
        return math.exp(self.hyper.noise)

    @cached_property
    def slopes(self) -> Array:
        """(l,) posterior mean of the linear parts' coefficients."""
        return np.asarray((self.alpha @ self.train.linear) * np.exp(self.hyper.linear)[self.train.group])

    def centre(self, encoded: Array) -> Array:
        """Latent mean (n,): only the Matern part needs the rows one by one."""
        mean, ls = np.empty(len(encoded)), np.exp(self.hyper.lengthscale)[self.train.owners]
        near = self.train.near / ls
        for i in range(0, len(encoded), _CHUNK):
            rows = inputs(self.views, encoded[i : i + _CHUNK])
            r, decay = matern(rows.near / ls, near)
            local = ((r * (1.0 / 3.0) + 1.0) * r + 1.0) * decay
            mean[i : i + _CHUNK] = math.exp(self.hyper.scale) * (local @ self.alpha) + rows.linear @ self.slopes
        return np.asarray(mean + self.alpha.sum())

    def moments(self, encoded: Array) -> tuple[Array, Array]:
        """Latent mean and variance, each (n,), in chunks so that 50,000 rows need no 50,000 x n matrix."""
        mean, var = np.empty(len(encoded)), np.empty(len(encoded))
        for i in range(0, len(encoded), _CHUNK):
            rows = inputs(self.views, encoded[i : i + _CHUNK])
            cross = kernel(self.hyper, rows, self.train)
            mean[i : i + _CHUNK] = cross @ self.alpha
            explained = ((cross @ self.whiten.T) ** 2).sum(1)
            var[i : i + _CHUNK] = np.maximum(variance(self.hyper, rows) - explained, 1e-12)
        return mean, var

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Latent mean (..., q) and covariance (..., q, q)."""
        rows = inputs(self.views, encoded)
        cross = kernel(self.hyper, rows, self.train)
        white = cross @ self.whiten.T
        return cross @ self.alpha, kernel(self.hyper, rows, rows) - white @ np.swapaxes(white, -1, -2)

    def state(self) -> State:
        arrays = {"shift": self.views.shift, "scale": self.views.scale, "theta": self.hyper.pack()}
        return State({}, arrays | {"encoded": self.encoded, "alpha": self.alpha, "whiten": self.whiten}, {})



def condition(views: Views, hyper: Hyper, encoded: Array, y: Array, known: Array) -> GaussianProcess:
    """The posterior for fixed hyper-parameters: (n, k) rows, standardised (n,) targets, given noise variances (n,)."""
    from scipy.linalg import cholesky, solve_triangular

    data = inputs(views, encoded)
    k = kernel(hyper, data, data)
    k[np.diag_indices(len(y))] += math.exp(hyper.noise) + known + _JITTER
    # In the order in which arrays are read from a file: BLAS rounds by it, and a saved model predicts the same bits.
    whiten = np.ascontiguousarray(solve_triangular(cholesky(k, lower=True), np.eye(len(y)), lower=True))
    return GaussianProcess(views, hyper, np.ascontiguousarray(encoded), whiten.T @ (whiten @ y), whiten)


def extend(core: GaussianProcess, task: Task) -> GaussianProcess:
    """The posterior given ``task``'s rows under the hyper-parameters of ``core``."""
    return condition(core.views, core.hyper, task.encoded, task.y, task.known)


def targets(core: GaussianProcess, known: Array) -> Array:
    """(n,) what ``core`` was conditioned on; ``known``: the noise variances (n,) it was given."""
    cross = kernel(core.hyper, core.train, core.train) @ core.alpha
    return np.asarray(cross + (math.exp(core.hyper.noise) + known + _JITTER) * core.alpha)


def restore(schema: Schema, state: State) -> GaussianProcess:
    """Inverse of ``GaussianProcess.state``."""
    a = state.arrays
    views = Views(schema, a["shift"], a["scale"])
    return GaussianProcess(views, Hyper.unpack(a["theta"]), a["encoded"], a["alpha"], a["whiten"])


def fit(task: Task, start: Hyper | None = None) -> Fitted:
    """Hyper-parameters (searched from ``start``), posterior and closed-form leave-one-out predictions."""
    views = Views.of(task.schema, task.encoded)
    hyper = learn(inputs(views, task.encoded), task.y, task.known, start)
    core = condition(views, hyper, task.encoded, task.y, task.known)
    # Rasmussen & Williams (2006), eq. 5.12
    left_out = task.y - core.alpha / (core.whiten**2).sum(0)
    return Fitted(core, left_out, partial(_forward_z, task))


def _forward_z(task: Task) -> Array:
    """Standardised errors of later rows under processes that were fitted to earlier rows alone."""
    found = [np.zeros(0)]
    for past, rest in forward(len(task)):
        views = Views.of(task.schema, task.encoded[past])
        location, known = float(task.y[past].mean()), task.known[past]
        scale = float(task.y[past].std()) or 1.0
        y, known = (task.y[past] - location) / scale, known / scale**2
        hyper = learn(inputs(views, task.encoded[past]), y, known, steps=_FORWARD_STEPS)
        mean, var = condition(views, hyper, task.encoded[past], y, known).moments(task.encoded[rest])
        error = (task.y[rest] - location) / scale - mean
        found.append(error / np.sqrt(var + math.exp(hyper.noise) + task.known[rest] / scale**2))
    return np.concatenate(found)
