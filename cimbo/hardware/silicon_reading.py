"""Cells of a table of published chips as words and figures: units, remarks, decimal commas, blanks, impossible counts."""

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
    found = {_plain(name): place for place, name in reversed(list(enumerate(header)))}
    found |= {name: place for place, name in enumerate(header)}
    places = {}
    for name in KNOWN_COLUMNS:
        place = found.get(name, found.get(_plain(name)))
        if place is not None:
            places[name] = place
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
    """The header and the lines; cells stand between commas, semicolons or tabs, whichever the header has most of."""
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
    return "".join(name.lower().split())


def _word(cell: str) -> str:
    """A cell without spaces around it; "" for what says that there is nothing."""
    word = " ".join(cell.split())
    if word.lower() in BLANK_WORDS:
        return ""
    return word


def _has_decimal_commas(words: Sequence[str]) -> bool:
    """Whether a comma in a column can only be a decimal one.

    So it is where one is followed by other than three digits, or follows a nought alone, and no figure of the column has a
    point or several commas.

    Returns:
        True where it can.
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
        The figure in the column's unit; not a number where there is none, or none that can be told for sure: another
        unit stands behind it, or the other end of a range.
    """
    text = row.get(name, "")
    grouped = _THOUSANDS_PATTERN.match(text)  # 1,024 is a thousand and more
    if grouped:
        text = grouped.group().replace(",", "") + text[grouped.end() :]
    found = _FIGURE_PATTERN.match(text)
    if not found:
        return math.nan
    value, rest = float(found.group(1)), found.group(2).lower()
    unit = re.split(r"[(;]", rest)[0].strip().rstrip(".")
    if unit and not re.fullmatch(_remark(name), unit):
        return math.nan
    if unit == "mv":
        return value / 1000
    return value


def _remark(name: str) -> str:
    """What may follow a figure of a column and leaves it as it is, as a pattern: often the unit that the name has."""
    own_unit = re.search(r"\(([^()]+)\)$", name)
    if name in _COLUMN_REMARKS or own_unit is None:
        return _COLUMN_REMARKS.get(name, "")
    return re.escape(own_unit.group(1).lower())


def gene_number(row: Mapping[str, str], name: str) -> float:
    """Read a figure that a gene follows from.

    Args:
        row: Words by column.
        name: The column.

    Returns:
        The figure; not a number where nothing stands.

    Raises:
        NotExpressibleError: Where something stands that is no single figure.
    """
    found, text = number(row, name), row.get(name, "")
    if text and not math.isfinite(found):
        raise NotExpressibleError(f"{name} is {shown(text)}, which is no single figure")
    return found


def count(row: Mapping[str, str], name: str) -> float:
    """Read how many of something a chip has.

    Args:
        row: Words by column.
        name: The column.

    Returns:
        A whole number of at least one; not a number where nothing stands.

    Raises:
        NotExpressibleError: Where something else stands.
    """
    found = gene_number(row, name)
    if found < 1 or found % 1 > 0:
        raise NotExpressibleError(f"{name} is {shown(row[name])}, which is no whole number from 1")
    return found


def bits(row: Mapping[str, str], name: str, most: int = MOST_WORD_BITS) -> float:
    """Read a width in bits, which may be broken: three levels are said to be 1.5 bits.

    Args:
        row: Words by column.
        name: The column.
        most: Bits that a chip can have.

    Returns:
        Bits, from 1 to ``most``; not a number where nothing stands.

    Raises:
        NotExpressibleError: Where something else stands.
    """
    found = gene_number(row, name)
    if found < 1 or found > most:
        raise NotExpressibleError(f"{name} is {shown(row[name])}, where 1 to {most} bits can be")
    return found


def supply_v(row: Mapping[str, str]) -> float:
    """Read the supply; a bare figure that no chip has in volts is taken as millivolts, where it is a supply in these.

    Args:
        row: Words by column.

    Returns:
        Volts; not a number where nothing stands.

    Raises:
        NotExpressibleError: Where something else stands.
    """
    found, text = gene_number(row, _SUPPLY_COLUMN), row.get(_SUPPLY_COLUMN, "")
    says_unit = re.search(r"\d\s*m?v", text, re.IGNORECASE)
    if not says_unit and 1000 * LEAST_SUPPLY_V <= found <= 1000 * MOST_SUPPLY_V:
        found /= 1000
    if found < LEAST_SUPPLY_V or found > MOST_SUPPLY_V:
        limits = f"{LEAST_SUPPLY_V:g} to {MOST_SUPPLY_V:g} V"
        raise NotExpressibleError(f"{_SUPPLY_COLUMN} is {shown(text)}, where {limits} can be")
    return found
