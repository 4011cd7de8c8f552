"""Laws of single elements: converters, adders and trees of them. All figures at 28 nm: um2, fF, ns, counts.

Arguments are numbers or arrays of them, of equal shape.
"""

from __future__ import annotations

import numpy as np

from cimbo.hardware.rows import Floats, Indices
from cimbo.hardware.technology import CONVERTER_KINDS, constant

KOHM_FF_TO_NS = 1e-3  # kOhm fF is a picosecond


def is_flash(bits: Floats, kind: Indices) -> Floats:
    """Tell which converters compare with all levels at once.

    Those of kind ``auto`` do so up to the constant ``adc.most_flash_bits``.

    Args:
        bits: Bits of each converter.
        kind: Index of its kind in ``CONVERTER_KINDS``.

    Returns:
        1 for such a converter, 0 for one of successive approximation.
    """
    is_auto_flash = (kind == CONVERTER_KINDS.index("auto")) & (
        bits <= constant("adc.most_flash_bits")
    )
    return np.where((kind == CONVERTER_KINDS.index("flash")) | is_auto_flash, 1.0, 0.0)


def adc_area(bits: Floats, kind: Indices) -> Floats:
    """Work out the area of converters.

    A flash converter has a comparator for each level; one of successive approximation a comparator,
    a register and switches for each bit, and 2^bits unit capacitors.

    Args:
        bits: Bits of each converter.
        kind: Index of its kind in ``CONVERTER_KINDS``.

    Returns:
        um2 of each converter.
    """
    flash = constant("adc.comparator_area") * (2**bits - 1)
    successive = constant("adc.bit_area") * bits + constant("adc.unit_area") * 2**bits
    area: Floats = np.where(is_flash(bits, kind) > 0, flash, successive)
    return area


def adc_capacitance(bits: Floats, kind: Indices) -> Floats:
    """Work out the capacitance that a conversion switches.

    The part that grows fourfold a bit is what keeps thermal noise below a step.

    Args:
        bits: Bits of each converter.
        kind: Index of its kind in ``CONVERTER_KINDS``.

    Returns:
        fF a conversion.
    """
    noise = constant("adc.noise_capacitance") * 4.0**bits
    flash = constant("adc.comparator_capacitance") * (2**bits - 1)
    successive = constant("adc.bit_capacitance") * bits
    capacitance: Floats = np.where(is_flash(bits, kind) > 0, flash, successive) + noise
    return capacitance


def adc_steps(bits: Floats, kind: Indices) -> Floats:
    """Count the decisions that a conversion makes one after the other.

    Args:
        bits: Bits of each converter.
        kind: Index of its kind in ``CONVERTER_KINDS``.

    Returns:
        1 for a flash converter, else one for each bit.
    """
    return np.where(is_flash(bits, kind) > 0, 1.0, bits)


def tree_adders(inputs: Floats, bits: Floats) -> Floats:
    """Count the one-bit adders of a tree of ripple adders.

    Each level is one bit wider than the one before it: n inputs of b bits and depth d = log2 n take
    sum over levels l of n / 2^(l + 1) (b + l) = n (b + 1) - (b + d + 1) adders.

    Args:
        inputs: Numbers that the tree adds up.
        bits: Bits of each of these numbers.

    Returns:
        One-bit adders of one tree, at least 0.
    """
    depth = np.ceil(np.log2(np.maximum(inputs, 2)))
    adders: Floats = np.maximum(inputs * (bits + 1) - (bits + depth + 1), 0)
    return adders


def tree_delay(inputs: Floats, bits: Floats) -> Floats:
    """Work out the delay of a tree of adders, from the product of a cell to the sum.

    Args:
        inputs: Numbers that the tree adds up.
        bits: Bits of each of these numbers.

    Returns:
        ns.
    """
    depth = np.log2(np.maximum(inputs, 2))
    delay: Floats = constant("logic.adder_delay") * (1 + depth + 0.5 * bits)
    return delay


def adder_delay(operands: Floats) -> Floats:
    """Work out the delay of weighing and adding several sums.

    These are the sums of the input bits of one step, or of the trees that a weight takes.

    Args:
        operands: Number of sums.

    Returns:
        ns; 0 for one sum.
    """
    delay: Floats = constant("logic.adder_delay") * np.log2(np.maximum(operands, 1))
    return delay


def line_delay(length_um: Floats, load: Floats, node_nm: Floats, slow: Floats) -> Floats:
    """Work out the delay of a line across an array, from its driver to its last cell.

    The lesser of two: Elmore's delay of a driver (resistance R_d) with a distributed line behind it (R, C),
    0.69 R_d C + 0.38 R C (Bakoglu, 1990); or the delay of the line cut up by repeaters (time constant tau), which is
    linear in the length, 2.5 length (tau r c)^(1/2), with r and c of the line a length. Driver and repeaters slow down
    at a lower supply, the wire does not.

    Args:
        length_um: Length of each line.
        load: Gates that each line drives, in fF.
        node_nm: Node of each chip.
        slow: How much slower gates are than at 28 nm and its nominal supply.

    Returns:
        ns.
    """
    resistance = constant("wire.resistance") * (28 / node_nm) ** 2  # Ohm/um
    wire = constant("wire.capacitance") * length_um + load
    driven = 0.69 * constant("word_line.driver") * slow * wire * KOHM_FF_TO_NS
    distributed = 0.38 * resistance * length_um * wire * KOHM_FF_TO_NS / 1e3
    per_root_length = np.sqrt(constant("wire.repeater") * slow * resistance * KOHM_FF_TO_NS / 1e3)
    # sqrt(length x C) is length x sqrt(c)
    repeated = 2.5 * np.sqrt(length_um * wire) * per_root_length
    delay: Floats = np.minimum(driven + distributed, repeated)
    return delay


def weighed_columns(columns: Floats, cell_bits: Floats, weight_bits: Floats) -> Floats:
    """Count the columns of different weight among those that are summed before they are converted.

    Args:
        columns: Columns that are summed.
        cell_bits: Bits of a weight in one of their cells.
        weight_bits: Bits of a weight. Columns beyond those of one weight belong to further weights,
            whose columns have the same weights again.

    Returns:
        Columns, at least 1.
    """
    return np.minimum(columns, np.ceil(weight_bits / cell_bits))


def weighing_units(columns: Floats, cell_bits: Floats, weight_bits: Floats) -> Floats:
    """Count the unit capacitors that weigh the columns that are summed before they are converted.

    Args:
        columns: Columns that are summed.
        cell_bits: Bits of a weight in one of their cells.
        weight_bits: Bits of a weight.

    Returns:
        Units of one sum: 1 + 2^c + 4^c + ... for the columns of each weight, with cells of c bits; 0
        where a column is converted by itself.
    """
    weighed = weighed_columns(columns, cell_bits, weight_bits)
    units = (2.0 ** (weighed * cell_bits) - 1) / (2.0**cell_bits - 1)  # the geometric series
    return np.where(columns > 1, units * columns / weighed, 0.0)
