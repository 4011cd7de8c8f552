"""What architects ask of a chip besides its costs: power, its density, efficiencies, bandwidth needed, floor plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cimbo.hardware.cost_model import one_circuit
from cimbo.hardware.macro import invocation_pj
from cimbo.hardware.memories import dram_gb_s
from cimbo.hardware.one_run import simulate
from cimbo.workloads.layers import Workload

DENSEST_W_MM2 = 0.5
"""Power density in W/mm2 above which air and a heat sink do not cool a chip; assumed, a usual limit of edge chips."""


@dataclass(frozen=True)
class FiguresOfMerit:
    """Figures of merit of one network on one chip.

    TOPS are tera-operations a second, two operations a multiply-accumulate of ``weight_bits`` x
    ``act_bits``. "Delivered" means: while the network runs, over the time between two results.

    Attributes:
        power_w: Energy of a run over the time between two results.
        w_per_mm2: ``power_w`` over the area of the chip.
        tops: TOPS delivered.
        tops_per_w: TOPS delivered per watt of the chip and its DRAM.
        tops_per_mm2: TOPS delivered per area of the chip.
        macro_tops_per_w: TOPS per watt of one macro alone at full use, at the chip's activity.
        macro_tops_per_mm2: TOPS per area of one macro alone at full use.
        dram_gb_s_needed: DRAM traffic of a run over the time between two results.
        dram_gb_s: Bandwidth of all DRAM channels.
        utilisation: Multiply-accumulates of a run over those that the chip could do in that time.
        macro_height_mm: Area of a macro over its width.
        macro_width_mm: Assumed width of a macro: that of a rectangle of its area whose width is to its height
            as columns are to the mean of rows and columns. No layout is drawn.
        notes: Sentences on what makes the chip hard to build or cool; empty where there is nothing.
    """

    power_w: float
    w_per_mm2: float
    tops: float
    tops_per_w: float
    tops_per_mm2: float
    macro_tops_per_w: float
    macro_tops_per_mm2: float
    dram_gb_s_needed: float
    dram_gb_s: float
    utilisation: float
    macro_height_mm: float
    macro_width_mm: float
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Write the figures for JSON.

        Returns:
            Every attribute by name, the notes as a list.
        """
        return asdict(self) | {"notes": list(self.notes)}


def figures_of_merit(workload: Workload, chip: Mapping[str, Any]) -> FiguresOfMerit:
    """Derive the figures of merit of a network on a chip from one simulation.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        The figures.

    Raises:
        BadInput: Where the genes describe no chip, naming the gene.
    """
    cost, circuit = simulate(workload, chip), one_circuit(chip)
    table, geometry = circuit.table, circuit.macro.geometry
    seconds, joules = cost["interval_ms"] * 1e-3, cost["energy_uj"] * 1e-6
    tops = 2e-12 * workload.macs / seconds
    area = cost["area_mm2"]
    macro_mm2 = sum(float(values[0]) for values in circuit.macro.areas.values()) * 1e-6
    # Steps in which a macro multiplies all its weights once: the bits of an input, the columns that
    # share a converter and the groups of rows that are on at once follow one another.
    steps = float(geometry.input_steps[0] * geometry.share[0])
    steps *= float(np.ceil(table.rows[0] / table.rows_active[0]))
    macro_macs = float(table.rows[0] * geometry.weight_columns[0])
    macro_pj = float(invocation_pj(circuit.macro, table)[0]) * steps
    macro_ns = steps * float(circuit.clock_ns[0])
    pj_per_dram_bit = float(circuit.energies["dram_energy"][0])
    dram_bits = cost["energy_parts_uj"]["dram"] * 1e6 / pj_per_dram_bit
    width = float(np.sqrt(2 * macro_mm2 * table.cols[0] / (table.cols[0] + table.rows[0])))
    return FiguresOfMerit(
        power_w=joules / seconds,
        w_per_mm2=joules / seconds / area,
        tops=tops,
        tops_per_w=2e-12 * workload.macs / joules,
        tops_per_mm2=tops / area,
        macro_tops_per_w=2 * macro_macs / macro_pj,  # operations a pJ are TOPS/W
        macro_tops_per_mm2=2e-3 * macro_macs / macro_ns / macro_mm2,
        dram_gb_s_needed=dram_bits / 8e9 / seconds,
        dram_gb_s=float(dram_gb_s(table)[0]),
        utilisation=cost["utilisation"],
        macro_height_mm=macro_mm2 / width,
        macro_width_mm=width,
        notes=_notes(joules / seconds / area, float(geometry.pitch_stack[0]), cost),
    )


def _notes(w_per_mm2: float, pitch_stack: float, cost: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences on what makes a chip hard to build or cool.

    Args:
        w_per_mm2: Power density.
        pitch_stack: How many times wider a converter is than its columns, rounded up.
        cost: The chip's simulation.

    Returns:
        The sentences; none where there is nothing to say.
    """
    notes = []
    if w_per_mm2 > DENSEST_W_MM2:
        notes.append(
            f"{w_per_mm2:.2g} W/mm2 need more than air: the limit taken is {DENSEST_W_MM2}"
        )
    if pitch_stack > 1:
        notes.append(
            f"converters are wider than the columns they serve and stand {pitch_stack:.0f} deep"
        )
    if cost["area_parts_mm2"]["dram_interface"] > 0.5 * cost["area_mm2"]:
        notes.append("more than half of the chip is DRAM interface")
    return tuple(notes)
