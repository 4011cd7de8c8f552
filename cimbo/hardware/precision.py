"""Layers at bits of their own on a chip built for more: columns of a weight, input steps, work behind the converters.

A chip's ``weight_bits`` and ``act_bits`` are what its registers, adders and references are built for. A layer of fewer bits
takes fewer columns a weight on analog arrays, whose slices are converted one by one (Jia et al., JSSC 2020, run 1 to 8 bits
so), and fewer input steps on any. A digital array's trees take ``tree_bits`` of a weight each; a weight takes whole trees,
whose sums are joined by adders (Chih et al., ISSCC 2021: columns of 4 bits for weights of 4, 8, 12 and 16). Where a weight
has fewer bits than its trees, the unused bits save no column, but they spend no energy.

A *row* of an array is one distinct layer shape of one (network, chip) pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from cimbo.hardware.rows import Bools, ChipRows, Floats, LayerRows

RANDOM_ONES = 0.5  # share of the bits of random numbers that are one; half of half is the usual activity of a chip


@dataclass(frozen=True)
class Precision:
    """Operands of each row as the arrays hold them, each column of shape (rows,).

    The ``_share`` columns are ratios of a figure at the layer's bits to that at the chip's own bits;
    they are 1 where the layer has no bits of its own.

    Attributes:
        act_bits: Bits of an input.
        output_bits: Bits of a result as it is written to the buffer.
        weight_bits: Bits of an element of the stationary operand, as it is moved and written.
        held_bits: Bits of that element that take part in the product.
        slices: Digits of a weight, each converted by itself.
        weight_columns: Weights side by side in a row of a macro.
        input_steps: Steps in which an input enters.
        shift_share: Ratio of the work of putting one weight's sum together from its parts.
        accumulator_share: Ratio of the width of what is accumulated.
        column_share: Ratio of the cost of reading one column of weights: of the slices in analog
            arrays, of the bits that trees add up in digital ones.
        mac_share: Ratio of the time that a multiply-accumulate takes.
        activity_share: Fraction of cells and adders that switch in a step, over the chip's ``activity``.
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
    """Work out how each row's chip holds and multiplies the operands of its layer.

    Args:
        layers: Shapes and bits of the layers, columns of shape (rows,).
        chip: Their chips, columns of shape (rows,).

    Returns:
        The operands, columns of shape (rows,).
    """
    operands = _operands(layers, chip)
    if layers.input_ones.any() or layers.weight_ones.any():
        return _with_ones(operands, layers, chip)
    return operands


def _with_ones(operands: Precision, layers: LayerRows, chip: ChipRows) -> Precision:
    """Adapt operands to the fractions of their bits that are one, where a layer has such figures.

    They change how much switches in a step. On a chip that skips zeros they also change the number of steps: a step is
    left out if the input bits of all rows that are on at once are zero. With independent bits that has the probability
    (1 - ones)^bits. The ones are all in the steps that are left, so more switches in each of these.

    Returns:
        The operands with the steps that are left and their activity.
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
    """Work out the operands at each row's bits, without regard to the values they hold.

    Returns:
        The operands, columns of shape (rows,).
    """
    has_own_bits = (
        layers.weight_bits.any() or layers.activation_bits.any() or layers.output_bits.any()
    )
    # Attention's stationary operand is an activation, which may have fewer bits than a weight.
    has_narrow_operand = layers.is_dynamic & (chip.act_bits < chip.weight_bits)
    if not has_own_bits and not has_narrow_operand.any():
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
    layer_weight = columns_of_weight(chip, held)
    chip_weight = columns_of_weight(chip, chip.weight_bits)
    steps = np.ceil(act_bits / chip.dac_bits)
    weight_columns = np.floor(chip.cols / layer_weight.cells)
    sum_bits = np.where(chip.is_digital, np.ceil(np.log2(chip.rows_active)), chip.adc_bits)
    accumulated = sum_bits + act_bits + held
    shifts = weighing_work(chip, layer_weight)
    chip_shifts = weighing_work(chip, chip_weight)
    slices_share = layer_weight.slices / chip_weight.slices
    return Precision(
        act_bits=act_bits,
        output_bits=np.where(
            layers.output_bits > 0, np.minimum(layers.output_bits, chip.act_bits), act_bits
        ),
        weight_bits=weight_bits,
        held_bits=held,
        slices=layer_weight.slices,
        weight_columns=weight_columns,
        input_steps=steps,
        shift_share=np.where(chip_shifts > 0, shifts / np.maximum(chip_shifts, 1e-300), 1.0),
        accumulator_share=accumulated / (sum_bits + chip.act_bits + chip.weight_bits),
        column_share=np.where(chip.is_digital, held / chip.weight_bits, slices_share),
        mac_share=steps / chip.pulses * chip.weight_columns / weight_columns,
    )


def _at_most(layer_bits: Floats, chip_bits: Floats) -> Floats:
    """Bits of each layer: its own where it has any (0: none), but no more than the chip's, (rows,)."""
    bits: Floats = np.where(layer_bits > 0, np.minimum(layer_bits, chip_bits), chip_bits)
    return bits


class ArraySizes(Protocol):
    """Sizes of n arrays by which the columns of a weight are counted, each (n,).

    Both ``ChipRows`` and ``BuiltArray`` have them.
    """

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
    """``ArraySizes`` of n chips as their genes give them, each (n,)."""

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
        held_bits: Bits that it takes; in a digital array all bits of its trees, used or not.
        slices: Digits, each converted by itself.
        cells: Cells, and so columns, that hold it.
        trees: Adder trees of a digital array whose sums make up its sum; 1 in others.
    """

    held_bits: Floats
    slices: Floats
    cells: Floats
    trees: Floats


def columns_of_weight(array: ArraySizes, weight_bits: Floats) -> WeightColumns:
    """Count the columns, digits and trees that one weight takes.

    With the chip's ``weight_bits`` this is what the array is built for; with a layer's, it is what
    a weight of that layer takes of it.

    Args:
        array: The arrays, (n,).
        weight_bits: Bits of a weight, (n,).

    Returns:
        What one weight takes, (n,) each.
    """
    trees = np.where(array.is_digital, np.ceil(weight_bits / array.tree_bits), 1)
    held = np.where(array.is_digital, trees * array.tree_bits, weight_bits)
    # A differential weight has its sign in which of two cells holds the magnitude.
    magnitude = np.maximum(held - array.is_differential, 1)
    cells = np.ceil(magnitude / array.cell_bits) * (1 + array.is_differential)
    slices = np.ceil(magnitude / (array.cell_bits * array.columns_summed))
    return WeightColumns(held, slices, np.minimum(cells, array.cols), trees)


def weighing_adders(array: ArraySizes, weight: WeightColumns) -> tuple[Floats, Floats]:
    """Count the one-bit adders that put a weight's result together from its partial results.

    A partial result is what one slice of the weight gives (analog), or one of the input bits that
    enter at once (digital). The i-th counts 2^i times, so partial results are shifted and added,
    two by two, in a tree of ripple adders. For p of them with w bits each, level k of that tree
    has p / 2^k adders, wider from level to level; together w (p - 1) + p (log2 p - 1/2) one-bit
    adders.

    Args:
        array: The arrays, (n,).
        weight: What a weight takes of them, (n,).

    Returns:
        One-bit adders of that tree, and one-bit adders that join the results of the adder trees
        of one weight (0 in analog arrays), (n,) each.
    """
    # Width of the result of a whole weight. That of one adder tree of several is narrower; the
    # model takes the whole width there too, on the safe side.
    tree_width = weight.held_bits + np.ceil(np.log2(array.rows_active))
    parts = np.where(array.is_digital, array.dac_bits, weight.slices)
    width = np.where(array.is_digital, tree_width, array.adc_bits)
    adders = width * (parts - 1) + parts * (np.log2(parts) - 0.5)
    return np.where(parts > 1, adders, 0), (weight.trees - 1) * tree_width


def weighing_work(array: ArraySizes, weight: WeightColumns) -> Floats:
    """Count the one-bit additions that make one sum of a weight out of its parts.

    Every tree of a digital array weighs the input bits of a step by itself, so its work counts once a tree.

    Args:
        array: The arrays, (n,).
        weight: What a weight takes of them, (n,).

    Returns:
        One-bit additions of one sum of a weight, (n,).
    """
    weighing, joining = weighing_adders(array, weight)
    work: Floats = weighing * weight.trees + joining
    return work
