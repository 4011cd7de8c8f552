"""What a schedule of every layer consists of, and the interval of two schedules that the best one lies in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import Bools, Floats, Indices

BOUND_NAMES = ("compute", "weight load", "DRAM", "buffer", "NoC", "vector")


@dataclass(frozen=True)
class Schedule:
    """A schedule of each row, each column of shape (rows,); cycles are the arrays' own.

    Attributes:
        cycles: Cycles of the layer.
        compute: Of the arrays alone.
        load: Of loading weights.
        dram: Of activations to and from the DRAM.
        buffer: Of the buffer.
        noc: Of the network between processing elements.
        vector: Of the vector unit.
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
            Indices into BOUNDS, (rows,).
        """
        times = [self.compute, self.load, self.dram, self.buffer, self.noc, self.vector]
        slowest: Indices = np.argmax(np.stack(times), axis=0)
        return slowest


@dataclass(frozen=True)
class Interval:
    """Two schedules of each row, between which the best one lies.

    Where inputs and partial sums do not fit the buffer together, the low one lets them fit all the same; the high one is
    a schedule that exists, in which sums go to the DRAM and back, or weights come again for every part of the inputs.
    Elsewhere both are one.
    """

    low: Schedule
    high: Schedule
