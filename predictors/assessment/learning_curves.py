"""How scores grow with the rows that a predictor is fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from predictors.assessment.rows import Rows
from predictors.assessment.scores import GOOD_TAU, Scores
from predictors.core import folds
from predictors.schema import Schema

MAX_EXTRA_ROWS = 100_000
# Where the slope of log(1 - tau) over log(rows) is above this, a curve does not fall
FLAT_SLOPE = -0.05
LEAST_GAP = 1e-6


def grow_forward(
    X: Any,
    y: Any,
    kind: str = "auto",
    sizes: Sequence[int] = (50, 100, 200),
    schema: Schema | None = None,
    *,
    seed: int = 0,
    log: bool | None = None,
) -> dict[int, Scores]:
    """Score a kind that is trained on the first rows of a search on all rows that came later.

    This is what a surrogate does in a search, whose later rows are unlike its first; random folds
    would flatter it.

    Args:
        X: Rows in the order in which they were met, as for ``predictors.fit``.
        y: (n,) measurements.
        kind: As for ``predictors.fit``.
        sizes: How many first rows to train on. Left out are sizes below 2, and those that leave
            fewer than two rows to predict.
        schema: The features; inferred from ``X`` when None.
        seed: Seed of the fits.
        log: Whether log y is modelled; None as for ``predictors.fit``.

    Returns:
        Number of first rows to the scores on all later ones. Of more than 500 a fit sees so many,
        chosen at random.

    Raises:
        PredictorError: As ``predictors.fit``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> scores = predictors.grow_forward(rows, latency_ms, kind="gp", sizes=(6, 9))
        >>> [(first, held_out.n) for first, held_out in scores.items()]
        [(6, 6), (9, 3)]
    """
    data = Rows.of(X, y, schema, log=log)
    rows = np.arange(len(data.y))
    scores = {}
    for size in sizes:
        if 2 <= size < len(rows) - 1:
            scores[size] = data.held_out(kind, rows[:size], rows[size:], seed)
    return scores


def learning_curve(
    X: Any,
    y: Any,
    kind: str = "gp",
    sizes: Sequence[int] | None = None,
    schema: Schema | None = None,
    *,
    seed: int = 0,
    log: bool | None = None,
) -> dict[int, Scores]:
    """Score a kind on a fixed random fifth of the rows, trained on ever more of the others.

    Args:
        X: Rows, as for ``predictors.fit``.
        y: (n,) measurements.
        kind: As for ``predictors.fit``.
        sizes: How many rows to train on; more than there are is left out. An eighth, a quarter, a
            half and all of the others when None.
        schema: The features; inferred from ``X`` when None.
        seed: Seed of the parts and the fits.
        log: Whether log y is modelled; None as for ``predictors.fit``.

    Returns:
        Number of rows trained on to scores. Of more than 500 a fit sees so many, chosen at random.

    Raises:
        PredictorError: As ``predictors.fit``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> list(predictors.learning_curve(rows, latency_ms, kind="gp", sizes=[5, 9]))
        [5, 9]
    """
    data = Rows.of(X, y, schema, log=log)
    train, test = next(iter(folds(len(data.y), 5, seed)))
    shuffled = np.random.default_rng(seed + 1).permutation(train)
    if not sizes:
        sizes = [max(4, len(train) * eighths // 8) for eighths in (1, 2, 4, 8)]
    scores = {}
    for size in sizes:
        if size <= len(train):
            scores[size] = data.held_out(kind, shuffled[:size], test, seed)
    return scores


def more_samples(
    curve: Sequence[tuple[int, float]],
    tau: float = GOOD_TAU,
) -> int | None:
    """Estimate how many more rows a surrogate needs to reach a rank correlation.

    The gap 1 - tau is taken to fall as a power of the rows trained on: log(1 - tau) is a straight line
    over log(rows), which is continued from the curve's last point.

    Args:
        curve: Pairs of rows trained on and Kendall's tau, at least one.
        tau: The correlation to be reached.

    Returns:
        About how many rows beyond the largest of the curve. 0 when the correlation is reached, None
        when the curve does not rise, has one size only, or would need 100,000 rows and more.

    Examples:
        >>> import predictors
        >>> predictors.more_samples([(25, 0.6), (50, 0.7), (100, 0.8)])
        301
    """
    most_rows, last_tau = max(curve)
    if last_tau >= tau:
        return 0
    exponent = _gap_exponent(curve)
    if exponent is None or exponent > FLAT_SLOPE:
        return None
    # gap = constant * rows^exponent, solved for the rows at which the wanted gap is reached
    gap_ratio = (1.0 - tau) / (1.0 - last_tau)
    rows_needed = float(most_rows * gap_ratio ** (1.0 / exponent))
    if rows_needed < MAX_EXTRA_ROWS:
        return math.ceil(rows_needed - most_rows)
    return None


def _gap_exponent(curve: Sequence[tuple[int, float]]) -> float | None:
    """The exponent in 1 - tau ~ rows^exponent by least squares of logarithms; None where all points have as many rows."""
    rows = np.array([n for n, _ in curve], float)
    if len(set(rows)) < 2:
        return None
    gaps = np.array([1.0 - tau for _, tau in curve])
    log_gaps = np.log(np.maximum(gaps, LEAST_GAP))
    line = np.polyfit(np.log(rows), log_gaps, 1)
    return float(line[0])
