"""Reads words and figures from the cells of a table of published chips.

Tables that people filled in by hand have units and remarks behind figures, decimal commas, several words for "nothing", and
counts that cannot be: they are understood or refused here.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cimbo.errors import BadInput, unreadable
from cimbo.problem.scalars import shown

NEEDED_COLUMNS = (
    *("Index", "Architecture", "Tech (nm)", "N_row", "N_col"),
    *("Supply V(V)", "B_x", "TOPS/W"),
)
ANALOG_COLUMNS = ("Compute Model", "C_C", "N_ADC", "B_ADC")  # of macros that are not digital
_DECIMAL_COLUMNS = (
    *("Tech (nm)", "Supply V(V)", "T_core(ns)", "E_core (pJ)"),
    *("TOPS/W", "TOPS_a", "TOPS/mm2"),
)
_OTHER_COLUMNS = (*("Paper Title", "Cell Type", "B_w", "R_C", "N_1b", "N_core", "IMC_Processor"),)
KNOWN_COLUMNS = tuple(dict.fromkeys(NEEDED_COLUMNS + ANALOG_COLUMNS + _DECIMAL_COLUMNS))
KNOWN_COLUMNS += _OTHER_COLUMNS
EXTRA_CELLS = ""  # the name under which a row that is longer than its header has the rest
BLANK_WORDS = frozenset(("-", "--", "\u2013", "\u2014", "n/a", "na", "n.a.", "nan", "none"))
LEAST_SUPPLY_V, MOST_SUPPLY_V = 0.2, 2.0
MOST_WORD_BITS = 32
_SUPPLY_COLUMN = "Supply V(V)"
_PROCESS_WORDS = r"(?:finfet|gaafet|cmos|bulk|fd-?soi|soi|lp|hp|hpc\+?|hpm|ull|ulp|logic|process)"
_COLUMN_REMARKS = {
    "Tech (nm)": rf"(?:nm)?(?:[\s-]*{_PROCESS_WORDS})*",
    _SUPPLY_COLUMN: r"m?v",
    **dict.fromkeys(("B_x", "B_w", "B_ADC"), r"-?\s?b(?:its?)?"),
}
_FIGURE_PATTERN = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)$", re.DOTALL)
_THOUSANDS_PATTERN = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_DECIMAL_COMMA = re.compile(r"[-+]?(?:0+,\d+|\d+,(?:\d{1,2}|\d{4,}))(?![\d,.])")


class NotExpressibleError(Exception):
    """A published chip that no chip of the space resembles."""


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read the rows of a table of published chips.

    Args:
        file: A CSV file with the columns of UIUC-IMC-Benchmarking; case and spaces of a header are free.

    Returns:
        For each row its words by column name, "" where there is none.

    Raises:
        BadInput: Where the file cannot be read or lacks a column that every chip needs, naming it.
    """
    header, *lines = _cells(file)
    places = _column_places(header)
    require_columns(file, places, NEEDED_COLUMNS)
    rows = []
    for cells in lines:
        words = [_word(cell) for cell in cells]
        words += [""] * (len(header) - len(words))
        row = {name: words[place] for name, place in places.items()}
        if len(words) > len(header):  # as where a decimal comma stands without quotes
            row[EXTRA_CELLS] = ",".join(["", *words[len(header) :]])
        rows.append(row)
    for name in _DECIMAL_COLUMNS:
        if _has_decimal_commas([row.get(name, "") for row in rows]):
            for row in rows:
                row[name] = row[name].replace(",", ".", 1)
    return rows


def _column_places(header: Sequence[str]) -> dict[str, int]:
    """Where each known column stands: by its exact name, else by the first that differs in case or spaces only."""
    by_plain_name: dict[str, int] = {}
    by_name: dict[str, int] = {}
    for place, name in enumerate(header):
        by_plain_name.setdefault(_plain(name), place)
        by_name[name] = place
    places = {}
    for name in KNOWN_COLUMNS:
        if name in by_name:
            places[name] = by_name[name]
        elif _plain(name) in by_plain_name:
            places[name] = by_plain_name[_plain(name)]
    return places


def require_columns(file: Path, columns: Mapping[str, object], needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Args:
        file: The table.
        columns: What it has, by name.
        needed: Names of the columns it has to have.

    Raises:
        BadInput: Naming the first that is missing.
    """
    for name in needed:
        if name not in columns:
            todo = "give the columns of UIUC-IMC-Benchmarking"
            raise BadInput(file, f"has no column {name!r}", todo)


def _cells(file: Path) -> list[list[str]]:
    """Split a file into cells: the header, then the lines.

    The separator is comma, semicolon or tab, whichever the header has most of. Raises BadInput where
    the file cannot be read.

    Returns:
        The cells of each line that has any; one empty header for an empty file.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        mark = max(",;\t", key=text.partition("\n")[0].count)
        lines = list(csv.reader(text.splitlines(keepends=True), delimiter=mark))
    except OSError as error:
        raise unreadable(file, error, "give a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(file, f"is no CSV file ({error})", "give a CSV file in UTF-8") from None
    return [cells for cells in lines if cells] or [[]]


def _plain(name: str) -> str:
    """A column's name in small letters without spaces."""
    return "".join(name.lower().split())


def _word(cell: str) -> str:
    """A cell without superfluous spaces; "" for words that mean "nothing", such as n/a."""
    word = " ".join(cell.split())
    if word.lower() in BLANK_WORDS:
        return ""
    return word


def _has_decimal_commas(words: Sequence[str]) -> bool:
    """Tell whether the commas in a column are decimal commas, not separators of thousands.

    They are if some comma cannot separate thousands (it is followed by other than three digits, or
    follows a single 0), and no figure of the column has a decimal point or several commas.

    Returns:
        True where they are.
    """
    if any(re.search(r"\d\.\d|\d,\d+,\d", word) for word in words):
        return False
    return any(_DECIMAL_COMMA.match(word) for word in words)


def number(row: Mapping[str, str], name: str) -> float:
    """Read the figure in a column.

    Args:
        row: Words by column.
        name: The column.

    Returns:
        The figure in the column's unit. NaN where there is none, or where it is not certain: another
        unit stands behind it, or the other end of a range.
    """
    text = row.get(name, "")
    grouped = _THOUSANDS_PATTERN.match(text)  # such as 1,024
    if grouped:
        text = grouped.group().replace(",", "") + text[grouped.end() :]
    match = _FIGURE_PATTERN.match(text)
    if not match:
        return math.nan
    value, rest = float(match.group(1)), match.group(2).lower()
    unit = re.split(r"[(;]", rest)[0].strip().rstrip(".")
    if unit and not re.fullmatch(_remark(name), unit):
        return math.nan
    if unit == "mv":
        return value / 1000
    return value


def _remark(name: str) -> str:
    """Pattern of the words that may follow a figure of a column: often the unit in the column's name."""
    own_unit = re.search(r"\(([^()]+)\)$", name)
    if name in _COLUMN_REMARKS or own_unit is None:
        return _COLUMN_REMARKS.get(name, "")
    return re.escape(own_unit.group(1).lower())


def gene_number(row: Mapping[str, str], name: str) -> float:
    """Read a figure from which a gene follows.

    Args:
        row: Words by column.
        name: The column.

    Returns:
        The figure; NaN where the cell is empty.

    Raises:
        NotExpressibleError: Where the cell has anything but a single figure.
    """
    figure, text = number(row, name), row.get(name, "")
    if text and not math.isfinite(figure):
        raise NotExpressibleError(f"{name} is {shown(text)}, which is no single figure")
    return figure


def count(row: Mapping[str, str], name: str) -> float:
    """Read how many of something a chip has.

    Args:
        row: Words by column.
        name: The column.

    Returns:
        A whole number of at least one; NaN where the cell is empty.

    Raises:
        NotExpressibleError: Where the cell has anything else.
    """
    figure = gene_number(row, name)
    if figure < 1 or figure % 1 > 0:  # both are false of NaN
        raise NotExpressibleError(f"{name} is {shown(row[name])}, which is no whole number from 1")
    return figure


def bits(row: Mapping[str, str], name: str, most: int = MOST_WORD_BITS) -> float:
    """Read a width in bits, which may be fractional: papers call three levels 1.5 bits.

    Args:
        row: Words by column.
        name: The column.
        most: Bits that a chip can have.

    Returns:
        Bits, from 1 to ``most``; NaN where the cell is empty.

    Raises:
        NotExpressibleError: Where the cell has anything else.
    """
    figure = gene_number(row, name)
    if figure < 1 or figure > most:
        raise NotExpressibleError(f"{name} is {shown(row[name])}, where 1 to {most} bits can be")
    return figure


def supply_v(row: Mapping[str, str]) -> float:
    """Read the supply voltage.

    A figure without a unit that is too large for volts, such as 900, is taken as millivolts.

    Args:
        row: Words by column.

    Returns:
        Volts; NaN where the cell is empty.

    Raises:
        NotExpressibleError: Where the cell has anything but a possible supply.
    """
    volts, text = gene_number(row, _SUPPLY_COLUMN), row.get(_SUPPLY_COLUMN, "")
    has_unit = re.search(r"\d\s*m?v", text, re.IGNORECASE)
    if not has_unit and 1000 * LEAST_SUPPLY_V <= volts <= 1000 * MOST_SUPPLY_V:
        volts /= 1000
    if volts < LEAST_SUPPLY_V or volts > MOST_SUPPLY_V:
        limits = f"{LEAST_SUPPLY_V:g} to {MOST_SUPPLY_V:g} V"
        raise NotExpressibleError(f"{_SUPPLY_COLUMN} is {shown(text)}, where {limits} can be")
    return volts
