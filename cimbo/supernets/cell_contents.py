"""Weights in the cells of an array: how they are cut into slices, and what the cells of a die really hold.

A weight is a whole number of steps, cut into slices of ``cell_bits``. In two's complement the highest slice counts negative.
Where several bits are read at once, a sign bit cannot count by itself: weights are then written as offset codes, whose highest
bit is the inverse of the sign's. In differential form a slice is the difference of two cells. Columns that are summed before
they are converted become one slice, after the errors of their cells were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription


@dataclass(frozen=True)
class WeightSlices:
    """Weights cut into slices.

    Attributes:
        cells: What is written into each cell, or pair of cells, (groups, rows, outputs, slices).
        places: Value of one unit of each slice, in steps of a weight, (slices,).
    """

    cells: Tensor
    places: Tensor


def is_differential(array: ArrayDescription) -> bool:
    """Tells whether a slice is the difference of two cells.

    Args:
        array: The array.

    Returns:
        Whether it is.
    """
    return array.encoding == "differential"


def weight_offset(array: ArrayDescription) -> float:
    """Compute the offset that is added to every weight before it is written into cells.

    Args:
        array: The array.

    Returns:
        The offset, in steps of a weight; 0 where cells carry a sign.
    """
    has_sign_bit = array.encoding == "twos_complement" and array.digit_bits == 1
    if is_differential(array) or has_sign_bit:
        return 0.0
    return 2.0 ** (array.weight_bits - 1)


def weight_slices(array: ArrayDescription, whole: Tensor) -> WeightSlices:
    """Cut weights into the slices that are written into cells.

    Args:
        array: The array.
        whole: Weights as whole numbers, (groups, rows, outputs).

    Returns:
        Their slices, the lowest first.
    """
    bits, cell_bits = array.weight_bits, array.cell_bits
    offset = weight_offset(array)
    if is_differential(array):
        slices = list(digits(whole, array.magnitude_bits, cell_bits))
    elif offset:
        slices = list(digits(whole + offset, bits, cell_bits))
    else:  # two's complement
        codes = torch.where(whole < 0, whole + 2.0**bits, whole)
        slices = list(digits(codes, bits, cell_bits))
    places = 2.0 ** (cell_bits * torch.arange(len(slices)))
    if not (is_differential(array) or offset):
        places[-1] = -places[-1]
    return WeightSlices(torch.stack(slices, -1), places)


def summed_columns(array: ArrayDescription, slices: WeightSlices) -> WeightSlices:
    """Sum neighbouring columns, weighted by their places, as an array does before it converts them.

    Args:
        array: The array.
        slices: What each cell holds.

    Returns:
        One slice for each reading; the same where columns are read one by one.
    """
    columns = array.digit_bits // array.cell_bits
    if columns == 1:
        return slices
    missing = -slices.cells.shape[-1] % columns  # to a multiple of ``columns``
    grouped = F.pad(slices.cells, (0, missing)).unflatten(-1, (-1, columns))
    weights = 2.0 ** (array.cell_bits * torch.arange(columns))
    cells = grouped @ weights
    return WeightSlices(cells, 2.0 ** (array.digit_bits * torch.arange(cells.shape[-1])))


def cell_contents(array: ArrayDescription, cells: Tensor, random: torch.Generator) -> Tensor:
    """Draw what the cells of a die hold, given what was written into them.

    Args:
        array: The array.
        cells: What was written into them, (groups, rows, outputs, slices).
        random: The die's generator.

    Returns:
        What they hold, of the same shape; the difference of two where a slice has two.
    """
    full = 2 ** min(array.cell_bits, array.magnitude_bits) - 1
    if not is_differential(array):
        levels: Tensor = _held(array, cells, full, random) * full
        return levels
    positive = _held(array, cells.clamp_min(0), full, random)
    negative = _held(array, (-cells).clamp_min(0), full, random)
    difference: Tensor = (positive - negative) * full
    return difference


def _held(array: ArrayDescription, written: Tensor, full: int, random: torch.Generator) -> Tensor:
    """Draw what cells hold, as fractions of their full scale.

    Args:
        array: The array.
        written: Levels that were written, whole numbers from 0 to ``full``, of any shape.
        full: The highest level.
        random: The die's generator.

    Returns:
        Contents, of the same shape.
    """
    levels = torch.arange(full + 1) / float(full)
    means, deviations = levels, torch.full_like(levels, array.cell_noise)
    if array.cell_levels:
        known = [(level.level, level.mean, level.deviation) for level in array.cell_levels]
        points, heights, spreads = zip(*known, strict=True)
        means = interpolate(levels, points, heights)
        deviations = torch.hypot(deviations, interpolate(levels, points, spreads))
    which = written.int()  # an index of each cell's level, which is looked up rather than computed
    noise = torch.randn(written.shape, generator=random)
    held = torch.addcmul(means[which], noise, deviations[which])
    if array.stuck_cells:
        drawn = torch.rand(written.shape, generator=random)
        is_full = (drawn < array.stuck_cells / 2).float()
        held = torch.where(drawn < array.stuck_cells, is_full, held)
    return held


def interpolate(values: Tensor, points: Sequence[float], heights: Sequence[float]) -> Tensor:
    """Interpolate linearly between known points at many values; constant beyond the ends.

    Args:
        values: Where to read, of any shape.
        points: Places of the known points, rising; two at least.
        heights: Height at each of them.

    Returns:
        Heights at ``values``, of the same shape.
    """
    x, y = torch.tensor(points), torch.tensor(heights)
    above = torch.bucketize(values, x).clamp_(1, len(x) - 1)
    share = ((values - x[above - 1]) / (x[above] - x[above - 1])).clamp_(0, 1)
    return torch.lerp(y[above - 1], y[above], share)


def digits(whole: Tensor, bits: int, each: int) -> Iterator[Tensor]:
    """Cuts whole numbers into digits.

    Args:
        whole: numbers of magnitude below 2^``bits``, of any shape.
        bits: of a magnitude.
        each: bits of a digit.

    Yields:
        Digits, the lowest first, each with the sign of its number.
    """
    # Computed on magnitudes, because rounding down is many times as fast as rounding towards
    # zero.
    if whole.numel() and float(whole.min()) < 0:
        sign = whole.sign()
    else:
        sign = None
    left = whole if sign is None else whole.abs()
    for _ in range(math.ceil(bits / each) - 1):
        high = (left / 2**each).floor_()
        low = left.sub(high, alpha=2**each)
        yield low if sign is None else low.mul_(sign)
        left = high
    yield left if sign is None else left * sign
