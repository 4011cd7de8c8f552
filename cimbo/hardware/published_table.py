"""The shipped table of published chips: data/silicon/uiuc_imc.csv, on which the fitted constants were calibrated."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from cimbo._data import path
from cimbo.hardware.silicon import UNUSED_GENES, PublishedPoint

TABLE_FILE = "silicon/uiuc_imc.csv"
_WORD_GENES = ("array",)
_WHOLE_GENES = (
    "rows",
    "cols",
    "rows_active",
    "columns_per_adc",
    "columns_summed",
    "adc_bits",
    "dac_bits",
    "act_bits",
    "weight_bits",
    "cell_transistors",
)
REPORTED_COLUMNS = {"area": "area_mm2", "cycle": "cycle_ns", "energy": "energy_pj"}


def read_published() -> list[PublishedPoint]:
    """Read the shipped table of published chips, on which the fitted constants were calibrated.

    Returns:
        The chips of data/silicon/uiuc_imc.csv, in order, all of them expressible in genes.
    """
    text = Path(path(TABLE_FILE)).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    points = []
    for line, row in enumerate(csv.DictReader(lines), 2):
        genes: dict[str, Any] = dict(UNUSED_GENES) | {name: row[name] for name in _WORD_GENES}
        genes |= {name: int(row[name]) for name in _WHOLE_GENES if row[name]}
        genes |= {name: float(row[name]) for name in ("node_nm", "supply_v")}
        reported = {}
        for name, column in REPORTED_COLUMNS.items():
            if row[column]:
                reported[name] = float(row[column])
        whole = row["is_processor"] == "1"
        title = row["citation"]
        points.append(
            PublishedPoint(line, row["chip"], title, row["group"], genes, None, whole, reported)
        )
    return points
