"""What the converters of an array read: their full scale, their steps, and whether every sum survives.

A full scale is the largest sum there can be (``fixed``), or set by references to the mean and RANGE_DEVIATIONS standard
deviations of the sums of a calibration sample, or wider where the converter has codes to spare: once a layer (``layer``) or
once a layer, input step and slice (``layer_and_digit``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.cell_contents import is_differential

# A calibrated range ends this many standard deviations from the mean partial sum
RANGE_DEVIATIONS = 4.0
# The smallest step, in units of one cell; a converter with more levels gets a wider range
FINEST_STEP = 0.25
# A sum counts as read exactly if random errors this many deviations large do not change it
SAFE_DEVIATIONS = 5.0


@dataclass(frozen=True)
class ConverterRange:
    """How the converters of one input step read, each field (groups or 1, slices).

    Attributes:
        step: distance of two readings, in cells; at least one, for sums are whole.
        built_steps: steps of the converter as built in one ``step``; below one where it is finer than a cell.
        largest_code: highest reading, in ``step``.
    """

    step: Tensor
    built_steps: Tensor
    largest_code: Tensor


@dataclass(frozen=True)
class SumMoments:
    """What the partial sums of one input step are like, each field (groups, slices).

    Attributes:
        mean: Their mean, in cells.
        square: Their mean square.
    """

    mean: Tensor
    square: Tensor


def row_blocks(array: ArrayDescription, rows: int) -> list[slice]:
    """Lists the rows of a layer that are summed at once.

    Args:
        array: The array.
        rows: Rows of the layer.

    Returns:
        Stretches of rows, in order.
    """
    each = array.rows_active
    return [slice(start, start + each) for start in range(0, rows, each)]


def sum_moments(array: ArrayDescription, cells: Tensor, step: Tensor) -> SumMoments:
    """Computes mean and mean square of one input step's partial sums.

    By way of the rows' products with each other: c' (P' P) c costs less than every sum of P c.

    Args:
        array: The array.
        cells: What they hold, (groups, rows, outputs, slices).
        step: What the word lines carry, (groups, samples, rows).

    Returns:
        The moments over samples, outputs and blocks of rows.
    """
    groups, rows, outputs, slices = cells.shape
    means, squares = [], []
    for block in row_blocks(array, rows):
        each, held = step[..., block], cells[:, block].flatten(2)
        together = torch.bmm(each.transpose(1, 2), each)
        square = torch.bmm(together, held).mul_(held).view(groups, -1, slices).sum(1)
        mean = torch.bmm(each.mean(1, keepdim=True), held).view(groups, outputs, slices)
        squares.append(square / (step.shape[1] * outputs))
        means.append(mean.mean(1))
    return SumMoments(torch.stack(means).mean(0), torch.stack(squares).mean(0).clamp_min_(0))


def full_scales(
    array: ArrayDescription, moments: Sequence[SumMoments], *, shared_range: bool
) -> list[Tensor]:
    """Sets the ranges of the converters.

    Args:
        array: The array.
        moments: Of the sums of each input step.
        shared_range: Whether the groups share one range.

    Returns:
        From zero to the end of the range of each input step's converters, in cells, each
        (groups or 1, slices).
    """
    largest = float(array.largest_sum)
    found = [_needed(array, each, shared_range=shared_range) for each in moments]
    if array.range_policy == "fixed":
        return [torch.full_like(scale, largest) for scale in found]
    if array.range_policy == "layer":
        most = torch.stack(found).amax(0).amax(-1, keepdim=True)
        return [most.expand_as(scale) for scale in found]
    return found


def _needed(array: ArrayDescription, moments: SumMoments, *, shared_range: bool) -> Tensor:
    """The full scale that holds nearly all sums of an input step, (groups or 1, slices)."""
    mean, square = moments.mean, moments.square
    if shared_range:
        mean, square = mean.mean(0, keepdim=True), square.mean(0, keepdim=True)
    codes = 2.0**array.adc_bits / (2 if is_differential(array) else 1)
    finest = max(1.0, FINEST_STEP * codes)
    centre = mean
    if is_differential(array):
        centre = torch.zeros_like(mean)
    spread = (square - centre.square()).clamp_min_(0).sqrt_()
    needed = (centre + RANGE_DEVIATIONS * spread).clamp_min_(finest)
    return needed.clamp_(max=float(array.largest_sum))


def converter_ranges(array: ArrayDescription, scales: Sequence[Tensor]) -> list[ConverterRange]:
    """Gives the converters of each input step.

    Args:
        array: The array.
        scales: Their full scales, as :func:`full_scales` gives them.

    Returns:
        One object for all input steps where they share a range.
    """
    first = _converter_range(array, scales[0])
    if array.range_policy != "layer_and_digit":
        return [first] * len(scales)
    return [first, *(_converter_range(array, scale) for scale in scales[1:])]


def _converter_range(array: ArrayDescription, full_scale: Tensor) -> ConverterRange:
    codes = 2.0**array.adc_bits
    if is_differential(array):
        span, last = 2 * full_scale, codes / 2 - 1
    else:
        span, last = full_scale, codes - 1
    built = span / codes
    step = built.clamp_min(1.0)
    return ConverterRange(step, step / built, (last * built / step).floor())


def is_lossless(array: ArrayDescription, converters: Sequence[ConverterRange], rows: int) -> bool:
    """Tells whether every reading is the sum itself: whole numbers in range, errors below half a cell.

    Args:
        array: The array.
        converters: Of each input step.
        rows: Rows of the layer.

    Returns:
        Whether it is.
    """
    lsb = math.hypot(array.noise_lsb, array.offset_lsb)
    most = min(array.rows_active, rows) * (2**array.dac_bits - 1.0)
    most *= 2**array.digit_bits - 1.0
    fine = True
    different = {id(c): c for c in converters}.values()  # steps of one range share an object
    for c in different:
        random = torch.hypot(lsb / c.built_steps, torch.tensor(array.sum_noise))
        worst = array.inl_lsb / c.built_steps + SAFE_DEVIATIONS * random
        fine &= bool((c.step == 1).all() and (worst < 0.5).all())
    wide = all(bool((c.largest_code >= most).all()) for c in different)
    return not array.cells_err and fine and wide
