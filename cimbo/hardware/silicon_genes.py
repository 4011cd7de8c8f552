"""Reads published chips from a CSV file with one column for each gene and each reported figure."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, unreadable
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.chip import DEFAULT_GENES, GENE_WORDS, NUMBER_GENES
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.published_point import UNUSED_GENES, PublishedPoint

COMMENT_MARK = "#"
ARRAY_GENE = "array"
FIRST_CHIP = "chip 0."  # how `chip_table` calls the only chip of a table
REPORTED_COLUMNS = {"area": "area_mm2", "cycle": "cycle_ns", "energy": "energy_pj"}
OTHER_COLUMNS = ("chip", "citation", "group", "is_processor")
_GROUP_OF_ARRAY = {
    "charge_sram": "sram",
    "current_sram": "sram",
    "digital_sram": "digital",
    "rram": "envm",
}


def has_genes(file: Path) -> bool:
    """Tell whether a table describes chips by genes.

    Args:
        file: A CSV file.

    Returns:
        Whether its header names the gene ``array``; False for what cannot be read.
    """
    try:
        header = _lines(file)[0].text
    except (OSError, UnicodeDecodeError, ValueError):
        return False
    return ARRAY_GENE in next(csv.reader([header]), [])


def read_described(file: Path) -> list[PublishedPoint]:
    """Read published chips that a table describes by genes of the search space.

    Args:
        file: A CSV file. Lines that begin with # are left out. Columns: any gene of a chip (``array``, ``records``,
            ``cols``, ``adc_bits``, ...), the reported ``area_mm2`` of one macro, ``cycle_ns`` and ``energy_pj`` of one
            invocation of it, and, if wanted, ``chip`` (its name), ``citation``, ``group`` and ``is_processor`` (1
            where area and energy are of more than macros). An empty cell leaves the gene at its default or the figure
            unreported.

    Returns:
        The chips, in order. One whose genes describe no valid chip has the reason instead.

    Raises:
        BadInput: Where the file cannot be read or has an unknown column, naming it.
    """
    try:
        lines = _lines(file)
    except OSError as error:
        raise unreadable(file, error, "give a CSV file") from None
    records = csv.DictReader([line.text for line in lines])
    known = {*GENE_WORDS, *NUMBER_GENES, *OTHER_COLUMNS, *REPORTED_COLUMNS.values()}
    for name in records.fieldnames or ():
        if name not in known:
            todo = "give genes of a chip, chip, citation, area_mm2, cycle_ns or energy_pj"
            raise BadInput(file, f"has an unknown column {name!r}", todo)
    return [_point(line.number, row) for line, row in zip(lines[1:], records, strict=True)]


@dataclass(frozen=True)
class _Line:
    number: int  # of the file's first line: 1
    text: str


def _lines(file: Path) -> list[_Line]:
    """The lines of a file that are neither blank nor comments.

    Raises:
        ValueError: Where there is none.

    Returns:
        The lines, with their numbers in the file.
    """
    lines = []
    for number, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if text.strip() and not text.startswith(COMMENT_MARK):
            lines.append(_Line(number, text))
    if not lines:
        raise ValueError("no lines")
    return lines


def _point(line: int, row: Mapping[str, str | None]) -> PublishedPoint:
    """Make a chip of one record of the table.

    Args:
        line: Number of the record's line in the file.
        row: The record's cells by column.

    Returns:
        The chip; where its genes are not valid, without them but with the reason.
    """
    words = {name: (word or "").strip() for name, word in row.items() if name is not None}
    index = words.get("chip") or f"line {line}"
    title = words.get("citation", "")
    array = words.get(ARRAY_GENE) or DEFAULT_GENES[ARRAY_GENE]
    group = words.get("group") or _GROUP_OF_ARRAY.get(FAMILY_ALIASES.get(array, array))
    genes: dict[str, Any] = dict(UNUSED_GENES)
    reported = {}
    try:
        for name, word in words.items():
            if word and name in GENE_WORDS:
                genes[name] = word
            elif word and name in NUMBER_GENES:
                genes[name] = _number(name, word)
        chip_table(genes)  # raises BadInput where the genes make no chip
        for quantity, column in REPORTED_COLUMNS.items():
            if words.get(column):
                reported[quantity] = _figure(column, words[column])
    except BadInput as error:
        reason = f"{error.where.removeprefix(FIRST_CHIP)} {error.what}; {error.todo}"
        return PublishedPoint(line, index, title, group, reason=reason)
    is_processor = words.get("is_processor") == "1"
    return PublishedPoint(line, index, title, group, genes, None, is_processor, reported)


def _number(name: str, word: str) -> float:
    """Read a number gene: an int where it is written as a whole number. Raises BadInput for a word."""
    number = _figure(name, word)
    if number.is_integer() and "." not in word:
        return int(number)
    return number


def _figure(name: str, word: str) -> float:
    """Read a finite number. Raises BadInput for anything else."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(name, f"is {word[:40]!r}, no number", "give a number")
    return number
