"""Attention's products on the vector unit, which computes them wherever it is faster than the arrays, or alone may."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.array_description import holds_attention
from cimbo.hardware.rows import Floats
from cimbo.hardware.schedule_table import Schedule
from cimbo.hardware.tiling import Tiling


@dataclass(frozen=True)
class UnitWork:
    """Attention's products on the vector unit instead of the arrays, (rows,) each; other rows take for ever."""

    cycles: Floats
    vector: Floats
    buffer: Floats
    dram: Floats
    io_bits: Floats
    read_bits: Floats
    edram_bits: Floats


def vector_unit_work(tiling: Tiling) -> UnitWork:
    """Work out what attention's products cost on the vector unit: one multiply-accumulate a lane and cycle.

    Lanes form a square, so that each operand fetched serves sqrt(lanes) of them, if it is used so often: with few vectors, as
    where tokens are generated one by one, every operand is read once all the same.

    Args:
        tiling: The tiles, columns of shape (rows,).

    Returns:
        The work of each row; rows that are no such product take for ever.
    """
    layers, chip, cache = tiling.layers, tiling.chip, tiling.cache
    macs = layers.macs
    if cache is None:
        operands = tiling.weight_bits
    else:
        operands = cache.operand_bits
    read = 2 * macs * tiling.precision.act_bits / np.sqrt(chip.vector_lanes)
    read = np.maximum(read, operands + tiling.input_bits)
    vector = (macs + layers.vector_ops) / chip.vector_lanes
    buffer = (read + tiling.output_bits) / chip.buffer_bw
    io_bits, edram_bits = tiling.spills * tiling.working_set_bits, np.zeros(macs.shape)
    if cache is not None:
        io_bits = io_bits + cache.dram_read + cache.dram_written
        edram_bits = cache.edram_read + cache.edram_written
    dram = io_bits / chip.dram_bw
    outside = np.maximum(dram, edram_bits / chip.edram_bw)
    cycles = np.maximum(np.maximum(vector, buffer), outside)
    cycles = np.where(layers.is_dynamic, cycles, np.inf)
    return UnitWork(cycles, vector, buffer, dram, io_bits, read, edram_bits)


def with_vector_unit(
    tiling: Tiling, either: tuple[Schedule, UnitWork], available: Floats
) -> Schedule:
    """Send attention's products to the vector unit wherever that is faster, and where arrays may not compute them.

    ZigZag knows no such unit: counted as it counts, arrays compute them.

    Args:
        tiling: The tiles, columns of shape (rows,).
        either: The schedule on arrays, and the work on the unit.
        available: Macros that are free for the products, (rows,).

    Returns:
        The schedule with the faster of the two in each row.
    """
    arrays, unit = either
    may = holds_attention(tiling.chip.is_digital) | tiling.has_zigzag_counting
    cannot = ~may | tiling.chip.is_rram | (available < 1)
    on_unit = (unit.cycles < arrays.cycles) | tiling.layers.is_dynamic & cannot
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
