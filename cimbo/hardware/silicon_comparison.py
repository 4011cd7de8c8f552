"""What the performance model says of published chips, beside what they report.

Chips are evaluated by :mod:`cimbo.hardware.macro`, the functions that a search calls: area, time and energy of one
invocation of one macro. Ratios are modelled over reported. Their spread over chips that no constant was fitted on is
the model's error bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cimbo._data import path
from cimbo.hardware.agreement import Agreement
from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.macro import MACRO_AREA_PARTS, invocation_pj, macro_circuit
from cimbo.hardware.published_point import PublishedPoint
from cimbo.hardware.silicon import read_table
from cimbo.hardware.technology import constant

COMPARED_QUANTITIES = ("area", "cycle", "energy")
CHIP_GROUPS = ("sram", "digital", "envm")
# If modelled and reported differ by more than this factor, the table has a typing error
LARGEST_RATIO = 1e9
TOLD_GENES = ("node_nm", "supply_v")  # whose assumed values decide what a ratio is worth
LIKE_GENES = ("rows", "cols", "node_nm")


def modelled(points: Sequence[PublishedPoint]) -> dict[str, np.ndarray]:
    """Model the area, cycle and energy of one macro of each published chip.

    Where a paper's figures include more than the macro, the modelled ones are scaled up by the
    fitted constants of data/constants.toml, so that both are of the same thing.

    Args:
        points: The chips, all of them expressible in genes.

    Returns:
        By name, (n,) each: ``area`` of a macro in mm2, ``cycle`` in ns, and ``energy`` of one
        invocation of the macro in pJ.

    Raises:
        BadInput: Where a point's genes describe no chip.
    """
    table = chip_table([point.genes for point in points])
    circuit = macro_circuit(table)
    area = np.sum([circuit.areas[part] for part in MACRO_AREA_PARTS], axis=0) * 1e-6
    area_factors = np.array([_surroundings_factor(point, "area") for point in points])
    energy_factors = np.array([_surroundings_factor(point, "energy") for point in points])
    return {
        "area": area * area_factors,
        "cycle": circuit.cycle_ns,
        "energy": invocation_pj(circuit, table) * energy_factors,
    }


def _surroundings_factor(point: PublishedPoint, quantity: str) -> float:
    """Reported figure of a chip over that of its macros alone: 1 unless it covers what surrounds them.

    Args:
        point: The chip.
        quantity: ``area`` or ``energy``.

    Returns:
        The factor.
    """
    if point.group == "digital":
        return float(constant(f"published.digital_{quantity}"))
    if point.is_processor:
        return float(constant(f"published.processor_{quantity}"))
    return 1.0


def compare_table(file: Path) -> dict[str, Any]:
    """Compare what the model says of published chips with what they report.

    Args:
        file: A CSV file with the columns of UIUC-IMC-Benchmarking, or of genes; see `read_table`.

    Returns:
        ``sram``, ``digital``, ``envm``: for each quantity (area, cycle, energy) the summary of the
        ratios modelled/reported of these chips (see `Agreement`).
        ``not_expressible``: chips that the genes cannot describe, and why.
        ``rows``: every other chip with its genes, modelled and reported figures, their ratios,
        ``left_out``: reported figures that are not compared, and why; ``assumed``: values that were
        taken for process and supply where the table says none; and ``in_fit``: the chip among those
        on which the model's constants were fitted that it seems to be, else None.
        Every number is finite; a figure that does not exist is None.

    Raises:
        BadInput: Where the file is no such table, or lacks a column that its chips need.
    """
    points = read_table(file)
    expressible = [point for point in points if point.reason is None]
    figures = modelled(expressible) if expressible else {}
    rows = [_row(point, figures, index) for index, point in enumerate(expressible)]
    comparison: dict[str, Any] = {group: _agreements(rows, group) for group in CHIP_GROUPS}
    not_expressible = [_left_out(point) for point in points if point.reason is not None]
    return comparison | {"not_expressible": not_expressible, "rows": rows}


def fitted_like(point: PublishedPoint) -> str | None:
    """Find the chip on which the model's constants were fitted that a published chip seems to be.

    Args:
        point: The chip.

    Returns:
        Number and paper of a chip of data/silicon/uiuc_imc.csv with the same array, rows, columns
        and node; None where there is none.
    """
    return _fitted_chips().get(_likeness(point.genes))


@lru_cache(maxsize=1)
def _fitted_chips() -> dict[tuple[Any, ...], str]:
    """Names of the chips on which constants were fitted, by what they are recognised by."""
    names = {}
    for point in read_table(Path(path("silicon/uiuc_imc.csv"))):
        names[_likeness(point.genes)] = f"{point.index}, {point.title}"
    return names


def _likeness(genes: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a chip is recognised by, whatever it is called."""
    return tuple(genes.get(name, DEFAULT_GENES.get(name)) for name in ("array", *LIKE_GENES))


def _agreements(rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, dict[str, Any]]:
    """Summary of the ratios modelled/reported of a group of chips, by quantity."""
    ratios_of_chips = [row["ratio"] for row in rows if row["group"] == group]
    agreements = {}
    for quantity in COMPARED_QUANTITIES:
        ratios = [ratio[quantity] for ratio in ratios_of_chips if quantity in ratio]
        agreements[quantity] = Agreement.of(ratios).to_json()
    return agreements


def _left_out(point: PublishedPoint) -> dict[str, Any]:
    """A published chip that the genes cannot describe, and why, for the result."""
    return {
        "line": point.line,
        "index": point.index,
        "title": point.title,
        "reason": point.reason,
    }


def _row(point: PublishedPoint, figures: Mapping[str, np.ndarray], index: int) -> dict[str, Any]:
    """One published chip for the result: what is modelled of it, what it reports, and the ratios.

    Args:
        point: The chip.
        figures: Modelled figures of all chips, (n,) each, as ``modelled`` returns them.
        index: The chip's position in them.

    Returns:
        Names and values, as ``compare_table`` describes them.
    """
    own_figures = {name: float(values[index]) for name, values in figures.items()}
    ratios, left_out = _ratios(own_figures, point.reported)
    assumed = {name: DEFAULT_GENES[name] for name in TOLD_GENES if name not in point.genes}
    return {
        "line": point.line,
        "index": point.index,
        "title": point.title,
        "group": point.group,
        "assumed": assumed,
        "in_fit": fitted_like(point),
        "is_processor": point.is_processor,
        "genes": dict(point.genes),
        "modelled": own_figures,
        "reported": dict(point.reported),
        "ratio": ratios,
        "left_out": left_out,
    }


def _ratios(
    modelled_figures: Mapping[str, float], reported: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare modelled with reported figures, both by quantity.

    Returns:
        Modelled over reported by quantity, and for quantities that are left out the reason.
    """
    ratios, left_out = {}, {}
    for name, value in reported.items():
        ratio = modelled_figures[name] / value
        if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
            ratios[name] = ratio
        else:
            left_out[name] = f"{value:g} is no {name} that a macro has"
    return ratios, left_out
