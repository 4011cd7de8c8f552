"""Layers at bits of their own on a chip built for more: columns of a weight, input steps, work behind the converters.

A chip's ``weight_bits`` and ``act_bits`` are what its registers, adders and references are built for. A layer of fewer bits
takes fewer columns a weight on analog arrays, whose slices are converted one by one (Jia et al., JSSC 2020, run 1 to 8 bits
so), and fewer input steps on any. A digital array's trees take ``tree_bits`` of a weight each; a weight takes whole trees,
whose sums are joined by adders (Chih et al., ISSCC 2021: columns of 4 bits for weights of 4, 8, 12 and 16). Bits that a tree
has and a weight lacks stand still: no column is won by them, but no energy is spent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from cimbo.hardware.rows import Bools, ChipRows, Floats, LayerRows

RANDOM_ONES = 0.5  # share of the bits of random numbers that are one; half of half is the usual activity of a chip


@dataclass(frozen=True)
class Precision:
    """Operands of each row as the arrays hold them, each column of shape (rows,) or 1 where nothing differs.

    Attributes:
        act_bits: Bits of an input.
        output_bits: Bits of a result as it is written to the buffer.
        weight_bits: Bits of an element of the stationary operand, as it is moved and written.
        held_bits: Bits of it that multiply.
        slices: Digits of a weight, each converted by itself.
        weight_columns: Weights side by side in a row of a macro.
        input_steps: Steps in which an input enters.
        shift_share: Work of weighing and adding what one weight's sum consists of, over that at the chip's own bits.
        accumulator_share: Width of what is accumulated, over that at the chip's own bits.
        column_share: What an ideal column costs, over that at the chip's own bits: slices of analog arrays, the width of
            trees of digital ones.
        mac_share: Time that a multiply-accumulate takes, over that at the chip's own bits.
        activity_share: How much of a drive's cells and adders switch, over the chip's ``activity``.
    """

    act_bits: Floats
    output_bits: Floats
    weight_bits: Floats
    held_bits: Floats
    slices: Floats
    weight_columns: Floats
    input_steps: Floats
    shift_share: Floats | float = 1.0
    accumulator_share: Floats | float = 1.0
    column_share: Floats | float = 1.0
    mac_share: Floats | float = 1.0
    activity_share: Floats | float = 1.0


def precision(layers: LayerRows, chip: ChipRows) -> Precision:
    """Works out what each row's layer makes of its chip.

    Args:
        layers: Shapes and bits, columns of shape (rows,).
        chip: Chips, columns of shape (rows,).

    Returns:
        The operands, columns of shape (rows,).
    """
    operands = _operands(layers, chip)
    if layers.input_ones.any() or layers.weight_ones.any():
        return _with_ones(operands, layers, chip)
    return operands


def _with_ones(operands: Precision, layers: LayerRows, chip: ChipRows) -> Precision:
    """Adapt operands to the shares of their bits that are one, where these are known.

    They change how much switches in a step. On a chip that skips zeros they also change the number of steps: a step is
    left out if the input bits of all rows that are on at once are zero. With independent bits that has the probability
    (1 - ones)^rows. The ones are all in the steps that are left, so more switches in each of these.

    Returns:
        The operands with these shares.
    """
    known = (layers.input_ones > 0) | (layers.weight_ones > 0)
    ones = np.where(layers.input_ones > 0, layers.input_ones, RANDOM_ONES)
    weight_ones = np.where(layers.weight_ones > 0, layers.weight_ones, RANDOM_ONES)
    rows = np.minimum(chip.rows_active, layers.reduction)
    skips = (chip.zero_skipping > 0) & (layers.input_ones > 0)
    steps_left = np.where(skips, 1 - (1 - ones) ** (rows * chip.dac_bits), 1.0)
    activity = ones * weight_ones / steps_left
    return replace(
        operands,
        input_steps=operands.input_steps * steps_left,
        mac_share=operands.mac_share * steps_left,
        activity_share=np.where(known, activity / chip.activity, 1.0),
    )


def _operands(layers: LayerRows, chip: ChipRows) -> Precision:
    """The operands at each row's bits, whatever they hold."""
    wants = layers.weight_bits.any() or layers.activation_bits.any() or layers.output_bits.any()
    uneven = layers.is_dynamic & (chip.act_bits < chip.weight_bits)
    if not wants and not uneven.any():
        return Precision(
            act_bits=chip.act_bits,
            output_bits=chip.act_bits,
            weight_bits=np.where(layers.is_dynamic, chip.act_bits, chip.weight_bits),
            held_bits=chip.weight_bits,
            slices=chip.slices,
            weight_columns=chip.weight_columns,
            input_steps=chip.pulses,
        )
    act_bits = _at_most(layers.activation_bits, chip.act_bits)
    stationary = np.where(layers.is_dynamic, act_bits, chip.weight_bits)
    weight_bits = _at_most(layers.weight_bits, stationary)
    held = np.minimum(weight_bits, chip.weight_bits)
    own = columns_of_weight(chip, held)
    steps = np.ceil(act_bits / chip.dac_bits)
    weight_columns = np.floor(chip.cols / own.cells)
    width = np.where(chip.is_digital, np.ceil(np.log2(chip.rows_active)), chip.adc_bits)
    accumulated = width + act_bits + held
    whole = columns_of_weight(chip, chip.weight_bits)
    shift, all_shifts = (weighing_work(chip, each) for each in (own, whole))
    return Precision(
        act_bits=act_bits,
        output_bits=np.where(
            layers.output_bits > 0, np.minimum(layers.output_bits, chip.act_bits), act_bits
        ),
        weight_bits=weight_bits,
        held_bits=held,
        slices=own.slices,
        weight_columns=weight_columns,
        input_steps=steps,
        shift_share=np.where(all_shifts > 0, shift / np.maximum(all_shifts, 1e-300), 1.0),
        accumulator_share=accumulated / (width + chip.act_bits + chip.weight_bits),
        column_share=np.where(chip.is_digital, held / chip.weight_bits, own.slices / whole.slices),
        mac_share=steps / chip.pulses * chip.weight_columns / weight_columns,
    )


def _at_most(own: Floats, chip: Floats) -> Floats:
    """Bits of a layer's own where it has any, as far as the chip goes."""
    bits: Floats = np.where(own > 0, np.minimum(own, chip), chip)
    return bits


class ArraySizes(Protocol):
    """What columns of weights are counted by, each (n,); a row's chip (ChipRows) is one, and so is ``BuiltArray``."""

    @property
    def cols(self) -> Floats:
        """Columns of a macro."""
        ...

    @property
    def rows_active(self) -> Floats:
        """Word lines switched on at once."""
        ...

    @property
    def cell_bits(self) -> Floats:
        """Bits of a weight in a cell."""
        ...

    @property
    def columns_summed(self) -> Floats:
        """Columns that are summed before they are converted."""
        ...

    @property
    def dac_bits(self) -> Floats:
        """Bits of an input that enter at once."""
        ...

    @property
    def adc_bits(self) -> Floats:
        """Bits of a converter."""
        ...

    @property
    def tree_bits(self) -> Floats:
        """Bits of a weight that one tree of a digital array adds up."""
        ...

    @property
    def is_digital(self) -> Bools:
        """Whether adders form the sums."""
        ...

    @property
    def is_differential(self) -> Floats:
        """1 where a weight is a difference of two cells."""
        ...


@dataclass(frozen=True)
class BuiltArray:
    """``ArraySizes`` of chips that are not rows of anything yet; their genes' meaning."""

    cols: Floats
    rows_active: Floats
    cell_bits: Floats
    columns_summed: Floats
    dac_bits: Floats
    adc_bits: Floats
    tree_bits: Floats
    is_digital: Bools
    is_differential: Floats


@dataclass(frozen=True)
class WeightColumns:
    """What one weight takes of an array, each (n,).

    Attributes:
        held_bits: Its bits, those of a tree that stand still included.
        slices: Digits, each converted by itself.
        cells: Columns.
        trees: Trees of a digital array that its sum is joined from.
    """

    held_bits: Floats
    slices: Floats
    cells: Floats
    trees: Floats


def columns_of_weight(array: ArraySizes, weight_bits: Floats) -> WeightColumns:
    """Counts the columns of a weight.

    The same law says what an array is built for, with the chip's ``weight_bits``, and what a weight of a layer takes of
    it, with the layer's.

    Args:
        array: The arrays, (n,).
        weight_bits: Of a weight, (n,).

    Returns:
        What one weight takes, (n,) each.
    """
    trees = np.where(array.is_digital, np.ceil(weight_bits / array.tree_bits), 1)
    held = np.where(array.is_digital, trees * array.tree_bits, weight_bits)
    magnitude = np.maximum(held - array.is_differential, 1)
    cells = np.ceil(magnitude / array.cell_bits) * (1 + array.is_differential)
    slices = np.ceil(magnitude / (array.cell_bits * array.columns_summed))
    return WeightColumns(held, slices, np.minimum(cells, array.cols), trees)


def weighing_adders(array: ArraySizes, weight: WeightColumns) -> tuple[Floats, Floats]:
    """Counts one-bit adders that make one sum of a weight out of its parts.

    Args:
        array: The arrays, (n,).
        weight: What a weight takes of them, (n,).

    Returns:
        Those that weigh and add slices (analog) or the input bits of one step (digital), and those that join trees.
    """
    tree_width = weight.held_bits + np.ceil(np.log2(array.rows_active))
    inputs = np.where(array.is_digital, array.dac_bits, weight.slices)
    width = np.where(array.is_digital, tree_width, array.adc_bits)
    each = width * (inputs - 1) + inputs * (np.log2(inputs) - 0.5)
    return np.where(inputs > 1, each, 0), (weight.trees - 1) * tree_width


def weighing_work(array: ArraySizes, weight: WeightColumns) -> Floats:
    """Count the one-bit additions that make one sum of a weight out of its parts.

    Every tree of a digital array weighs the input bits of a step for itself, whatever the number of digits it adds up.

    Args:
        array: The arrays, (n,).
        weight: What a weight takes of them, (n,).

    Returns:
        One-bit additions of one sum of a weight, (n,).
    """
    weighing, joining = weighing_adders(array, weight)
    work: Floats = weighing * weight.trees + joining
    return work
