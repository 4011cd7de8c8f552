"""Attention's products on the vector unit, which computes them where it is faster than the arrays.

It also computes them where the arrays cannot: an analog or resistive array takes no operand that
changes at run time. A *row* is one distinct layer shape of one (network, chip) pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.array_description import holds_attention
from cimbo.hardware.rows import Floats
from cimbo.hardware.schedule_table import Schedule
from cimbo.hardware.tiling import Tiling


@dataclass(frozen=True)
class UnitWork:
    """Costs of attention's products if the vector unit computes them, each column of shape (rows,).

    Attributes:
        cycles: Cycles of the layer; infinite for rows that are no product of attention.
        vector: Cycles of the vector unit alone.
        buffer: Cycles of the buffer alone.
        dram: Cycles of the DRAM alone.
        io_bits: Bits over the DRAM.
        read_bits: Bits read from the buffer.
        edram_bits: Bits to and from the embedded DRAM.
    """

    cycles: Floats
    vector: Floats
    buffer: Floats
    dram: Floats
    io_bits: Floats
    read_bits: Floats
    edram_bits: Floats


def vector_unit_work(tiling: Tiling) -> UnitWork:
    """Work out what attention's products cost on the vector unit.

    Each lane does one multiply-accumulate a cycle. Lanes form a square, so that each of the two
    operands that is fetched serves sqrt(lanes) of them. But every operand is read at least once,
    which counts where there are few vectors, as when tokens are generated one by one.

    Args:
        tiling: The tiles, columns of shape (rows,).

    Returns:
        The costs of each row; cycles are infinite for rows that are no such product.
    """
    layers, chip, cache = tiling.layers, tiling.chip, tiling.cache
    macs = layers.macs
    if cache is None:
        operands = tiling.weight_bits
    else:
        operands = cache.operand_bits
    read_shared = 2 * macs * tiling.precision.act_bits / np.sqrt(chip.vector_lanes)
    read_bits = np.maximum(read_shared, operands + tiling.input_bits)
    vector = (macs + layers.vector_ops) / chip.vector_lanes
    buffer = (read_bits + tiling.output_bits) / chip.buffer_bw
    io_bits, edram_bits = tiling.spills * tiling.working_set_bits, np.zeros(macs.shape)
    if cache is not None:
        io_bits = io_bits + cache.dram_read + cache.dram_written
        edram_bits = cache.edram_read + cache.edram_written
    dram = io_bits / chip.dram_bw
    # Vector unit, buffer and both memories work side by side: the slowest of them counts.
    memories = np.maximum(dram, edram_bits / chip.edram_bw)
    slowest = np.maximum(np.maximum(vector, buffer), memories)
    cycles = np.where(layers.is_dynamic, slowest, np.inf)
    return UnitWork(cycles, vector, buffer, dram, io_bits, read_bits, edram_bits)


def with_vector_unit(
    tiling: Tiling, either: tuple[Schedule, UnitWork], available: Floats
) -> Schedule:
    """Send attention's products to the vector unit where that is faster or arrays cannot compute them.

    Args:
        tiling: The tiles, columns of shape (rows,).
        either: The schedule on the arrays, and the same products on the vector unit.
        available: Macros that are free for the products, (rows,).

    Returns:
        The schedule with each row on the arrays or on the vector unit.
    """
    arrays, unit = either
    # ZigZag knows no vector unit, so with its way of counting any kind of array takes the products.
    is_counted_as_zigzag = tiling.chip.zigzag_counting > 0
    array_may_hold = holds_attention(tiling.chip.is_digital) | is_counted_as_zigzag
    arrays_cannot = ~array_may_hold | tiling.chip.is_rram | (available < 1)
    on_unit = (unit.cycles < arrays.cycles) | (tiling.layers.is_dynamic & arrays_cannot)
    return Schedule(
        cycles=np.where(on_unit, unit.cycles, arrays.cycles),
        compute=np.where(on_unit, 0, arrays.compute),
        load=np.where(on_unit, 0, arrays.load),
        dram=np.where(on_unit, unit.dram, arrays.dram),
        buffer=np.where(on_unit, unit.buffer, arrays.buffer),
        noc=np.where(on_unit, 0, arrays.noc),
        vector=np.where(on_unit, unit.vector, arrays.vector),
        copies=arrays.copies,
        loaded_bits=np.where(on_unit, 0, arrays.loaded_bits),
        loads=arrays.loads,
        io_bits=np.where(on_unit, unit.io_bits, arrays.io_bits),
        read_bits=np.where(on_unit, unit.read_bits, arrays.read_bits),
        partial_sum_bits=arrays.partial_sum_bits,
        moved_bits=np.where(on_unit, 0, arrays.moved_bits),
        edram_bits=np.where(on_unit, unit.edram_bits, arrays.edram_bits),
        is_bound=arrays.is_bound & ~on_unit,
        on_unit=on_unit,
    )
