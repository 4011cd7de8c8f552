"""Several posynomials fitted to one target, each to rows of its own, and what they predict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from predictors.core import Task
from predictors.posynomial.descent import Target, descend
from predictors.posynomial.layout import FeatureLayout
from predictors.posynomial.sums import TERMS_PER_LAYER, log_sums, split_parameters
from predictors.schema import Array

PRIOR_DEVIATIONS = (2.0, 1.0, 1.0)  # prior deviations of a, of b, and of the exponents
START_DEVIATION = 0.5  # share of the prior's deviation at the start
MAX_FIT_ROWS = 400  # rows that are fitted
LEAST_SPREAD = 1e-300


@dataclass(frozen=True)
class Posynomials:
    """An ensemble of posynomials ("members") fitted to one standardised target.

    Attributes:
        layout: Which features belong to which layer.
        theta: (members, parameters) packed as ``split_parameters`` reads them.
        unit: How much of the logarithm one unit of the standardised target is.
    """

    layout: FeatureLayout
    theta: Array
    unit: float

    def __call__(self, encoded: Array) -> Array:
        """Predict rows with every member.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, members) in units of the standardised target.
        """
        sums = log_sums(self.theta, self.layout(encoded))
        return (sums.value.T - _level(self.layout)) / self.unit

    def only(self, members: slice) -> Posynomials:
        """Choose some of the members.

        Args:
            members: Which of them.

        Returns:
            Posynomials of these members.
        """
        return replace(self, theta=self.theta[members])

    @property
    def shares(self) -> Array:
        """(members, d) which share of a member's variance is due to each of d features; rows sum to 1.

        A feature counts with its squared exponents times the variance of what they multiply.
        """
        powers = split_parameters(self.theta, len(self.layout.segments)).powers
        of_feature = (powers**2).sum(2) @ self.layout.shares
        total = of_feature.sum(1, keepdims=True)
        return np.asarray(of_feature / np.maximum(total, LEAST_SPREAD))


def parameter_count(layout: FeatureLayout) -> int:
    """Count a member's parameters.

    Args:
        layout: Which features belong to layers.

    Returns:
        How many there are.
    """
    # Each gene of the layers has two exponents: in a layer, and in the one before
    exponents = len(layout.single) + 2 * len(layout.groups)
    return TERMS_PER_LAYER * (1 + len(layout.segments) + exponents)


def fit(task: Task, seen: Array) -> Posynomials:
    """Fit an ensemble of posynomials, each member to rows of its own.

    Args:
        task: The rows, whose standardised target is a logarithm. Of more than ``MAX_FIT_ROWS`` so
            many are fitted. They and the members' starts are chosen by the task's seed.
        seen: (members, n) 1 where a member may see a row, else 0.

    Returns:
        The ensemble.

    Raises:
        numpy.linalg.LinAlgError: When a step's equations have no solution in floating point.
    """
    layout = FeatureLayout.of(task.schema, task.encoded)
    rng = np.random.default_rng(task.seed)
    if len(task) > MAX_FIT_ROWS:
        rows = np.sort(rng.permutation(len(task))[:MAX_FIT_ROWS])
        task = task.part(rows)
        seen = seen[:, rows]
    design = layout(task.encoded)
    prior = np.repeat(PRIOR_DEVIATIONS, design.parameters)
    draws = rng.standard_normal((len(seen), len(prior)))
    start = START_DEVIATION * prior * draws
    logarithms = task.scale * task.y + _level(layout)
    theta = descend(start, prior, design, Target(logarithms, seen, task.scale))
    return Posynomials(layout, theta, task.scale)


def _level(layout: FeatureLayout) -> float:
    """The logarithm of the sum where all parameters are zero: of as many ones as there are products."""
    return math.log(layout.depth * TERMS_PER_LAYER)
