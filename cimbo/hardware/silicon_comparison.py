"""What the performance model says of published chips, beside what they report.

Chips are evaluated by :mod:`cimbo.hardware.macro`, the functions that a search calls: area, time and energy of one
invocation of one macro. Ratios are modelled over reported. Their spread over chips that no constant was fitted on is
the model's error bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.hardware.agreement import Agreement
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.macro import MACRO_AREA_PARTS, invocation_pj, macro_circuit
from cimbo.hardware.published_point import PublishedPoint
from cimbo.hardware.silicon import read_table
from cimbo.hardware.technology import constant

COMPARED_QUANTITIES = ("area", "cycle", "energy")
CHIP_GROUPS = ("sram", "digital", "envm")
# If modelled and reported differ by more than this factor, the table has a typing error
LARGEST_RATIO = 1e9


def modelled(points: Sequence[PublishedPoint]) -> dict[str, np.ndarray]:
    """Work out what the model says of one invocation of one macro of each published chip.

    Args:
        points: The chips, all of them expressible in genes.

    Returns:
        By name, (n,) each: ``area`` in mm2, ``cycle`` in ns, ``energy`` in pJ; with what else the
        reported figures include.

    Raises:
        BadInput: Where a point's genes describe no chip.
    """
    table = chip_table([point.genes for point in points])
    circuit = macro_circuit(table)
    area = np.sum([circuit.areas[part] for part in MACRO_AREA_PARTS], axis=0) * 1e-6
    more = {}
    for name in ("area", "energy"):
        more[name] = np.array([_more(point, name) for point in points])
    return {
        "area": area * more["area"],
        "cycle": circuit.cycle_ns,
        "energy": invocation_pj(circuit, table) * more["energy"],
    }


def _more(point: PublishedPoint, quantity: str) -> float:
    """What a reported figure includes besides macros, as a factor: the rest of a processor, or of a digital chip."""
    if point.group == "digital":
        return float(constant(f"published.digital_{quantity}"))
    if point.is_processor:
        return float(constant(f"published.processor_{quantity}"))
    return 1.0


def compare_table(file: Path) -> dict[str, Any]:
    """Maps a table of published chips and compares what the model says with what they report.

    Args:
        file: A CSV file with the columns of UIUC-IMC-Benchmarking, or of genes; see `read_table`.

    Returns:
        By group (sram, digital, envm) and quantity (area, cycle, energy) the agreement of the ratios modelled/reported;
        ``not_expressible``: rows and why; ``rows``: every other row with its genes, figures and ratios, and why a figure is
        left out (``left_out``). Every number is finite; what there is none of is None.

    Raises:
        BadInput: Where the file is no such table, or lacks a column that its chips need.
    """
    points = read_table(file)
    expressible = [point for point in points if point.reason is None]
    figures = modelled(expressible) if expressible else {}
    rows = [_row(point, figures, at) for at, point in enumerate(expressible)]
    answer: dict[str, Any] = {group: _agreements(rows, group) for group in CHIP_GROUPS}
    left_out = [_left_out(point) for point in points if point.reason is not None]
    return answer | {"not_expressible": left_out, "rows": rows}


def _agreements(rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, dict[str, Any]]:
    """How well the model agrees with a group of chips, by quantity."""
    own = [row["ratio"] for row in rows if row["group"] == group]
    agreements = {}
    for quantity in COMPARED_QUANTITIES:
        ratios = [ratio[quantity] for ratio in own if quantity in ratio]
        agreements[quantity] = Agreement.of(ratios).to_json()
    return agreements


def _left_out(point: PublishedPoint) -> dict[str, Any]:
    """A row of the table that is no chip of the space, and why."""
    return {
        "line": point.line,
        "index": point.index,
        "title": point.title,
        "reason": point.reason,
    }


def _row(point: PublishedPoint, figures: Mapping[str, np.ndarray], at: int) -> dict[str, Any]:
    """One chip: what is modelled of it, what it reports, and the ratios."""
    ours = {name: float(values[at]) for name, values in figures.items()}
    ratios, left_out = _ratios(ours, point.reported)
    return {
        "line": point.line,
        "index": point.index,
        "title": point.title,
        "group": point.group,
        "is_processor": point.is_processor,
        "genes": dict(point.genes),
        "modelled": ours,
        "reported": dict(point.reported),
        "ratio": ratios,
        "left_out": left_out,
    }


def _ratios(
    ours: Mapping[str, float], reported: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """Modelled over reported, by quantity; and why a quantity is left out."""
    ratios, left_out = {}, {}
    for name, said in reported.items():
        ratio = ours[name] / said
        if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
            ratios[name] = ratio
        else:
            left_out[name] = f"{said:g} is no {name} that a macro has"
    return ratios, left_out
