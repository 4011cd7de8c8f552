"""Laws of a chip's memories: DRAM channels with their interfaces, and the SRAM buffer.

Every array has shape (n,), one element a chip; constants stand in data/constants.toml.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from cimbo.hardware.chip_table import ChipTable
from cimbo.hardware.rows import Floats
from cimbo.hardware.technology import DRAM_KINDS, constant


def of_dram(table: ChipTable, quantity: str) -> Floats:
    """Look up a constant of the kind of DRAM that each chip has.

    Args:
        table: The chips, (n,).
        quantity: Name of the constant in the kinds' sections of data/constants.toml.

    Returns:
        Values, (n,).
    """
    values = np.array([constant(f"dram_{kind}.{quantity}") for kind in DRAM_KINDS], float)
    return values[table.dram]


def channel_gb_s(kind: str) -> float:
    """Look up the bandwidth of one DRAM channel.

    Args:
        kind: One of ``DRAM_KINDS``.

    Returns:
        GB/s.

    Raises:
        KeyError: For a kind that is unknown.
    """
    return float(constant(f"dram_{kind}.bandwidth"))


def dram_gb_s(table: ChipTable) -> Floats:
    """Work out the bandwidth of all DRAM channels together.

    Args:
        table: The chips, (n,).

    Returns:
        GB/s of each chip, (n,).
    """
    return of_dram(table, "bandwidth") * table.dram_channels


def channel_groups(table: ChipTable) -> Floats:
    """Count the DRAM interfaces (PHYs) of each chip: one for each channel, or for each stack of channels.

    Args:
        table: The chips, (n,).

    Returns:
        Interfaces, (n,).
    """
    groups: Floats = np.ceil(table.dram_channels / of_dram(table, "channels"))
    return groups


def interface_mm2(table: ChipTable) -> Floats:
    """Work out the area of each chip's DRAM interfaces and controllers.

    A fraction of a channel stands for one at a lower data rate, which takes as much area as any.

    Args:
        table: The chips, (n,).

    Returns:
        mm2, (n,).
    """
    phys = of_dram(table, "interface_area") * channel_groups(table)
    area: Floats = phys + of_dram(table, "controller_area") * np.ceil(table.dram_channels)
    return area


@cache
def _log_buffer() -> tuple[Floats, Floats, Floats]:
    """Logarithms of sizes, (k,), and of area and energies, (3, k), of buffers; slopes between them, (3, k - 1)."""
    sizes = np.log(constant("buffer.kilobytes"))
    quantities = ("area", "read_energy", "write_energy")
    values = np.log([constant(f"buffer.{quantity}") for quantity in quantities])
    return sizes, values, np.diff(values) / np.diff(sizes)


def buffer_laws(megabytes: Floats) -> Floats:
    """Interpolate area and energies of SRAM buffers at 28 nm.

    Piecewise linear in logarithms between the sizes of the constants file; beyond them the first and
    the last piece go on.

    Args:
        megabytes: Sizes of the buffers, (n,).

    Returns:
        Area in mm2, read energy and write energy in pJ a bit, (3, n).
    """
    sizes, values, slope = _log_buffer()
    log_size = np.log(megabytes * 1024)
    segment = np.clip(np.searchsorted(sizes, log_size) - 1, 0, slope.shape[1] - 1)
    laws: Floats = np.exp(values[:, segment] + slope[:, segment] * (log_size - sizes[segment]))
    return laws
