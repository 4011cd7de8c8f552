"""The converters of an array: their full scale, their steps, and whether they read every sum exactly.

The full scale follows the array's range policy. ``fixed``: the largest sum there can be. ``layer``, ``layer_and_digit``:
references set it, once for a layer or once for a layer, input step and slice, to the mean plus RANGE_DEVIATIONS standard
deviations of the sums of a calibration sample, or wider where the converter has codes to spare.
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
    """Steps and range of the converters of one input step, each field (groups or 1, slices).

    Attributes:
        step: distance of two readings, in cells; at least 1, because sums are whole numbers of cells.
        built_steps: ``step`` over the converter's own step; above 1 where that is finer than a cell.
        largest_code: highest reading, in units of ``step``.
    """

    step: Tensor
    built_steps: Tensor
    largest_code: Tensor


@dataclass(frozen=True)
class SumMoments:
    """Moments of the partial sums of one input step, each field (groups, slices).

    Attributes:
        mean: Mean of the sums, in cells.
        square: Mean of the squared sums.
    """

    mean: Tensor
    square: Tensor


def row_blocks(array: ArrayDescription, rows: int) -> list[slice]:
    """Cut the rows of a layer into blocks that are summed at once.

    Args:
        array: The array.
        rows: Rows of the layer.

    Returns:
        The blocks, in order; the last one may reach beyond the rows.
    """
    block_rows = array.rows_active
    return [slice(start, start + block_rows) for start in range(0, rows, block_rows)]


def sum_moments(array: ArrayDescription, cells: Tensor, step: Tensor) -> SumMoments:
    """Compute the mean and the mean square of one input step's partial sums.

    For inputs P and cells c the sums are P c, and the sum of their squares is c' (P' P) c, which
    takes less time than computing every sum.

    Args:
        array: The array.
        cells: What the cells hold, (groups, rows, outputs, slices).
        step: What the word lines carry, (groups, samples, rows).

    Returns:
        The moments over samples, outputs and blocks of rows.
    """
    groups, rows, outputs, slices = cells.shape
    means, squares = [], []
    for block in row_blocks(array, rows):
        inputs, held = step[..., block], cells[:, block].flatten(2)
        gram = torch.bmm(inputs.transpose(1, 2), inputs)
        square = torch.bmm(gram, held).mul_(held).view(groups, -1, slices).sum(1)
        mean = torch.bmm(inputs.mean(1, keepdim=True), held).view(groups, outputs, slices)
        squares.append(square / (step.shape[1] * outputs))
        means.append(mean.mean(1))
    return SumMoments(torch.stack(means).mean(0), torch.stack(squares).mean(0).clamp_min_(0))


def full_scales(
    array: ArrayDescription, moments: Sequence[SumMoments], *, shared_range: bool
) -> list[Tensor]:
    """Set the full scales of the converters by the array's range policy.

    Args:
        array: The array.
        moments: Moments of the sums of each input step.
        shared_range: Whether the groups share one range.

    Returns:
        For each input step the end of its converters' range, counted from zero in cells,
        (groups or 1, slices).
    """
    largest = float(array.largest_sum)
    needed = [_needed_scale(array, step, shared_range=shared_range) for step in moments]
    if array.range_policy == "fixed":
        return [torch.full_like(scale, largest) for scale in needed]
    if array.range_policy == "layer":
        most = torch.stack(needed).amax(0).amax(-1, keepdim=True)
        return [most.expand_as(scale) for scale in needed]
    return needed


def _needed_scale(array: ArrayDescription, moments: SumMoments, *, shared_range: bool) -> Tensor:
    """The full scale that holds nearly all sums of an input step, (groups or 1, slices)."""
    mean, square = moments.mean, moments.square
    if shared_range:
        mean, square = mean.mean(0, keepdim=True), square.mean(0, keepdim=True)
    codes = 2.0**array.adc_bits / (2 if is_differential(array) else 1)
    narrowest = max(1.0, FINEST_STEP * codes)
    centre = mean
    if is_differential(array):  # the range is symmetric about zero
        centre = torch.zeros_like(mean)
    deviation = (square - centre.square()).clamp_min_(0).sqrt_()
    scale = (centre + RANGE_DEVIATIONS * deviation).clamp_min_(narrowest)
    return scale.clamp_(max=float(array.largest_sum))


def converter_ranges(array: ArrayDescription, scales: Sequence[Tensor]) -> list[ConverterRange]:
    """Work out the steps of the converters of each input step.

    Args:
        array: The array.
        scales: Full scales of each input step, as :func:`full_scales` returns them.

    Returns:
        The converters of each input step; all the same object where the steps share a range.
    """
    first = _converter_range(array, scales[0])
    if array.range_policy != "layer_and_digit":
        return [first] * len(scales)
    return [first, *(_converter_range(array, scale) for scale in scales[1:])]


def _converter_range(array: ArrayDescription, full_scale: Tensor) -> ConverterRange:
    """The steps of converters of a full scale, (groups or 1, slices); readings finer than a cell are merged."""
    codes = 2.0**array.adc_bits
    if is_differential(array):
        span, last_code = 2 * full_scale, codes / 2 - 1
    else:
        span, last_code = full_scale, codes - 1
    built_step = span / codes
    step = built_step.clamp_min(1.0)
    return ConverterRange(step, step / built_step, (last_code * built_step / step).floor())


def is_lossless(array: ArrayDescription, converters: Sequence[ConverterRange], rows: int) -> bool:
    """Tell whether every reading is the sum itself, so that the product can be computed in one piece.

    That is so if cells hold what was written, all sums are within the range, a step is one cell, and
    the converter's errors stay below half a cell.

    Args:
        array: The array.
        converters: The converters of each input step.
        rows: Rows of the layer.

    Returns:
        Whether it is.
    """
    random_lsb = math.hypot(array.noise_lsb, array.offset_lsb)
    largest_input = 2**array.dac_bits - 1.0
    largest_sum = min(array.rows_active, rows) * largest_input
    largest_sum *= 2**array.digit_bits - 1.0
    is_fine = True
    different = {
        id(each): each for each in converters
    }.values()  # steps of one range share an object
    for converter in different:
        random = torch.hypot(random_lsb / converter.built_steps, torch.tensor(array.sum_noise))
        worst = array.inl_lsb / converter.built_steps + SAFE_DEVIATIONS * random
        is_fine &= bool((converter.step == 1).all() and (worst < 0.5).all())
    is_wide = all(bool((each.largest_code >= largest_sum).all()) for each in different)
    return not array.cells_err and is_fine and is_wide
