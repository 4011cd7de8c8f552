"""The descent to the most probable parameters, by the method of Levenberg and Marquardt, for all members at once.

A step solves (J' W J + D) step = gradient, where J are the slopes of the logarithms, W = 1 / sigma^2 for the rows that a
member sees, and D the prior's precision, enlarged by a damping that grows when a step led uphill. sigma is the residual that
is aimed at: it starts at a third of the target's deviation and falls with what is reached, so that the first steps go for the
coarse shape and the last ones for the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from predictors.posynomial.layout import TERMS_PER_LAYER, DesignMatrix
from predictors.posynomial.sums import LogSums, log_sums, slopes
from predictors.schema import Array

MAX_STEPS = 40
# Residual below which a fit need not go, as a share of the target's deviation
MIN_RELATIVE_RESIDUAL = 0.03
START_RELATIVE_RESIDUAL = 0.3
RESIDUAL_DECAY = 0.7  # by how much the residual aimed at falls a step, at most
START_DAMPING = 1e-2
DAMPING_BOUNDS = (1e-4, 1e4)
DAMPING_FALL, DAMPING_RISE = 4.0, 6.0


@dataclass(frozen=True)
class Target:
    """Logarithms ``value`` (n,) to fit, of deviation ``spread``; member m sees those with ``seen`` (m, n) 1."""

    value: Array
    seen: Array
    spread: float


@dataclass(frozen=True)
class _Problem:
    """The normal prior's deviations (parameters,) around 0, what the exponents multiply, and what the sums should be."""

    prior: Array
    design: DesignMatrix
    target: Target


@dataclass(frozen=True)
class _State:
    """Where m members are: ``theta`` (m, parameters), their sums, the damping (m,), and the residual aimed at (m,)."""

    theta: Array
    sums: LogSums
    damping: Array
    sigma: Array

    def weight(self, target: Target) -> Array:
        """(m, n) what squares of misfits count in the log posterior."""
        return np.asarray(target.seen / self.sigma[:, None] ** 2)


def descend(theta: Array, prior: Array, design: DesignMatrix, target: Target) -> Array:
    """Search the most probable parameters of every member.

    Args:
        theta: (m, parameters) where the members start.
        prior: (parameters,) deviations of the normal prior around 0.
        design: What the exponents multiply, of n rows.
        target: What the sums should be.

    Returns:
        (m, parameters) where they are after ``MAX_STEPS`` steps.

    Raises:
        numpy.linalg.LinAlgError: When a step's equations have no solution in floating point.
    """
    problem = _Problem(prior, design, target)
    state = _State(
        theta,
        log_sums(theta, design),
        damping=np.full(len(theta), START_DAMPING),
        sigma=np.full(len(theta), START_RELATIVE_RESIDUAL * target.spread),
    )
    for _ in range(MAX_STEPS):
        theta = state.theta - _step(problem, state)
        sums = log_sums(theta, design)
        better = _is_better(problem, state, theta, sums)
        state = _aimed_lower(target, _moved(state, theta, sums, better))
    return state.theta


def _step(problem: _Problem, state: _State) -> Array:
    """(m, parameters) what to go downhill by."""
    weight, variance = state.weight(problem.target), problem.prior**2
    jacobian = slopes(problem.design, state.sums.products)
    curvature = np.matmul((jacobian * weight[:, :, None]).transpose(0, 2, 1), jacobian)
    diagonal = np.arange(len(variance))
    curvature[:, diagonal, diagonal] += (1.0 + state.damping[:, None]) / variance
    misfit = weight * (state.sums.value - problem.target.value)
    gradient = np.matmul(misfit[:, None], jacobian)[:, 0] + state.theta / variance
    step: Array = np.linalg.solve(curvature, gradient[..., None])[..., 0]
    return step


def _is_better(problem: _Problem, state: _State, theta: Array, sums: LogSums) -> Array:
    """(m,) whether members are more probable at ``theta`` than where they are."""
    before = (state.sums.value - problem.target.value) ** 2
    after = (sums.value - problem.target.value) ** 2
    of_data = (state.weight(problem.target) * (before - after)).sum(1)
    of_prior = ((state.theta**2 - theta**2) / problem.prior**2).sum(1)
    return np.asarray(of_data + of_prior > 0)


def _moved(state: _State, theta: Array, sums: LogSums, better: Array) -> _State:
    """Members that got better go to ``theta``; the others stay, and are damped more."""
    damping = np.where(better, state.damping / DAMPING_FALL, state.damping * DAMPING_RISE)
    terms = np.repeat(better, TERMS_PER_LAYER)
    return _State(
        np.where(better[:, None], theta, state.theta),
        LogSums(
            np.where(better[:, None], sums.value, state.sums.value),
            np.where(terms, sums.products, state.sums.products),
        ),
        damping=np.clip(damping, *DAMPING_BOUNDS),
        sigma=state.sigma,
    )


def _aimed_lower(target: Target, state: _State) -> _State:
    """The residual that is aimed at falls to what was reached, but not faster than ``RESIDUAL_DECAY`` a step."""
    squares = (target.seen * (state.sums.value - target.value) ** 2).sum(1)
    reached = np.sqrt(squares / np.maximum(target.seen.sum(1), 1.0))
    aim = np.minimum(state.sigma, np.maximum(reached, RESIDUAL_DECAY * state.sigma))
    return replace(state, sigma=np.maximum(MIN_RELATIVE_RESIDUAL * target.spread, aim))
