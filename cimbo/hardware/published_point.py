"""One published chip as genes of the space, with the figures that its paper reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNUSED_GENES = {
    "pes": 1,
    "macros_per_pe": 1,
    "planes": 1,
    "buffer_mb": 1,
    "buffer_gb_s": 1,
    "dram_channels": 1,
    # The table does not say at which data energies were measured: half of the input bits are
    # taken to be one, as of random data.
    "activity": 0.5,
}


@dataclass(frozen=True)
class PublishedPoint:
    """One operating point of a published chip.

    Attributes:
        line: Line of the table, the header being the first.
        index: The chip's number in the table; operating points of one chip share it.
        title: Of the paper.
        group: sram, digital or envm.
        genes: The chip as genes of the space; empty where it is not expressible.
        reason: Why it is not expressible, else None.
        is_processor: Whether area and energy include more than macros.
        reported: Reported area (mm2 of one macro), cycle (ns) and energy (pJ), of one invocation; those stated.
    """

    line: int
    index: str
    title: str
    group: str | None
    genes: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    is_processor: bool = False
    reported: Mapping[str, float] = field(default_factory=dict)
