"""The shipped table of published chips: data/silicon/uiuc_imc.csv, on which the fitted constants were calibrated."""

from __future__ import annotations

from pathlib import Path

from cimbo._data import path
from cimbo.hardware.published_point import PublishedPoint
from cimbo.hardware.silicon_genes import read_described

TABLE_FILE = "silicon/uiuc_imc.csv"


def read_published() -> list[PublishedPoint]:
    """Read the shipped table of published chips, on which the fitted constants were calibrated.

    Returns:
        The chips of data/silicon/uiuc_imc.csv, in order, all of them expressible in genes.
    """
    return read_described(Path(path(TABLE_FILE)))
