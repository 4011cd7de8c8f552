"""What whoever builds a chip should be warned of, beside its costs: heat, wear, and arrays that no chip vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cimbo.hardware.array_description import CELL_FAMILIES
from cimbo.hardware.cells import OWN_CELL, Cell, cell
from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.cost_model import one_circuit
from cimbo.hardware.error_bars import spread_of
from cimbo.hardware.figures_of_merit import DENSEST_W_MM2

RESISTIVE_FAMILY = "rram"
"""The family of arrays whose cells keep their state without a supply, and wear out by being written."""


def chip_warnings(
    chip: Mapping[str, Any], costs: Mapping[str, Any], figures: Mapping[str, Any], batch: int
) -> list[str]:
    """Find what to warn of.

    Args:
        chip: Genes of one chip.
        costs: What cimbo's chip model says of a network on it, for a run of the whole batch.
        figures: The figures of merit of the two, by name.
        batch: Inferences of a run.

    Returns:
        Sentences; none where there is nothing.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    found = []
    if figures["w_per_mm2"] > DENSEST_W_MM2:
        density = f"{figures['w_per_mm2']:.2g} W/mm2 need more than air"
        found.append(f"{density}: the limit taken is {DENSEST_W_MM2} W/mm2")
    part = one_circuit(chip)
    if CELL_FAMILIES[int(part.table.array[0])] != RESISTIVE_FAMILY:
        return found
    spread = f"published chips spread x{spread_of(RESISTIVE_FAMILY).energy:.2g} around its energies"
    found.append(f"the model of resistive arrays is unvalidated: {spread}")
    named = _resistive_cell(chip)
    bits = costs["energy_parts_uj"]["weight_write"] * 1e6 / float(part.energies["write_energy"][0])
    endurance = named.figures.get("endurance", 0.0)
    if bits > 0 and endurance > 0:
        table = part.table
        cells = table.rows * table.cols * table.macros_per_pe * table.pes * table.planes
        writes = bits / float((cells * table.cell_bits)[0]) / batch
        found.append(
            f"cells are written at every inference, each {writes:.2g} times on average: the "
            f"{endurance:.0e} writes that {named.name} is assumed to endure last {endurance / writes:.2g} inferences"
        )
    return found


def _resistive_cell(chip: Mapping[str, Any]) -> Cell:
    """The chip's cell, or that of the family."""
    word = chip.get("cell", DEFAULT_GENES["cell"])
    named = cell(RESISTIVE_FAMILY if word == OWN_CELL else word)
    assert named is not None
    return named
