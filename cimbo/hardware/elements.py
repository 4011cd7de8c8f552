"""Area, switched capacitance and delay of a macro's elements: the laws that ``circuit`` sums for whole arrays, one by one.

A published macro is a list of these (data/silicon); the gates a bit and the converter laws are those of the performance
model, so its constants are what the comparison tests. All figures at 28 nm: um2, fF, ns.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cimbo.errors import BadInput
from cimbo.hardware.technology import constant


class Element(NamedTuple):
    """Figures of one element: ``area`` in um2, ``capacitance`` switched an operation in fF, ``delay`` in ns.

    ``is_converter``: its area scales with the node as converters' areas do.
    """

    area: float
    capacitance: float
    delay: float
    is_converter: bool = False


def _gate(name: str) -> tuple[float, float]:
    return constant(f"logic.{name}_area"), constant(f"logic.{name}_capacitance")


def _one_bit_adder() -> tuple[float, float]:
    nand, xor = _gate("nand"), _gate("xor")
    return 3 * nand[0] + 2 * xor[0], 3 * nand[1] + 2 * xor[1]


def to_sum() -> float:
    """ns from an adder's input to its sum: two XOR gates."""
    return 2 * constant("logic.xor_delay")


def ripple() -> float:
    """ns of a carry through one bit: two NAND gates."""
    return 2 * constant("logic.nand_delay")


def _to_carry() -> float:
    return constant("logic.xor_delay") + ripple()


def multiplier(bits: float) -> Element:
    """One input bit times a weight of ``bits``: a gate a bit, of which only the input's half switches."""
    area, capacitance = _gate("nand")
    return Element(area * bits, capacitance / 2 * bits, constant("logic.nand_delay"))


def adder(bits: float, first_late: float = 1) -> Element:
    """A ripple adder. ``first_late``: the lowest bit that waits for the operands; bits above it wait for the carry.

    An accumulator's operands arrive bit by bit from a ripple stage before it, so only the bits above theirs, ``first_late``
    to ``bits``, add to the delay; with first_late = 1 the whole carry chain does.
    """
    area, capacitance = _one_bit_adder()
    chain = (
        _to_carry() + (bits - 1) * ripple()
        if first_late == 1
        else to_sum() + (bits - first_late) * ripple()
    )
    return Element(area * bits, capacitance * bits, chain)


def tree(inputs: float, bits: float) -> Element:
    """A tree of ripple adders over ``inputs`` numbers of ``bits``: each level one bit wider."""
    depth = math.ceil(math.log2(inputs))
    adders = inputs * (bits + 1) - (bits + depth + 1)
    area, capacitance = _one_bit_adder()
    delay = (depth - 1) * to_sum() + _to_carry() + (bits + depth - 2) * ripple()
    return Element(area * adders, capacitance * adders, delay)


def register(bits: float) -> Element:
    """Flip-flops, one a bit; their delay is in the stages' margins."""
    area, capacitance = _gate("flipflop")
    return Element(area * bits, capacitance * bits, 0.0)


def adc(bits: float, inputs: float) -> Element:
    """A converter of ``bits`` at a bit line with ``inputs`` cells."""
    area = 10 ** (constant("adc.area_slope") * bits + constant("adc.area_offset")) * 2**bits
    capacitance = (
        constant("adc.energy_linear") * bits + constant("adc.energy_exponential") * 4**bits
    )
    return Element(
        area,
        capacitance,
        bits * (constant("adc.delay_row") * inputs + constant("adc.delay_bit")),
        True,
    )


def dac(bits: float) -> Element:
    """An input converter, ready before the cycle that uses it."""
    return Element(constant("dac.area") * bits, constant("dac.energy") * bits, 0.0, True)


def cells(bits: float) -> Element:
    """Stored weights with the periphery of their bank; reading them once for many vectors costs next to nothing."""
    return Element(constant("sram_cell.bank_area") * bits, 0.0, 0.0)


def line(cells_on_it: float) -> Element:
    """A bit, word or enable line: the capacitance of each cell on it."""
    return Element(0.0, constant("logic.bitline_capacitance") * cells_on_it, 0.0)


ELEMENTS: dict[str, Callable[..., Element]] = {
    "multiplier": multiplier,
    "adder": adder,
    "tree": tree,
    "register": register,
    "adc": adc,
    "dac": dac,
    "cells": cells,
    "line": line,
}
_OWN = frozenset(("name", "kind", "count", "switching", "virtual"))


def element(where: str, part: Mapping[str, Any]) -> Element:
    """The element that ``part`` describes: ``kind`` and that kind's sizes. Raises BadInput naming ``where`` and the part."""
    place = f"{where}: part {part.get('name', '?')}"
    for field in ("name", "kind", "count"):
        if field not in part:
            raise BadInput(place, f"has no {field}", "every part needs name, kind and count")
    if part["kind"] not in ELEMENTS:
        raise BadInput(
            place, f"kind {part['kind']!r} is unknown", f"use one of {', '.join(ELEMENTS)}"
        )
    try:
        return ELEMENTS[part["kind"]](
            **{name: value for name, value in part.items() if name not in _OWN}
        )
    except TypeError as error:
        raise BadInput(
            place, f"is no proper {part['kind']} ({error})", "see cimbo/hardware/elements.py"
        ) from None
