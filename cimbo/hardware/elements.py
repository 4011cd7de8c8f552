"""Laws of single elements: converters, adders and trees of them. All figures at 28 nm: um2, fF, ns, counts.

Arguments are numbers or arrays of them, of equal shape.
"""

from __future__ import annotations

import numpy as np

from cimbo.hardware.rows import Floats, Indices
from cimbo.hardware.technology import CONVERTER_KINDS, constant


def is_flash(bits: Floats, kind: Indices) -> Floats:
    """1 where a converter compares with all levels at once; ``auto`` does so up to ``adc.most_flash_bits``."""
    few = (kind == CONVERTER_KINDS.index("auto")) & (bits <= constant("adc.most_flash_bits"))
    return np.where((kind == CONVERTER_KINDS.index("flash")) | few, 1.0, 0.0)


def adc_area(bits: Floats, kind: Indices) -> Floats:
    """um2 of a converter.

    A flash converter has a comparator for each level; one of successive approximation a comparator, a register and
    switches for each bit, and 2^bits unit capacitors.
    """
    flash = constant("adc.comparator_area") * (2**bits - 1)
    successive = constant("adc.bit_area") * bits + constant("adc.unit_area") * 2**bits
    area: Floats = np.where(is_flash(bits, kind) > 0, flash, successive)
    return area


def adc_capacitance(bits: Floats, kind: Indices) -> Floats:
    """fF that a conversion switches; the part that grows fourfold a bit is what keeps thermal noise below a step."""
    noise = constant("adc.noise_capacitance") * 4.0**bits
    flash = constant("adc.comparator_capacitance") * (2**bits - 1)
    successive = constant("adc.bit_capacitance") * bits
    capacitance: Floats = np.where(is_flash(bits, kind) > 0, flash, successive) + noise
    return capacitance


def adc_steps(bits: Floats, kind: Indices) -> Floats:
    """Decisions one after the other in a conversion."""
    return np.where(is_flash(bits, kind) > 0, 1.0, bits)


def tree_adders(inputs: Floats, bits: Floats) -> Floats:
    """One-bit adders of a tree of ripple adders over ``inputs`` numbers of ``bits``: each level one bit wider."""
    depth = np.ceil(np.log2(np.maximum(inputs, 2)))
    adders: Floats = np.maximum(inputs * (bits + 1) - (bits + depth + 1), 0)
    return adders


def tree_delay(inputs: Floats, bits: Floats) -> Floats:
    """ns through a tree of adders, from the product of a cell to the sum."""
    depth = np.log2(np.maximum(inputs, 2))
    delay: Floats = constant("logic.adder_delay") * (1 + depth + 0.5 * bits)
    return delay


def adder_delay(operands: Floats) -> Floats:
    """ns of weighing and adding the sums of several input bits; nothing for one."""
    delay: Floats = constant("logic.adder_delay") * np.log2(np.maximum(operands, 1))
    return delay
