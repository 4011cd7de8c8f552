"""Accuracies of AnalogNAS-Bench, looked up in a user's copy of its file, which is not shipped."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.published import KNOWN_BITS, of_array, unknown_bits
from cimbo.workloads.nasbench import CELL_EDGES
from cimbo.workloads.precision import GENE_NAMES, is_precision_gene

ANALOG_NAS_BENCH = "analog-nas-bench"
EDGE_COLUMNS = tuple(f"edge{number}" for number in range(len(CELL_EDGES)))
FILE_EDGES = tuple(sorted(CELL_EDGES))
"""Edges in the order of the file's columns: by the node that they leave. In this order alone are all 57 cells of the file
without a path from input to output those that classify at chance."""

COLUMN_OF_ARRAY = {"digital_sram": "ptq_accuracy", "rram": "finetuned_drift_86400"}
"""Digital: operands rounded after training. Resistive: phase-change memory, fine-tuned for it, a day after writing."""

LEADING_NUMBER = re.compile(r"\d+(\.\d+)?")  # of an entry such as 80.85+-1.41


@dataclass(frozen=True)
class PublishedTable:
    """Top-1 accuracy of NAS-Bench-201 cells on CIFAR-10, as AnalogNAS-Bench has it (arXiv 2506.18495).

    Cells that the file holds several times have the mean of their entries.

    Attributes:
        table: The user's file, with columns edge0 to edge5 and those of ``COLUMN_OF_ARRAY``.
        genes: Of the chip, what the accuracy depends on.
        parts: There is one.
    """

    table: str
    genes: tuple[str, ...] = ("array",)
    parts: tuple[str, ...] = ("validation",)

    def check(self) -> None:
        """Read the file. Raises BadInput where there is none or it lacks a column."""
        _rows(self.table, _modified(self.table))

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Looks up the accuracy of a network on arrays of a design's family.

        Args:
            design: Genes of the network, and of the chip its array.
            part: Ignored: there is one part.

        Returns:
            Percent.

        Raises:
            BadInput: For a network that the file does not hold, for arrays of other families, and
                for operands of other bits than published accuracies hold for.
        """
        column = of_array(design, COLUMN_OF_ARRAY)
        for name, value in design.items():
            if (name in GENE_NAMES or is_precision_gene(name)) and value not in KNOWN_BITS:
                raise unknown_bits("nasbench201-analog", name, value)
        cell = tuple(design[f"edge_{CELL_EDGES.index(edge) + 1}"] for edge in FILE_EDGES)
        rows = _rows(self.table, _modified(self.table))
        accuracies = rows.get(cell, {}).get(column)
        if not accuracies:
            what = f"has no {column} of {'|'.join(cell)}"
            raise BadInput(self.table, what, "leave out --table to have it modelled")
        return fmean(accuracies)


def _modified(table: str) -> int:
    """When a file was changed last, in ns. Raises BadInput where there is none."""
    file = Path(table)
    if not file.is_file():
        raise BadInput(table, "is no file", "give the CSV of AnalogNAS-Bench with --table")
    return file.stat().st_mtime_ns


@lru_cache(maxsize=2)
def _rows(table: str, modified: int) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """Read the accuracies of all cells of a file.

    Args:
        table: The file.
        modified: When it was changed last, so that the cache does not return an older version.

    Returns:
        For each cell (operations of its edges, in the order of EDGE_COLUMNS) and each column of
        COLUMN_OF_ARRAY, its accuracies in percent. Raises BadInput where a column is missing.
    """
    cells: dict[tuple[str, ...], dict[str, list[float]]] = {}
    with Path(table).open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        needed = (*EDGE_COLUMNS, *COLUMN_OF_ARRAY.values())
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            what = f"has no column {missing[0]}"
            raise BadInput(table, what, f"give a CSV with {', '.join(needed)}")
        for line in reader:
            cell = tuple(line[name] for name in EDGE_COLUMNS)
            entries = cells.setdefault(cell, {})
            for column in COLUMN_OF_ARRAY.values():
                number = LEADING_NUMBER.match(line[column] or "")
                if number is not None:
                    entries.setdefault(column, []).append(float(number.group()))
    return cells


def measured_cells(table: str | Path, column: str) -> list[dict[str, str]]:
    """List the cells for which a file has an accuracy.

    Args:
        table: The user's file.
        column: One of the columns in ``COLUMN_OF_ARRAY``.

    Returns:
        Genes of each cell, in the order of the file.

    Raises:
        BadInput: Where there is no such file, or it lacks a column.
    """
    genes_of_cells = []
    for cell, entries in _rows(str(table), _modified(str(table))).items():
        if column in entries:
            genes_of_cells.append(_genes_of(cell))
    return genes_of_cells


def _genes_of(cell: Sequence[str]) -> dict[str, str]:
    """The genes of a cell, whose operations are in the order of the file."""
    operations = dict(zip(FILE_EDGES, cell, strict=True))
    return {f"edge_{i}": operations[edge] for i, edge in enumerate(CELL_EDGES, 1)}
