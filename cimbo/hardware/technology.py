"""The physical constants of ``data/constants.toml``, checked once, read by dotted name."""

import tomllib
from functools import cache
from typing import Any

import numpy as np

from cimbo._data import path
from cimbo.errors import BadInput

UNITS = frozenset(
    (
        "1",
        "1/bit",
        "V",
        "fF",
        "fF/bit",
        "fF/cell",
        "um2",
        "um2/bit",
        "mm2",
        "mm2/bit",
        "ns",
        "ns/row",
        "nW/um2",
        "pW/bit",
    )
    + ("uW/MB", "KB", "nm", "bit", "pJ", "pJ/bit", "pJ/bit/mm", "fJ/cell", "op/element")
)
_FILE = "constants.toml"


def check(entries: dict[str, dict], where: str = _FILE) -> dict[str, Any]:
    """Values by ``section.name``. Raises BadInput on a missing field or an unknown unit, naming the entry."""
    values = {}
    for section, names in entries.items():
        for name, entry in names.items():
            place = f"{where}: {section}.{name}"
            for field in ("value", "unit", "node_nm", "source"):
                if field not in entry:
                    raise BadInput(
                        place,
                        f"has no {field}",
                        "every constant needs value, unit, node_nm and source",
                    )
            if entry["unit"] not in UNITS:
                raise BadInput(
                    place,
                    f"unit {entry['unit']!r} is unknown",
                    f"use one of {', '.join(sorted(UNITS))}",
                )
            values[f"{section}.{name}"] = entry["value"]
    return values


@cache
def _values() -> dict[str, Any]:
    values = check(tomllib.loads(path(_FILE).read_text(encoding="utf-8")))
    return {
        name: np.array(value, float) if isinstance(value, list) else value
        for name, value in values.items()
    }


def constant(name: str) -> Any:
    """The value of ``section.name``: a number, or an array where the file has a list. Raises KeyError if absent."""
    return _values()[name]


@cache
def _log_scale(quantity: str) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(constant("scaling.nodes"))
    return np.log(constant("scaling.nodes")[order]), np.log(constant(f"scaling.{quantity}")[order])


def scale(quantity: str, node_nm: np.ndarray) -> np.ndarray:
    """Factor from 28 nm to each node for ``area``, ``energy`` or ``delay``; log-log between the listed nodes."""
    return np.exp(np.interp(np.log(node_nm), *_log_scale(quantity)))


def converter_scale(node_nm: np.ndarray, quantity: str) -> np.ndarray:
    """Factor from 28 nm to each node for ``area`` or ``energy`` of converters: analog circuits gain less than gates do."""
    return (node_nm / 28) ** constant(f"scaling.converter_{quantity}_exponent")
