"""The records of a schedule: cycles and traffic of every layer, and a lower and an upper schedule.

A *row* is one distinct layer shape of one (network, chip) pair; arrays have one element a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import Bools, Floats, Indices

BOUND_NAMES = ("compute", "weight load", "DRAM", "buffer", "NoC", "vector")


@dataclass(frozen=True)
class Schedule:
    """A schedule of each row, each column of shape (rows,); a cycle is one of the arrays.

    Attributes:
        cycles: Cycles that the layer takes with everything that it waits for.
        compute: Cycles that the arrays alone would take.
        load: Cycles that loading weights alone would take.
        dram: Cycles that moving activations to and from the DRAM alone would take.
        buffer: Cycles that reads and writes of the buffer alone would take.
        noc: Cycles that the network between processing elements alone would take.
        vector: Cycles that the vector unit alone would take.
        copies: Copies of the layer's tiles at work.
        loaded_bits: Bits of weights or run-time operands in one load.
        loads: How often they are loaded.
        io_bits: Bits of activations that cross the DRAM.
        read_bits: Bits of inputs read from the buffer.
        partial_sum_bits: Bits of partial sums that wait in the buffer.
        moved_bits: Bits that cross the NoC.
        edram_bits: Bits of the cache to and from the embedded DRAM.
        is_bound: Whether partial sums may not fit the buffer, so that the two schedules of an ``Interval`` differ.
        on_unit: Whether the product is computed by the vector unit.
    """

    cycles: Floats
    compute: Floats
    load: Floats
    dram: Floats
    buffer: Floats
    noc: Floats
    vector: Floats
    copies: Floats
    loaded_bits: Floats
    loads: Floats
    io_bits: Floats
    read_bits: Floats
    partial_sum_bits: Floats
    moved_bits: Floats
    edram_bits: Floats
    is_bound: Bools
    on_unit: Bools

    def bottlenecks(self) -> Indices:
        """Find what takes longest in each row.

        Returns:
            Indices into BOUND_NAMES, (rows,).
        """
        times = [self.compute, self.load, self.dram, self.buffer, self.noc, self.vector]
        slowest: Indices = np.stack(times).argmax(axis=0)
        return slowest


@dataclass(frozen=True)
class Interval:
    """Two schedules of each row, between which the best one lies.

    They differ only where inputs and partial sums do not fit the buffer together.

    Attributes:
        low: A lower bound: costs as if inputs and partial sums fitted the buffer.
        high: A schedule that the chip can run: sums go to the DRAM and back, or weights are loaded
            again for every part of the inputs.
    """

    low: Schedule
    high: Schedule
