"""A whole chip: its macros, buffer, network, vector unit and DRAM channels. No neural network is involved.

Arrays have their own cycle (:mod:`cimbo.hardware.macro`); buffer, network between processing elements and vector unit run
at the digital clock. A schedule counts in cycles of the arrays, so bandwidths come out here as bits a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cimbo.hardware.chip_table import ChipTable
from cimbo.hardware.events import EVENT_FIELDS
from cimbo.hardware.geometry import DIFFERENTIAL_INDEX, built_tree_bits
from cimbo.hardware.kv_cache import BUFFER_SHARE, CACHE_PLACES
from cimbo.hardware.macro import MACRO_AREA_PARTS, MacroCircuit, macro_circuit
from cimbo.hardware.memories import (
    buffer_laws,
    channel_groups,
    dram_gb_s,
    interface_mm2,
    of_dram,
)
from cimbo.hardware.pipeline_words import EXECUTION_MODES
from cimbo.hardware.rows import CHIP_FIELDS, ChipRows, Floats, Indices, select
from cimbo.hardware.technology import constant, scale, slowdown

UM2_TO_MM2 = 1e-6  # um2 -> mm2
BITS_PER_MB = 2.0**23
BITS_PER_BYTE = 8.0  # of a byte: GB/s x ns x 8 is bits
AREA_PARTS = (
    *MACRO_AREA_PARTS,
    "partial_sums",
    "buffer",
    "edram",
    "noc",
    "vector",
    "clock",
    "dram_interface",
)


@dataclass(frozen=True)
class Circuit:
    """Figures of n chips, each column (n,).

    Attributes:
        table: Genes of the chips.
        macro: Figures of one macro of each chip.
        macros: Number of macros of a chip.
        clock_ns: One cycle of the arrays.
        peak_macs: Multiply-accumulates a cycle, of arrays and vector unit.
        capacity_tiles: Tiles of weights that fit at once.
        area_parts: mm2 by part (AREA_PARTS).
        area_mm2: Area of the chip, the sum of its parts.
        energies: pJ an event, by name.
        leakage_mw: Leakage of the chip, and power of its DRAM while that is idle.
        event_pj: Energy of each event, in the order of ``events.EVENT_FIELDS``, (events, n).
        chip_columns: The fields of ``ChipRows``, in order, (len(CHIP_FIELDS), n).
    """

    table: ChipTable
    macro: MacroCircuit
    macros: Floats
    clock_ns: Floats
    peak_macs: Floats
    capacity_tiles: Floats
    area_parts: dict[str, Floats]
    area_mm2: Floats
    energies: dict[str, Floats]
    leakage_mw: Floats
    event_pj: Floats
    chip_columns: Floats

    @property
    def cells_per_weight(self) -> Floats:
        """Columns of a weight, (n,)."""
        return self.macro.geometry.cells_per_weight

    @property
    def per_cycle(self) -> ChipRows:
        """``chip_columns`` by name, (n,): sizes, and bandwidths in bits a cycle of the arrays."""
        return ChipRows.from_columns(self.chip_columns)

    def select(self, where: slice | Indices) -> Circuit:
        """Take some of the chips.

        Args:
            where: Their positions, as a slice or as indices.

        Returns:
            The same columns of those chips, in that order.
        """
        geometry = select(self.macro.geometry, where)
        macro = replace(
            select(self.macro, where),
            geometry=geometry,
            areas=_chosen(self.macro.areas, where),
            energies=_chosen(self.macro.energies, where),
        )
        return replace(
            select(self, where),
            table=self.table.select(where),
            macro=macro,
            area_parts=_chosen(self.area_parts, where),
            energies=_chosen(self.energies, where),
        )


def _chosen(columns: dict[str, Floats], where: slice | Indices) -> dict[str, Floats]:
    return {name: values[where] for name, values in columns.items()}


def circuit(table: ChipTable) -> Circuit:
    """Work out the areas, energies, leakage and speeds of whole chips.

    Args:
        table: Genes of the chips, (n,).

    Returns:
        Areas, energies, leakage and what schedules depend on, (n,).
    """
    macro = macro_circuit(table)
    macros = table.macros_per_pe * table.pes
    area_parts = _areas(table, macro, macros)
    area = np.sum(list(area_parts.values()), axis=0)
    # The vector unit has the digital clock: its operations in one cycle of the arrays.
    lanes = table.vector_lanes * table.clock_ghz * macro.cycle_ns
    energies = _energies(table, macro, area)
    geometry = macro.geometry
    steps = geometry.input_steps * geometry.share * np.ceil(table.rows / table.rows_active)
    peak = macros * table.rows * geometry.weight_columns / steps + lanes
    return Circuit(
        table=table,
        macro=macro,
        macros=macros,
        clock_ns=macro.cycle_ns,
        peak_macs=peak,
        # More planes mean more cells, but not more logic: a plane is written while
        # another one computes.
        capacity_tiles=macros * table.planes,
        area_parts=area_parts,
        area_mm2=area,
        energies=energies,
        event_pj=_event_pj(energies, area.shape),
        leakage_mw=_leakage(table, macro, macros),
        chip_columns=_chip_columns(table, macro, lanes),
    )


ENERGY_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "adc": (("conversions", "conversion_energy"),),
    "dac": (("drives", "drive_energy"),),
    "array": (
        ("drives", "row_energy"),
        ("cells_switched", "cell_energy"),
        ("conversions", "bitline_energy"),
    ),
    "control": (("activations", "array_energy"),),
    "adders": (
        ("full_adders", "adder_energy"),
        ("half_adders", "half_adder_energy"),
        ("shifts", "shift_energy"),
    ),
    "accumulators": (("accumulated", "accumulator_energy"), ("summed", "partial_sum_energy")),
    "weight_write": (("written", "write_energy"),),
    "buffer": (("read", "read_energy"), ("stored", "store_energy")),
    "noc": (("moved", "noc_energy"),),
    "vector": (("ops", "op_energy"), ("macs", "mac_energy")),
    "dram": (("dram", "dram_energy"),),
    "edram": (("edram", "edram_energy"),),
}
"""Which events, at which of the chip's energies an event, make up each part; leakage x time is one part more."""


def _event_pj(energies: dict[str, Floats], shape: tuple[int, ...]) -> Floats:
    """Energy of each event with all that it causes (see ENERGY_PARTS), in pJ, (events, n)."""
    event_pj = {event: np.zeros(shape) for event in EVENT_FIELDS}
    for terms in ENERGY_PARTS.values():
        for event, energy in terms:
            event_pj[event] += energies[energy]
    return np.array([*event_pj.values()])


def _chip_columns(table: ChipTable, macro: MacroCircuit, lanes: Floats) -> Floats:
    """The fields of ``ChipRows``, in order, (fields, n): derived figures, or else the gene of that name."""
    geometry, cycle = macro.geometry, macro.cycle_ns
    macros = table.macros_per_pe * table.pes
    derived = {
        "weight_columns": geometry.weight_columns,
        "slices": geometry.slices,
        "macros": macros,
        "capacity_tiles": macros * table.planes,
        "pulses": geometry.input_steps,
        "share": geometry.share,
        "buffer_bits": table.buffer_mb * BITS_PER_MB,
        "buffer_bw": table.buffer_gb_s * cycle * BITS_PER_BYTE,
        "dram_bw": dram_gb_s(table) * cycle * BITS_PER_BYTE,
        "noc_bw": table.noc_gb_s * cycle * BITS_PER_BYTE,
        "vector_lanes": lanes,
        "row_write_cycles": np.ceil(macro.row_write_ns / cycle),
        "tree_bits": built_tree_bits(table),
        "is_differential": table.encoding == DIFFERENTIAL_INDEX,
        "kv_bits": np.where(table.kv_bits > 0, table.kv_bits, table.act_bits),
        "cache_bits": _cache_bits(table),
        "is_cache_in_buffer": table.kv_cache == CACHE_PLACES.index("buffer"),
        "is_pipelined": table.execution == EXECUTION_MODES.index("pipelined"),
        "edram_bw": table.edram_gb_s * cycle * BITS_PER_BYTE,
        "is_digital": geometry.is_digital,
        "is_rram": geometry.is_rram,
    }
    columns = []
    for name in CHIP_FIELDS:
        columns.append(derived[name] if name in derived else getattr(table, name))
    return np.array(columns, float)


def _cache_bits(table: ChipTable) -> Floats:
    """Bits that the chip has for the cache of keys and values, (n,)."""
    places = [table.kv_cache == CACHE_PLACES.index(name) for name in ("buffer", "edram")]
    sizes = [BUFFER_SHARE * table.buffer_mb, table.edram_mb]
    bits: Floats = np.select(places, sizes, 0.0) * BITS_PER_MB
    return bits


def _edram_mb(table: ChipTable) -> Floats:
    """Embedded DRAM of each chip, (n,): there is one where the cache lives in it."""
    size: Floats = np.where(table.kv_cache == CACHE_PLACES.index("edram"), table.edram_mb, 0)
    return size


def _datapath_effort(table: ChipTable) -> Floats:
    """How much larger and hungrier synthesised logic is for the clock that it has to meet, 1 for a slow one.

    Gates are sized up and pipelined as the clock nears what node and supply allow.

    Returns:
        (n,) the factor.
    """
    ease = scale("delay", table.node_nm) * slowdown(table.supply_v, table.node_nm)
    relative = table.clock_ghz / constant("digital.clock") * ease
    effort: Floats = 1 + constant("digital.clock_effort") * relative**2
    return effort


def _port_bits(table: ChipTable, gb_s: Floats) -> Floats:
    """Width of a link that carries ``gb_s`` at the digital clock."""
    bits: Floats = gb_s * BITS_PER_BYTE / table.clock_ghz
    return bits


def _areas(table: ChipTable, macro: MacroCircuit, macros: Floats) -> dict[str, Floats]:
    """Area of each part of a chip (AREA_PARTS) in mm2, (n,) each."""
    gates, effort = scale("area", table.node_nm), _datapath_effort(table)
    parts = {name: macros * macro.areas[name] * UM2_TO_MM2 for name in MACRO_AREA_PARTS}
    buffer_mm2 = buffer_laws(table.buffer_mb)[0]
    port = constant("buffer.port_area") * _port_bits(table, table.buffer_gb_s)
    router = constant("noc.router_area") * _port_bits(table, table.noc_gb_s)
    adder = constant("logic.adder_area") + constant("logic.flipflop_area")
    # Adders that sum up the macros of a processing element, one for each weight column that arrives at a time.
    summing = (
        adder
        * constant("noc.partial_sum")
        * (table.macros_per_pe - 1)
        * table.pes
        * np.ceil(macro.geometry.weight_columns / macro.geometry.share)
    )
    lanes = constant("vector.lane_area") * table.vector_lanes
    parts["partial_sums"] = gates * summing * UM2_TO_MM2
    parts["buffer"] = gates * (buffer_mm2 + port * effort * UM2_TO_MM2)
    parts["edram"] = gates * constant("edram.area") * _edram_mb(table)
    parts["noc"] = gates * router * table.pes * effort * UM2_TO_MM2
    parts["vector"] = gates * lanes * effort * UM2_TO_MM2
    # Clock tree and control of the digital circuits, as a share of the area that they serve.
    served = parts["buffer"] + parts["noc"] + parts["vector"] + parts["partial_sums"]
    parts["clock"] = constant("digital.control_share") * served
    parts["dram_interface"] = interface_mm2(table)
    return parts


def _energies(table: ChipTable, macro: MacroCircuit, area_mm2: Floats) -> dict[str, Floats]:
    """Energies in pJ an event, (n,) each: those of the macro, and those of what surrounds it."""
    relative = scale("energy", table.node_nm) * (table.supply_v / constant("logic.supply")) ** 2
    digital = relative * (1 + constant("digital.control_share")) * _datapath_effort(table)
    _, read, stored = buffer_laws(table.buffer_mb)
    distance_mm = 2 / 3 * np.sqrt(area_mm2)  # mean Manhattan distance of two points on a square
    adder = constant("logic.adder_capacitance") + constant("logic.flipflop_capacitance")
    volts2 = table.supply_v**2 * scale("energy", table.node_nm) * 1e-3
    return macro.energies | {
        "read_energy": read * digital,
        "store_energy": stored * digital,
        "noc_energy": constant("noc.energy") * digital * distance_mm,
        "op_energy": constant("vector.op_energy") * digital,
        "mac_energy": constant("vector.mac_energy") * digital,
        "partial_sum_energy": adder * constant("noc.partial_sum") * volts2 * table.activity,
        "dram_energy": of_dram(table, "energy"),
        "edram_energy": constant("edram.energy") * digital,
    }


def _leakage(table: ChipTable, macro: MacroCircuit, macros: Floats) -> Floats:
    """Leakage of each chip, and power of its DRAM while nothing is read or written, in mW (n,)."""
    relative = scale("energy", table.node_nm) * (table.supply_v / constant("logic.supply")) ** 2
    lanes = constant("vector.lane_area") * table.vector_lanes
    router = constant("noc.router_area") * _port_bits(table, table.noc_gb_s) * table.pes
    logic_um2 = macros * macro.leaking_um2 + (lanes + router) * _datapath_effort(table)
    cells = macros * table.planes * table.rows * table.cols * table.cell_bits
    # The RRAM family's own cells keep their state without a supply.
    bits = np.where(macro.geometry.is_rram & (table.cell == 0), 0, cells)
    milliwatts = (
        constant("logic.leakage") * logic_um2 * 1e-6
        + _held_mw(table, bits)
        + constant("buffer.leakage") * table.buffer_mb * 1e-3
        + constant("edram.refresh") * _edram_mb(table) * 1e-3
    )
    idle = of_dram(table, "idle") * channel_groups(table)
    leakage: Floats = milliwatts * relative * table.leakage_factor + idle
    return leakage


def _held_mw(table: ChipTable, bits: Floats) -> Floats:
    """Power that cells take to hold their state: leakage, and refresh of those that lose it.

    A cell with a retention time is rewritten once in that time.

    Args:
        table: The chips, (n,).
        bits: Bits that each chip's cells hold, (n,).

    Returns:
        mW at 28 nm, (n,).
    """
    usual = np.full(table.size, constant("sram_cell.leakage"))
    milliwatts = table.of_cell("leakage", usual) * bits * 1e-9
    if table.cell.any():
        none = np.zeros(table.size)
        retention = table.of_cell("retention", none)
        energy = table.of_cell("write_energy", none)
        rewrites_per_s = np.where(retention > 0, 1 / np.where(retention > 0, retention, 1), 0)
        milliwatts = milliwatts + energy * rewrites_per_s * bits * 1e-9
    return milliwatts
