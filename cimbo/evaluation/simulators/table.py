"""Measured points as a simulator: a CSV or Parquet file with one row for each network and chip."""

import csv
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.scalars import shown
from cimbo.workloads.layers import Workload

COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")


@dataclass(frozen=True)
class Table:
    """Looks metrics up in the table ``path``.

    Columns named latency_ms, energy_uj or area_mm2 are metrics; ``macs``, ``parameters`` and ``network``, where present,
    identify the network; all others are genes of the chip.

    Raises BadInput when the file cannot be read or lacks a metric, and RuntimeError (a failed evaluation) when no row
    matches.
    """

    path: str
    name: str = "table"

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or "\0" in str(self.path):
            raise BadInput(
                "simulator table, path", f"is {shown(self.path)}", "give the path of a file"
            )

    def check(self) -> None:
        """Reads the file. Raises BadInput when that is impossible."""
        _ = self._content

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, float]:
        """Looks up the row whose network and chip are these.

        Args:
            workload: The network; its name, macs and parameters are compared where the table has
                such columns.
            chip: Genes of the chip; those without a column are ignored.

        Returns:
            The row's metrics.

        Raises:
            BadInput: When the file cannot be used, or has a column that the chip lacks.
            RuntimeError: When no row matches.
        """
        network = {
            "network": workload.name,
            "macs": workload.macs,
            "parameters": workload.parameters,
        }
        known = {**network, **chip}
        genes = self._columns  # that identify a row
        missing = [gene for gene in genes if gene not in known]
        if missing:
            raise BadInput(
                self.path,
                f"has the column {missing[0]}, which the chip has not",
                "add the gene, or drop it",
            )
        try:
            return dict(self._rows[tuple(_key(known[gene]) for gene in genes)])
        except KeyError:
            shown = ", ".join(f"{gene}={known[gene]}" for gene in genes)
            raise RuntimeError(f"{self.path}: no row for {shown}") from None

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        """Names of the columns that identify a row: all but the metrics."""
        return self._content[0]

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], dict[str, float]]:
        """The metrics of each row, by its values in ``_columns``."""
        return self._content[1]

    @cached_property
    def _content(self) -> tuple[tuple[str, ...], dict[tuple[Any, ...], dict[str, float]]]:
        """Read the file: ``_columns`` and ``_rows``. Raises BadInput where it cannot be used."""
        rows = list(_read(Path(self.path)))
        if not rows:
            raise BadInput(self.path, "has no rows", "give at least one measured point")
        genes = tuple(name for name in rows[0] if name not in COST_METRICS)
        metrics = [name for name in COST_METRICS if name in rows[0]]
        if not metrics:
            raise BadInput(self.path, "has no metric", f"name columns {', '.join(COST_METRICS)}")
        metrics_of_rows = {}
        for number, row in enumerate(rows, 2):
            values = {}
            for name in metrics:
                values[name] = _number(row[name], f"{self.path} line {number}, {name}")
            metrics_of_rows[tuple(_key(row[gene]) for gene in genes)] = values
        return genes, metrics_of_rows


def _read(path: Path) -> Iterable[Mapping[str, Any]]:
    """The rows of a CSV or Parquet file: each column's name to its value."""
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(path, f"cannot be read ({error})", "give a CSV or Parquet file") from None
    for number, row in enumerate(rows, 2):  # line 1 is the header
        # DictReader puts surplus cells under the key None, and None in the place of missing ones.
        if None in row or None in row.values():
            raise BadInput(
                f"{path} line {number}",
                "has another number of cells than the header",
                "correct that line",
            )
    return rows


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file. Raises BadInput without pyarrow."""
    try:
        from pyarrow import parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise BadInput(
            path, "needs pyarrow", "pip install 'cimbo[parquet]', or give a CSV file"
        ) from None
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def _number(value: Any, where: str) -> float:
    """A finite number. Raises BadInput for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(where, f"is {value!r}", "give a finite number")
    return number


def _key(value: Any) -> float | str:
    """A value in a form by which rows are compared: 1, 1.0 and "1" are equal."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
