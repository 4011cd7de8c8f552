"""Several posynomials fitted to one target, each to rows of its own, and what they predict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from predictors.posynomial.descent import Target, descend
from predictors.posynomial.layout import FeatureLayout
from predictors.posynomial.sums import TERMS_PER_LAYER, log_sums, split_parameters
from predictors.schema import Array, Schema

PRIOR_DEVIATIONS = (2.0, 1.0, 1.0)  # prior deviations of a, of b, and of the exponents
START_DEVIATION = 0.5  # share of the prior's deviation at the start
MAX_FIT_ROWS = 400  # rows that are fitted
LEAST_SPREAD = 1e-300


@dataclass(frozen=True)
class Posynomials:
    """Several fits of one standardised target, a unit of which is ``unit`` in logarithms: ``theta`` (members, parameters)."""

    layout: FeatureLayout
    theta: Array
    unit: float

    def __call__(self, encoded: Array) -> Array:
        """Predict by every member.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, members) in units of the standardised target.
        """
        sums = log_sums(self.theta, self.layout(encoded))
        return (sums.value.T - _level(self.layout)) / self.unit

    def only(self, members: slice) -> Posynomials:
        """Choose members.

        Args:
            members: Which of them.

        Returns:
            Posynomials of these members.
        """
        return replace(self, theta=self.theta[members])

    @property
    def shares(self) -> Array:
        """(members, d) how much of a member's spread is each feature's, by its squared exponents."""
        squares = split_parameters(self.theta, len(self.layout.segments)).powers ** 2
        found = squares.sum(2) @ self.layout.shares
        total = found.sum(1, keepdims=True)
        return np.asarray(found / np.maximum(total, LEAST_SPREAD))


def parameter_count(layout: FeatureLayout) -> int:
    """Count a member's parameters.

    Args:
        layout: Which features belong to layers.

    Returns:
        How many there are.
    """
    exponents = len(layout.single) + 2 * len(layout.groups)
    return TERMS_PER_LAYER * (1 + len(layout.segments) + exponents)


def fit(
    schema: Schema, encoded: Array, y: Array, unit: float, seen: Array, seed: int = 0
) -> Posynomials:
    """Fit an ensemble of posynomials, each member to rows of its own.

    Args:
        schema: The features.
        encoded: (n, k) encoded rows; of more than ``MAX_FIT_ROWS`` so many are fitted, chosen at
            random.
        y: (n,) standardised target, a logarithm.
        unit: What one unit of ``y`` is in logarithms.
        seen: (members, n) 1 where a member may see a row, else 0.
        seed: Of the members' starts and the choice of rows.

    Returns:
        The ensemble.

    Raises:
        numpy.linalg.LinAlgError: When a step's equations have no solution in floating point.
    """
    layout = FeatureLayout.of(schema, encoded)
    rng = np.random.default_rng(seed)
    if len(y) > MAX_FIT_ROWS:
        rows = np.sort(rng.permutation(len(y))[:MAX_FIT_ROWS])
        encoded, y, seen = encoded[rows], y[rows], seen[:, rows]
    design = layout(encoded)
    prior = np.repeat(PRIOR_DEVIATIONS, design.parameters)
    start = START_DEVIATION * prior * rng.standard_normal((len(seen), len(prior)))
    target = Target(unit * y + _level(layout), seen, unit)
    return Posynomials(layout, descend(start, prior, design, target), unit)


def _level(layout: FeatureLayout) -> float:
    """The logarithm of the sum at parameters of zero."""
    return math.log(layout.depth * TERMS_PER_LAYER)
