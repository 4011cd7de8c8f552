"""The part of a layer's errors that is linear in its inputs, by Bussgang's theorem for vectors.

Cells and converters that are always off in the same way change the weights in effect rather than adding noise. The best
linear predictor of the errors e from the inputs x, C_ex C_xx^-1 (C: covariances), is added to the weights; the rest is noise.
A few samples determine many weights badly, so the regression is a ridge. Its strength is chosen by cross-validation between
two halves of the samples, and nothing is added where the regression explains next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Strengths of the ridge that are tried, as fractions of the inputs' mean variance
RIDGE_SHARES = (3e-2, 3e-1)
FEWEST_SAMPLES = 8  # no regression if a half of the data has fewer samples
# No regression for layers of more rows: the samples would say too little of each weight
MOST_ROWS = 64
# The slope is kept if it explains at least this share of the variance in the held-out half
LEAST_GAIN = 0.02


@dataclass(frozen=True)
class LinearErrors:
    """A regression of errors on inputs.

    Attributes:
        slope: Errors for one unit of each input, (groups, outputs, rows).
        left: Errors that are left: those of each half of the samples, less what the regression on
            the other half predicts, (groups, samples, outputs).
    """

    slope: Tensor
    left: Tensor


def linear_errors(inputs: Tensor, errors: Tensor, each: int = 1) -> LinearErrors | None:
    """Regress a layer's errors on its inputs.

    Args:
        inputs: (groups, samples, rows).
        errors: (groups, samples, outputs).
        each: Consecutive samples that belong to one image; the halves must not share an image.

    Returns:
        The regression; None where it explains less than LEAST_GAIN of the variance, or there are
        too few samples or too many rows.
    """
    half = inputs.shape[1] // 2 // each * each
    if half < FEWEST_SAMPLES or inputs.shape[-1] > MOST_ROWS:
        return None
    x, e = inputs - inputs.mean(1, keepdim=True), errors - errors.mean(1, keepdim=True)
    halves = (slice(None, half), slice(half, None))
    predictions = [_ridges(x[:, part], e[:, part]) for part in halves]
    best, chosen = e, RIDGE_SHARES[-1]
    for number, ridge in enumerate(RIDGE_SHARES):
        # The errors of each half as the regression on the other half predicts them.
        predicted = [x[:, part] @ predictions[1 - i][number].mT for i, part in enumerate(halves)]
        left = e - torch.cat(predicted, 1)
        if left.square().sum() < best.square().sum():
            best, chosen = left, ridge
    if best.square().sum() > (1 - LEAST_GAIN) * e.square().sum():
        return None
    return LinearErrors(_ridge(x.mT @ x, x.mT @ e, chosen), best)


def _ridges(x: Tensor, e: Tensor) -> list[Tensor]:
    """Regressions of errors on inputs, both of mean zero, for every strength of RIDGE_SHARES."""
    gram, target = x.mT @ x, x.mT @ e
    return [_ridge(gram, target, ridge) for ridge in RIDGE_SHARES]


def _ridge(gram: Tensor, target: Tensor, ridge: float) -> Tensor:
    """Solve (G + strength I) W' = T for the weights of a ridge regression.

    Args:
        gram: Products G = X'X of the inputs, (groups, rows, rows).
        target: Products T = X'E of inputs and errors, (groups, rows, outputs).
        ridge: Strength, as a fraction of the mean of G's diagonal.

    Returns:
        The weights W, (groups, outputs, rows).
    """
    diagonal = gram.diagonal(dim1=1, dim2=2)
    strength = ridge * diagonal.mean(1, keepdim=True) + 1e-30
    regular = gram + torch.diag_embed(strength.expand_as(diagonal))
    factor, _ = torch.linalg.cholesky_ex(regular)  # half of what a solution of any system takes
    result: Tensor = torch.cholesky_solve(target, factor).mT
    return result
