"""What cells hold instead of what was written into them: mean and spread by level, at an age, or as a user measured them.

Everything is a share of a cell's full scale. RRAM follows a fit to Wan et al. (see ``rram_cell`` in ``data/constants.toml``):
its cells spread most at middle levels, and more with every decade of time. Nothing here depends on a network.
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
    """What cells hold that were written to one level, each a share of full scale.

    Attributes:
        level: What was written, from 0 to 1.
        mean: What they hold on average.
        deviation: Standard deviation of what they hold.
    """

    level: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class ArrayConditions:
    """Under what the errors of arrays are looked at; what is None is as the constants have it.

    Attributes:
        age: Of the cells since they were written, a key of ``SECONDS_AT_AGE``; matters where they drift (RRAM).
        noise_table: A CSV file with columns level, mean, deviation, in place of our figures of the cells.
        stuck_cells: Share of the cells that hold nothing or their full scale, half each, whatever was written.
        noise_lsb: Standard deviation of a converter's reading, in its steps as built.

    Raises:
        BadInput: For an age that is none, a share outside 0 to 1, a negative noise, or a table that is none.
    """

    age: str = DEFAULT_AGE
    noise_table: str | None = None
    stuck_cells: float | None = None
    noise_lsb: float | None = None

    def __post_init__(self) -> None:
        check_known(self.age, SECONDS_AT_AGE, "network.options.age", f"is {self.age!r}")
        limits = (("stuck_cells", self.stuck_cells, 1.0), ("noise_lsb", self.noise_lsb, math.inf))
        for name, value, most in limits:
            if value is None:
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value <= most
            ):
                todo = "give a number of at least 0"
                if most == 1:
                    todo = "give a share from 0 to 1"
                raise BadInput(f"network.options.{name}", f"is {value!r}", todo)
        if self.noise_table is not None:
            read_noise_table(self.noise_table)

    def levels(self, family: str) -> tuple[CellLevel, ...]:
        """Look up what the cells of a family of arrays hold under these conditions.

        Args:
            family: Name of the family, one of ``CELL_FAMILIES``.

        Returns:
            Levels, rising, each a share of full scale. None at all for digital arrays, whose cells
            hold what was written.
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
        """Look up the share of a family's cells that are stuck.

        Args:
            family: Name of the family, one of ``CELL_FAMILIES``.

        Returns:
            A share from 0 to 1; always 0 for digital arrays.
        """
        if family == "digital_sram":
            return 0.0
        if self.stuck_cells is not None:
            return self.stuck_cells
        if family == "rram":
            return float(constant("rram_cell.stuck"))
        return 0.0


@cache
def rram_levels(seconds: float) -> tuple[CellLevel, ...]:
    """Work out how far RRAM cells spread some time after they were written.

    Between and beyond the measured times (one second, one day, two days) the deviation is linear in
    the logarithm of time: between the two nearest, or along the line from the first to the last.
    Before the first it is that of the first.

    Args:
        seconds: Time since the cells were written, above 0.

    Returns:
        Levels (``TABULATED_LEVELS``), rising, each a share of full scale. The mean of each is the
        level itself.
    """
    largest = float(constant("rram_cell.largest_conductance"))
    powers = np.array([[level**k for k in range(5)] for level in TABULATED_LEVELS])
    names = ("after_second", "after_day", "after_two_days")
    measured = np.stack([powers @ constant(f"rram_cell.{name}") for name in names]) / largest
    decades = np.log10([1.0, 86400.0, 172800.0])
    at = math.log10(seconds)
    if at > decades[-1]:
        growth = (measured[-1] - measured[0]) / (decades[-1] - decades[0])
        deviations = measured[-1] + growth * (at - decades[-1])
    else:
        deviations = np.array([np.interp(at, decades, each) for each in measured.T])
    pairs = zip(TABULATED_LEVELS, deviations.tolist(), strict=True)
    return tuple(CellLevel(level, level, max(deviation, 0.0)) for level, deviation in pairs)


def random_sum_noise(family: str, rows_active: int, cell_bits: int) -> float:
    """Work out how far one partial sum spreads from reading to reading, before its converter.

    Charge: thermal noise kT/C of the column's capacitors, which share it. RRAM: each cell's read
    noise, half of the cells carrying a current. Current-domain arrays: none that is known apart
    from their converters' noise.

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
    """Standard deviation of the charge that the capacitors of a column share, in cells."""
    capacitance = rows_active * float(constant("charge_cell.capacitance"))
    volts = math.sqrt(float(constant("physics.thermal_energy")) / capacitance)
    return rows_active * volts / float(constant("logic.supply"))


@cache
def read_noise_table(path: str) -> tuple[CellLevel, ...]:
    """Reads a user's table of cells.

    Args:
        path: A CSV file whose first line is ``level,mean,deviation``; levels from 0 to 1, rising.

    Returns:
        Its lines.

    Raises:
        BadInput: Naming the file, the line and what is wrong with it.
    """
    lines = _csv_lines(path)
    header = tuple(word.strip() for word in lines[0])
    if header != TABLE_COLUMNS:
        raise BadInput(path, "has other columns", f"begin it with {','.join(TABLE_COLUMNS)}")
    found: list[CellLevel] = []
    for number, words in enumerate(lines[1:], 2):
        if not words:
            continue
        level = _table_line(f"{path}, line {number}", words)
        if found and level.level <= found[-1].level:
            raise BadInput(f"{path}, line {number}", "goes back", "sort the levels, each once")
        found.append(level)
    if len(found) < 2:
        raise BadInput(path, f"has {len(found)} levels", "give at least two, from 0 to 1")
    return tuple(found)


def _csv_lines(path: str) -> list[list[str]]:
    """The words of each line of a file, one line at least. Raises BadInput where it cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return list(csv.reader(text.splitlines())) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(path, f"cannot be read ({error})", "give a CSV file of text") from None


def _table_line(where: str, words: list[str]) -> CellLevel:
    try:
        line = CellLevel(*(float(word) for word in words))
    except (ValueError, TypeError):
        raise BadInput(where, "is no level, mean and deviation", "give three numbers") from None
    _check_level(where, line)
    return line


def _check_level(where: str, line: CellLevel) -> None:
    if not all(map(math.isfinite, (line.level, line.mean, line.deviation))):
        raise BadInput(where, "has a number that is not finite", "give three finite numbers")
    if not 0 <= line.level <= 1 or line.deviation < 0:
        todo = "give a level from 0 to 1, and a deviation of 0 or more"
        raise BadInput(where, "is out of range", todo)
