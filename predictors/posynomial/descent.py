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
# A fit stops when its residual is below this share of the target's standard deviation.
MIN_RELATIVE_RESIDUAL = 0.03
START_RELATIVE_RESIDUAL = 0.3
RESIDUAL_DECAY = 0.7  # in one step the target residual falls at most to this share of itself
START_DAMPING = 1e-2
DAMPING_BOUNDS = (1e-4, 1e4)
DAMPING_FALL, DAMPING_RISE = 4.0, 6.0


@dataclass(frozen=True)
class Target:
    """What the posynomials are fitted to.

    Attributes:
        value: (n,) logarithms of the measurements.
        seen: (m, n) 1 where a member is fitted to a row, else 0.
        spread: Standard deviation of the logarithms.
    """

    value: Array
    seen: Array
    spread: float

    def squared_misfits(self, sums: LogSums) -> Array:
        """(m, n) squared differences between the members' logarithms and the target's."""
        return (sums.value - self.value) ** 2


@dataclass(frozen=True)
class _Problem:
    """What stays the same in all steps.

    Attributes:
        prior: (parameters,) deviations of the normal prior around 0.
        design: What the exponents multiply, of n rows.
        target: What the sums should be.
    """

    prior: Array
    design: DesignMatrix
    target: Target


@dataclass(frozen=True)
class _State:
    """Where m members are between two steps.

    Attributes:
        theta: (m, parameters) their parameters.
        sums: Their sums at these parameters.
        damping: (m,) by which the prior's precision is enlarged in the next step.
        sigma: (m,) the residual that is aimed at, in units of the logarithms.
    """

    theta: Array
    sums: LogSums
    damping: Array
    sigma: Array

    def weight(self, target: Target) -> Array:
        """(m, n) weights 1 / sigma^2 of the squared misfits; 0 for rows that a member does not see."""
        return target.seen / self.sigma[:, None] ** 2


def descend(
    theta: Array,
    prior: Array,
    design: DesignMatrix,
    target: Target,
) -> Array:
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
        proposed = state.theta - _step(problem, state)
        proposed_sums = log_sums(proposed, design)
        better = _is_better(problem, state, proposed, proposed_sums)
        state = _moved(state, proposed, proposed_sums, better)
        state = replace(state, sigma=_next_sigma(target, state))
    return state.theta


def _step(problem: _Problem, state: _State) -> Array:
    """Solve (J' W J + D) step = gradient for every member, as the module says.

    Args:
        problem: Prior, design and target.
        state: Where the members are.

    Returns:
        (m, parameters) what is to be subtracted from the members' parameters.
    """
    jacobian = slopes(problem.design, state.sums.products)
    curvature = _damped_curvature(problem, state, jacobian)
    gradient = _gradient(problem, state, jacobian)
    step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
    return np.asarray(step, dtype=np.float64)


def _damped_curvature(problem: _Problem, state: _State, jacobian: Array) -> Array:
    """(m, parameters, parameters) J' W J + D; jacobian: (m, n, parameters)."""
    weighted = jacobian * state.weight(problem.target)[:, :, None]
    curvature = np.matmul(weighted.transpose(0, 2, 1), jacobian)
    damped_precision = (1.0 + state.damping[:, None]) / problem.prior**2
    diagonal = np.arange(len(problem.prior))
    curvature[:, diagonal, diagonal] += damped_precision
    return np.asarray(curvature)


def _gradient(problem: _Problem, state: _State, jacobian: Array) -> Array:
    """(m, parameters) slope of the negative log posterior: half the weighted squares of misfits and prior."""
    misfit = state.sums.value - problem.target.value
    weighted = state.weight(problem.target) * misfit
    of_data = np.matmul(weighted[:, None], jacobian)[:, 0]
    of_prior = state.theta / problem.prior**2
    return np.asarray(of_data + of_prior)


def _is_better(
    problem: _Problem,
    state: _State,
    proposed: Array,
    sums: LogSums,
) -> Array:
    """(m,) whether members are more probable at proposed parameters (m, parameters) than where they are."""
    before = problem.target.squared_misfits(state.sums)
    after = problem.target.squared_misfits(sums)
    # Twice the gain in the log posterior: falls of the weighted squares
    gain_of_data = state.weight(problem.target) * (before - after)
    gain_of_prior = (state.theta**2 - proposed**2) / problem.prior**2
    return np.asarray(gain_of_data.sum(1) + gain_of_prior.sum(1) > 0)


def _moved(
    state: _State,
    proposed: Array,
    sums: LogSums,
    better: Array,
) -> _State:
    """Move the members that got ``better`` (m,) and damp them less; the others stay and are damped more."""
    damping = np.where(better, state.damping / DAMPING_FALL, state.damping * DAMPING_RISE)
    member_better = better[:, None]
    term_better = np.repeat(better, TERMS_PER_LAYER)  # products have an axis of m * terms
    value = np.where(member_better, sums.value, state.sums.value)
    products = np.where(term_better, sums.products, state.sums.products)
    return _State(
        theta=np.where(member_better, proposed, state.theta),
        sums=LogSums(value, products),
        damping=np.clip(damping, *DAMPING_BOUNDS),
        sigma=state.sigma,
    )


def _next_sigma(target: Target, state: _State) -> Array:
    """Compute the residual to aim at in the next step.

    It falls to the residual that was reached, but by at most a factor ``RESIDUAL_DECAY`` a step, and
    never below ``MIN_RELATIVE_RESIDUAL`` of the target's deviation. Above that it never rises.

    Args:
        target: What the sums should be.
        state: Where the members are.

    Returns:
        (m,) in units of the target's logarithms.
    """
    lowest_next = RESIDUAL_DECAY * state.sigma
    not_too_fast = np.maximum(_residual(target, state), lowest_next)
    never_rising = np.minimum(state.sigma, not_too_fast)
    return np.maximum(MIN_RELATIVE_RESIDUAL * target.spread, never_rising)


def _residual(target: Target, state: _State) -> Array:
    """(m,) root mean square misfit of each member over the rows that it sees."""
    squares = target.seen * target.squared_misfits(state.sums)
    rows_seen = np.maximum(target.seen.sum(1), 1.0)
    return np.asarray(np.sqrt(squares.sum(1) / rows_seen))
