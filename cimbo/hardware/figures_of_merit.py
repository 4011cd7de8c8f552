"""What architects ask of a chip besides its costs: power, its density, efficiencies, bandwidth needed, floor plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cimbo.hardware.circuit import dram_gb_s
from cimbo.hardware.cost_model import one_circuit
from cimbo.hardware.macro import invocation_pj
from cimbo.hardware.one_run import simulate
from cimbo.workloads.layers import Workload

DENSEST_W_MM2 = 0.5
"""Power a mm2 beyond which a chip needs more than air and a heat sink; assumed, a usual limit of mobile and edge chips."""


@dataclass(frozen=True)
class FiguresOfMerit:
    """Of one network on one chip, two operations a multiply-accumulate of ``weight_bits`` x ``act_bits``.

    Attributes:
        power_w: Energy of a run over the time between two results.
        w_per_mm2: The same over area.
        tops: Delivered.
        tops_per_w: Delivered, of the chip with its DRAM.
        tops_per_mm2: Delivered, of the chip.
        macro_tops_per_w: Of a macro alone at full use and the chip's activity.
        macro_tops_per_mm2: Of a macro alone at full use.
        dram_gb_s_needed: Traffic of a run over that time.
        dram_gb_s: Of the channels.
        utilisation: Multiply-accumulates over what the chip could do in that time.
        macro_height_mm: Area of a macro over its width.
        macro_width_mm: Assumed width of a macro: that of a rectangle of its area whose width is to its height
            as columns are to the mean of rows and columns. No layout is drawn.
        notes: What a floor plan would stumble over, in sentences; empty where nothing.
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
    """Derives them from one simulation.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        The figures.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    cost, part = simulate(workload, chip), one_circuit(chip)
    table, geometry = part.table, part.macro.geometry
    seconds, joules = cost["interval_ms"] * 1e-3, cost["energy_uj"] * 1e-6
    tops = 2e-12 * workload.macs / seconds
    area = cost["area_mm2"]
    macro_mm2 = sum(float(values[0]) for values in part.macro.areas.values()) * 1e-6
    steps = float(geometry.input_steps[0] * geometry.share[0])
    steps *= float(np.ceil(table.rows[0] / table.rows_active[0]))
    macs = float(table.rows[0] * geometry.weight_columns[0])
    macro_pj = float(invocation_pj(part.macro, table)[0]) * steps
    macro_ns = steps * float(part.clock_ns[0])
    dram_pj = float(part.energies["dram_energy"][0])
    dram_bits = cost["energy_parts_uj"]["dram"] * 1e6 / dram_pj
    width = float(np.sqrt(2 * macro_mm2 * table.cols[0] / (table.cols[0] + table.rows[0])))
    return FiguresOfMerit(
        power_w=joules / seconds,
        w_per_mm2=joules / seconds / area,
        tops=tops,
        tops_per_w=2e-12 * workload.macs / joules,
        tops_per_mm2=tops / area,
        macro_tops_per_w=2 * macs / macro_pj,
        macro_tops_per_mm2=2e-3 * macs / macro_ns / macro_mm2,
        dram_gb_s_needed=dram_bits / 8e9 / seconds,
        dram_gb_s=float(dram_gb_s(table)[0]),
        utilisation=cost["utilisation"],
        macro_height_mm=macro_mm2 / width,
        macro_width_mm=width,
        notes=_notes(joules / seconds / area, float(geometry.pitch_stack[0]), cost),
    )


def _notes(w_per_mm2: float, stacked: float, cost: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if w_per_mm2 > DENSEST_W_MM2:
        notes.append(
            f"{w_per_mm2:.2g} W/mm2 need more than air: the limit taken is {DENSEST_W_MM2}"
        )
    if stacked > 1:
        notes.append(
            f"converters are wider than the columns they serve and stand {stacked:.0f} deep"
        )
    parts = cost["area_parts_mm2"]
    if parts["dram_interface"] > 0.5 * cost["area_mm2"]:
        notes.append("more than half of the chip is DRAM interface")
    return tuple(notes)
