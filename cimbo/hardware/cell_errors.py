"""Errors of memory cells: mean and spread of what a cell holds, by the level that was written into it.

Levels are fractions of a cell's full scale. RRAM follows a fit to Wan et al. (see ``rram_cell`` in ``data/constants.toml``):
its cells spread most at middle levels, and more with every decade of time. A user may give a table of cells measured
elsewhere. Nothing here depends on a network.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cimbo.errors import BadInput, check_known
from cimbo.hardware.technology import constant

SECONDS_AT_AGE: Mapping[str, float] = {
    "1 s": 1.0,
    "1 h": 3600.0,
    "1 day": 86400.0,
    "1 month": 2.592e6,
}
"""The ages of written cells that an accuracy can be measured at."""

DEFAULT_AGE = "1 day"
TABLE_COLUMNS = ("level", "mean", "deviation")
TABULATED_LEVELS = tuple(k / 12 for k in range(13))  # those of cells of one and two bits among them


@dataclass(frozen=True)
class CellLevel:
    """What cells hold that were written to one level, as fractions of full scale.

    Attributes:
        level: The level that was written, from 0 to 1.
        mean: Mean of what such cells hold.
        deviation: Standard deviation of what such cells hold.
    """

    level: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class ArrayConditions:
    """Conditions on which the errors of arrays depend; for what is None, the constants of data/constants.toml hold.

    Attributes:
        age: Of the cells since they were written, a key of ``SECONDS_AT_AGE``; matters where they drift (RRAM).
        noise_table: A CSV file with columns level, mean, deviation, in place of our figures of the cells.
        stuck_cells: Fraction of the cells that hold nothing or their full scale, half each, whatever was written.
        noise_lsb: Standard deviation of a converter's reading, in its steps as built.
        inl_lsb: Largest deviation of a converter's curve from a straight line, in the same steps.
        offset_lsb: Standard deviation of the converters' offsets after calibration, in the same steps.

    Raises:
        BadInput: For an unknown age, a fraction outside 0 to 1, a negative error of converters, or a table that
            cannot be read.
    """

    age: str = DEFAULT_AGE
    noise_table: str | None = None
    stuck_cells: float | None = None
    noise_lsb: float | None = None
    inl_lsb: float | None = None
    offset_lsb: float | None = None

    def __post_init__(self) -> None:
        check_known(self.age, SECONDS_AT_AGE, "network.options.age", f"is {self.age!r}")
        _check_option("stuck_cells", self.stuck_cells, 1.0, "give a share from 0 to 1")
        for name in ("noise_lsb", "inl_lsb", "offset_lsb"):
            _check_option(name, getattr(self, name), math.inf, "give a number of at least 0")
        if self.noise_table is None:
            return
        if not isinstance(self.noise_table, str):
            what = f"is {self.noise_table!r}"
            raise BadInput("network.options.noise_table", what, "give the name of a CSV file")
        read_noise_table(self.noise_table)  # raises BadInput where the table is wrong

    def levels(self, family: str) -> tuple[CellLevel, ...]:
        """Look up what the cells of a family of arrays hold under these conditions.

        Args:
            family: Name of the family, one of ``CELL_FAMILIES``.

        Returns:
            Levels, rising. An empty tuple for digital arrays, whose cells hold exactly what was
            written.
        """
        if family == "digital_sram":
            return ()
        if self.noise_table is not None:
            return read_noise_table(self.noise_table)
        if family == "rram":
            return rram_levels(SECONDS_AT_AGE[self.age])
        mismatch = float(constant(f"{family.removesuffix('_sram')}_cell.mismatch"))
        return (CellLevel(0.0, 0.0, 0.0), CellLevel(1.0, 1.0, mismatch))

    def stuck(self, family: str) -> float:
        """Look up the fraction of a family's cells that are stuck.

        Args:
            family: Name of the family, one of ``CELL_FAMILIES``.

        Returns:
            A fraction from 0 to 1; always 0 for digital arrays.
        """
        if family == "digital_sram":
            return 0.0
        if self.stuck_cells is not None:
            return self.stuck_cells
        if family == "rram":
            return float(constant("rram_cell.stuck"))
        return 0.0


def _check_option(name: str, value: float | None, most: float, todo: str) -> None:
    """Refuse an option that is neither None nor a number from 0 to ``most``. Raises BadInput."""
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= most:
        raise BadInput(f"network.options.{name}", f"is {value!r}", todo)


@cache
def rram_levels(seconds: float) -> tuple[CellLevel, ...]:
    """Work out how far RRAM cells spread some time after they were written.

    Measured were one second, one day and two days. Between these times the deviation of a level is
    linear in the logarithm of time; after two days it goes on along the line from the first to the
    last; before one second it is that of one second.

    Args:
        seconds: Time since the cells were written, above 0.

    Returns:
        Levels (``TABULATED_LEVELS``), rising. The mean of each is the level itself.
    """
    largest = float(constant("rram_cell.largest_conductance"))
    # The constants are coefficients of polynomials of degree 4 in the level, in uS.
    powers = np.array([[level**k for k in range(5)] for level in TABULATED_LEVELS])
    names = ("after_second", "after_day", "after_two_days")
    measured = np.stack([powers @ constant(f"rram_cell.{name}") for name in names]) / largest
    log_times = np.log10([1.0, 86400.0, 172800.0])
    log_time = math.log10(seconds)
    if log_time > log_times[-1]:
        growth = (measured[-1] - measured[0]) / (log_times[-1] - log_times[0])
        deviations = measured[-1] + growth * (log_time - log_times[-1])
    else:
        deviations = np.array([np.interp(log_time, log_times, level) for level in measured.T])
    pairs = zip(TABULATED_LEVELS, deviations.tolist(), strict=True)
    return tuple(CellLevel(level, level, max(deviation, 0.0)) for level, deviation in pairs)


def random_sum_noise(family: str, rows_active: int, cell_bits: int) -> float:
    """Work out how far one partial sum spreads from reading to reading, before its converter.

    Charge arrays: thermal noise kT/C of the column's capacitors, taken together. RRAM: the read
    noise of each cell, with half of the cells assumed to carry a current. Current-domain arrays:
    0, since nothing is known apart from their converters' noise.

    Args:
        family: Name of the family, one of ``CELL_FAMILIES``.
        rows_active: Word lines switched on at once.
        cell_bits: Bits of a weight in a cell.

    Returns:
        Standard deviation of the sum, in cells at one input step.
    """
    if family == "charge_sram":
        return _thermal_noise(rows_active)
    if family == "rram":
        full_scale = 2.0**cell_bits - 1
        return float(constant("rram_cell.read_noise")) * full_scale * math.sqrt(rows_active / 2.0)
    return 0.0


def _thermal_noise(rows_active: int) -> float:
    """Thermal noise sqrt(kT/C) of a column's capacitors, as a standard deviation in cells.

    A sum of all ``rows_active`` cells stands for the whole supply.

    Returns:
        The deviation, in cells.
    """
    capacitance = rows_active * float(constant("charge_cell.capacitance"))
    noise_v = math.sqrt(float(constant("physics.thermal_energy")) / capacitance)
    return rows_active * noise_v / float(constant("logic.supply"))


@cache
def read_noise_table(path: str) -> tuple[CellLevel, ...]:
    """Read a user's table of what cells hold by the level written into them.

    Args:
        path: A CSV file whose first line is ``level,mean,deviation``; levels from 0 to 1, rising.

    Returns:
        The levels of the table, at least two.

    Raises:
        BadInput: Naming the file, the line and what is wrong with it.
    """
    lines = _csv_lines(path)
    header = tuple(word.strip() for word in lines[0])
    if header != TABLE_COLUMNS:
        raise BadInput(path, "has other columns", f"begin it with {','.join(TABLE_COLUMNS)}")
    levels: list[CellLevel] = []
    for number, words in enumerate(lines[1:], 2):
        if not words:
            continue
        level = _table_line(f"{path}, line {number}", words)
        if levels and level.level <= levels[-1].level:
            raise BadInput(f"{path}, line {number}", "goes back", "sort the levels, each once")
        levels.append(level)
    if len(levels) < 2:
        raise BadInput(path, f"has {len(levels)} levels", "give at least two, from 0 to 1")
    return tuple(levels)


def _csv_lines(path: str) -> list[list[str]]:
    """The words of each line of a file, one line at least. Raises BadInput where it cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return list(csv.reader(text.splitlines())) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(path, f"cannot be read ({error})", "give a CSV file of text") from None


def _table_line(where: str, words: list[str]) -> CellLevel:
    """One line of a table of cells. Raises BadInput, with ``where``, for what is no level."""
    try:
        line = CellLevel(*(float(word) for word in words))
    except (ValueError, TypeError):
        raise BadInput(where, "is no level, mean and deviation", "give three numbers") from None
    _check_level(where, line)
    return line


def _check_level(where: str, line: CellLevel) -> None:
    """Refuse a level that is not finite or out of range. Raises BadInput."""
    if not all(map(math.isfinite, (line.level, line.mean, line.deviation))):
        raise BadInput(where, "has a number that is not finite", "give three finite numbers")
    if not 0 <= line.level <= 1 or line.deviation < 0:
        todo = "give a level from 0 to 1, and a deviation of 0 or more"
        raise BadInput(where, "is out of range", todo)
