"""Cells that store the bits of weights, read from data files that give the source of every figure.

``data/cells/NAME.toml`` holds the shipped ones; a chip's property ``cell`` names one of them, or a user's file. A cell
belongs to a family of arrays, which says how its sums are formed and read; what its file leaves out is as the family's own
cell has it. Every figure has a value, a unit, the node it holds for, how it is known and where it comes from, as the
constants have, or names the constant that it is.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cimbo._data import path as data_path
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.hardware.array_description import CELL_FAMILIES
from cimbo.hardware.rows import Floats, Indices
from cimbo.hardware.technology import CONSTANT_FIELDS, KNOWN_STATUSES, constant, scale

OWN_CELL = "own"
CELL_WORDS = (
    OWN_CELL,
    "sram_6t",
    "sram_8t",
    "sram_10t1c",
    "rram",
    "pcm",
    "fefet",
    "mram",
    "edram",
)
"""Cells that are shipped; ``own`` is that of the array's family."""

FILE_SUFFIX = ".toml"
QUANTITY_UNITS: dict[str, tuple[str, ...]] = {
    "area": ("F2", "um2"),  # of the cell with its part of the computing circuit
    "transistors": ("1",),  # in the place of an area: so many transistors
    "capacitors": ("1",),  # and so many capacitors
    "plane_transistors": ("1",),  # of a further plane, besides the one that chooses it
    "read": ("fF/cell",),  # capacitance that a read charges: charge over supply
    "settle": ("ns",),
    "row_settle": ("ns/row",),
    "write_energy": ("pJ/bit",),
    "write_time": ("ns",),
    "leakage": ("pW/bit",),
    "retention": ("s",),  # 0: for as long as there is a supply
    "endurance": ("1",),  # writes that a cell outlives; left out: without limit
    "levels": ("1",),  # states of a cell that can be told apart
    "spread": ("1",),  # standard deviation of what a cell holds, a fraction of full scale
}
NEEDED_QUANTITIES = ("read", "write_energy", "write_time", "leakage", "retention", "levels")
REFERENCE_NODE_NM = 28.0


@dataclass(frozen=True)
class Cell:
    """One kind of cell.

    Attributes:
        name: What reports call it.
        family: The family of arrays that it belongs to.
        title: What it is, in a sentence.
        figures: Quantity to value, at 28 nm; areas in squares of the node (F2).
    """

    name: str
    family: str
    title: str
    figures: Mapping[str, float]


def cell(word: str) -> Cell | None:
    """Find the cell that a chip's gene ``cell`` names.

    Args:
        word: A shipped cell's name; the path of a file NAME.toml of one cell; or ``own``.

    Returns:
        The cell; None for ``own``, the cell of the array's family.

    Raises:
        BadInput: When there is no such cell, or its file is wrong; it names the place.
    """
    if word == OWN_CELL:
        return None
    if word.endswith(FILE_SUFFIX):
        return _cell_of_file(word)
    if word not in CELL_WORDS:
        todo = f"{choose_from(word, CELL_WORDS)}; or a file NAME.toml"
        raise BadInput("chip.cell", f"{word} is unknown", todo)
    return _read(str(data_path("cells") / f"{word}{FILE_SUFFIX}"), 0)


def _cell_of_file(path: str) -> Cell:
    """The cell in a user's file, read anew when the file has changed."""
    file = Path(path)
    if not file.is_file():
        raise BadInput("chip.cell", f"{path} is no file", "give the path of a cell's file")
    return _read(str(file), file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _read(file: str, modified: int) -> Cell:
    """Read and check the cell in a file.

    Args:
        file: Path of the file.
        modified: When the file was changed last, so that the cache does not return an older version.

    Returns:
        The cell, its figures at 28 nm.

    Raises:
        BadInput: Where the file cannot be read or is wrong, naming the place.
    """
    try:
        values = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(file, f"cannot be read ({error})", "give a TOML file") from None
    family = values.get("family")
    if family not in CELL_FAMILIES:
        todo = f"say family, one of {', '.join(CELL_FAMILIES)}"
        raise BadInput(file, f"family is {family!r}", todo)
    figures = {}
    for name, entry in values.items():
        if name in ("family", "title", "name"):
            continue
        figures[name] = _figure(f"{file}: {name}", name, entry)
    _check_complete(file, figures)
    name = str(values.get("name", Path(file).stem))
    return Cell(name, family, str(values.get("title", "")), _with_area(figures))


def _figure(where: str, name: str, entry: Any) -> float:
    """Check one figure of a cell's file and convert it to 28 nm.

    Args:
        where: The entry, for messages.
        name: The quantity, one of ``QUANTITY_UNITS``.
        entry: A table with the fields CONSTANT_FIELDS, or ``constant``, the name of a constant whose
            value it has.

    Returns:
        The value at 28 nm, in the unit of the quantity; areas in F2.

    Raises:
        BadInput: Where the entry is wrong.
    """
    check_known(name, QUANTITY_UNITS, where, "is unknown")
    if not isinstance(entry, Mapping):
        todo = f"give a table of {', '.join(CONSTANT_FIELDS)}"
        raise BadInput(where, f"is {entry!r}", todo)
    if "constant" in entry:
        try:
            return float(constant(str(entry["constant"])))
        except (KeyError, TypeError):
            what = f"{entry['constant']!r} is no constant"
            raise BadInput(where, what, "name one of data/constants.toml") from None
    for field in CONSTANT_FIELDS:
        if field not in entry:
            raise BadInput(where, f"has no {field}", f"give {', '.join(CONSTANT_FIELDS)}")
    if entry["status"] not in KNOWN_STATUSES:
        todo = f"use one of {', '.join(sorted(KNOWN_STATUSES))}"
        raise BadInput(where, f"status {entry['status']!r} is unknown", todo)
    if entry["unit"] not in QUANTITY_UNITS[name]:
        todo = f"use {' or '.join(QUANTITY_UNITS[name])}"
        raise BadInput(where, f"unit {entry['unit']!r} is another quantity's", todo)
    value, node_nm = entry["value"], entry["node_nm"]
    for number in (value, node_nm):
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not math.isfinite(number) or number < 0:
            raise BadInput(where, f"has {number!r}", "give numbers of 0 or more")
    return _at_reference(name, entry["unit"], float(value), float(node_nm))


def _at_reference(name: str, unit: str, value: float, node_nm: float) -> float:
    """Convert a figure from the node it holds for to 28 nm, by the scaling laws of the model.

    Args:
        name: The quantity.
        unit: Its unit.
        value: The figure.
        node_nm: The node it holds for; 0: it does not depend on the node.

    Returns:
        The figure at 28 nm; an area in F2.
    """
    if unit == "um2":
        return value / ((node_nm or REFERENCE_NODE_NM) * 1e-3) ** 2
    if not node_nm or node_nm == REFERENCE_NODE_NM:
        return value
    ratio = REFERENCE_NODE_NM / node_nm
    if name == "read":
        return float(value * ratio ** constant("scaling.capacitance_exponent"))
    if name in ("settle", "row_settle"):
        return float(value * ratio ** constant("scaling.analog_delay_exponent"))
    if name in ("write_energy", "leakage"):
        return float(value / scale("energy", np.array([node_nm]))[0])
    return value


def _check_complete(file: str, figures: Mapping[str, float]) -> None:
    """Refuse a cell that lacks a needed figure or has fewer than two levels. Raises BadInput."""
    for name in NEEDED_QUANTITIES:
        if name not in figures:
            raise BadInput(f"{file}: {name}", "is missing", "every cell needs it")
    if "area" not in figures and "transistors" not in figures:
        raise BadInput(f"{file}: area", "is missing", "give it, or the number of transistors")
    if figures["levels"] < 2:
        raise BadInput(f"{file}: levels", f"is {figures['levels']:g}", "give at least 2")


def _with_area(figures: Mapping[str, float]) -> dict[str, float]:
    """Replace numbers of transistors and capacitors by the area that they take, unless one is given."""
    completed = dict(figures)
    transistors = completed.pop("transistors", 0.0)
    capacitors = completed.pop("capacitors", 0.0)
    counted_area = transistors * constant("cell.transistor_area")
    counted_area += capacitors * constant("cell.capacitor_area")
    completed.setdefault("area", float(counted_area))
    return completed


# Words of all cells that chips of this process have named; a cell's index is its place here.
_named_words: list[str] = [OWN_CELL]


def cell_index(word: str) -> int:
    """Give a cell a number by which tables of chips refer to it.

    The number stays the same for as long as the process lives.

    Args:
        word: The cell, as `cell` takes it.

    Returns:
        Its number; 0 for ``own``.

    Raises:
        BadInput: When there is no such cell, or its file is wrong.
    """
    cell(word)
    if word not in _named_words:
        _named_words.append(word)
    return _named_words.index(word)


def cells_by_index(indices: Indices) -> dict[int, Cell]:
    """Find the cells that some chips name.

    Args:
        indices: Numbers of the chips' cells as `cell_index` gives them, (n,).

    Returns:
        Number to cell; ``own`` is left out.
    """
    cells = {}
    for index in np.unique(indices):
        named = cell(_named_words[int(index)])
        if named is not None:
            cells[int(index)] = named
    return cells


def of_cells(indices: Indices, quantity: str, usual: Floats) -> Floats:
    """Look up a figure of the cell that each chip is built of.

    Args:
        indices: Numbers of the chips' cells as `cell_index` gives them, (n,).
        quantity: One of ``QUANTITY_UNITS``.
        usual: Figures of the families' own cells, (n,), for chips that name no cell and for
            quantities that a cell's file leaves out.

    Returns:
        Figures, (n,).
    """
    if not indices.any():
        return usual
    figures = np.array(np.broadcast_to(usual, indices.shape), float)
    for index, named in cells_by_index(indices).items():
        if quantity in named.figures:
            figures[indices == index] = named.figures[quantity]
    return figures
