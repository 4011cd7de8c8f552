"""The physical constants of ``data/constants.toml``, checked once, read by dotted name; laws of nodes and supplies."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo._data import path
from cimbo.errors import BadInput

CONVERTER_KINDS = ("auto", "sar", "flash")
DRAM_KINDS = ("lpddr4", "lpddr4x", "lpddr5", "ddr4", "hbm2", "hbm3")

KNOWN_UNITS = frozenset(
    (
        "1",
        "1/bit",
        "V",
        "fF",
        "fF/bit",
        "fF/cell",
        "fF/line",
        "fF/um",
        "Ohm/um",
        "kOhm",
        "mW",
        "um",
        "um2",
        "um2/bit",
        "mm2",
        "mm2/MB",
        "mm2/bit",
        "ns",
        "ns/row",
        "ns/bit",
        "nW/um2",
        "pW/bit",
        "GB/s",
        "GHz",
        "F2",
    )
    + ("uW/MB", "KB", "nm", "bit", "pJ", "pJ/bit", "pJ/bit/mm", "fJ/cell", "op/element", "fJ", "uS")
)
KNOWN_STATUSES = frozenset(("measured", "modelled", "counted", "fitted", "assumed"))
"""How a constant is known: on silicon, by another tool's model, by counting, by our fit, or not at all."""

CONSTANTS_FILE = "constants.toml"
CONSTANT_FIELDS = ("value", "unit", "node_nm", "status", "source")


def check(entries: Mapping[str, Mapping[str, Any]], where: str = CONSTANTS_FILE) -> dict[str, Any]:
    """Check the constants of a file.

    Args:
        entries: What the file says, by section and name; each entry has the fields of
            CONSTANT_FIELDS.
        where: What the file is called in messages.

    Returns:
        Values by ``section.name``.

    Raises:
        BadInput: For a missing field, or an unknown unit or status, naming the entry.
    """
    values = {}
    for section, names in entries.items():
        for name, entry in names.items():
            place = f"{where}: {section}.{name}"
            _check_fields(place, entry)
            _check_word(place, entry, "unit", KNOWN_UNITS)
            _check_word(place, entry, "status", KNOWN_STATUSES)
            values[f"{section}.{name}"] = entry["value"]
    return values


def _check_fields(place: str, entry: Mapping[str, Any]) -> None:
    """Refuse an entry that lacks one of CONSTANT_FIELDS. Raises BadInput."""
    for field in CONSTANT_FIELDS:
        if field not in entry:
            todo = f"every constant needs {', '.join(CONSTANT_FIELDS[:-1])} and source"
            raise BadInput(place, f"has no {field}", todo)


def _check_word(place: str, entry: Mapping[str, Any], field: str, known: Collection[str]) -> None:
    """Refuse an entry whose ``field`` is not one of the known words. Raises BadInput."""
    if entry[field] not in known:
        todo = f"use one of {', '.join(sorted(known))}"
        raise BadInput(place, f"{field} {entry[field]!r} is unknown", todo)


@cache
def _values() -> dict[str, Any]:
    """All constants by ``section.name``, read and checked once; `overridden` changes this dictionary."""
    values = check(tomllib.loads(path(CONSTANTS_FILE).read_text(encoding="utf-8")))
    return {name: _number_or_array(value) for name, value in values.items()}


def _number_or_array(value: Any) -> Any:
    """A constant as the file has it, but a list of numbers as an array of floats."""
    if isinstance(value, list):
        return np.array(value, float)
    return value


def constant(name: str) -> Any:
    """Look up a physical constant.

    Args:
        name: ``section.name`` in ``data/constants.toml``, where its unit stands as well.

    Returns:
        A number, or an array where the file has a list.

    Raises:
        KeyError: For a name that the file does not have.
    """
    return _values()[name]


@contextmanager
def overridden(values: Mapping[str, Any]) -> Iterator[None]:
    """Give some constants other values within a block, for a fit or an error bar.

    Args:
        values: New values by ``section.name``, in the units of the file; arrays where the file has
            lists.

    Yields:
        Nothing, once; afterwards the constants are as before.

    Raises:
        KeyError: For a name that the file does not have.
    """
    before = {name: _values()[name] for name in values}
    try:
        _values().update(values)
        yield
    finally:
        _values().update(before)


def _log_log(node_nm: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate values, given at the nodes of the constants file, to other nodes in logarithms, (n,)."""
    nodes = constant("scaling.nodes")
    order = np.argsort(nodes)
    return np.exp(np.interp(np.log(node_nm), np.log(nodes[order]), np.log(values[order])))


def scale(quantity: str, node_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Work out how gates scale from 28 nm to other nodes.

    Between the nodes of the constants file the factor is interpolated in logarithms; beyond them it
    stays that of the last.

    Args:
        quantity: ``area``, ``energy`` or ``delay``.
        node_nm: Nodes, (n,).

    Returns:
        Factors over 28 nm, (n,).
    """
    return _log_log(node_nm, constant(f"scaling.{quantity}"))


def node_power(node_nm: NDArray[np.float64], exponent: str) -> NDArray[np.float64]:
    """Work out (node / 28)^exponent, for what shrinks less than gates do.

    Args:
        node_nm: Nodes, (n,).
        exponent: Name of the exponent in section ``scaling`` of the constants file.

    Returns:
        Factors over 28 nm, (n,).
    """
    power: NDArray[np.float64] = (node_nm / 28) ** constant(f"scaling.{exponent}")
    return power


def slowdown(supply_v: NDArray[np.float64], node_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Work out by how much delays grow at a supply other than the node's nominal one.

    The alpha-power law, t ~ V / (V - Vt)^alpha (Sakurai and Newton, JSSC 1990), with a threshold Vt
    for each node. Where V - Vt is less than 50 mV, where the law does not hold, it is taken as that.

    Args:
        supply_v: Supplies in volts, (n,).
        node_nm: Nodes, (n,).

    Returns:
        Delay over that at the nominal supply, (n,).
    """
    threshold = _log_log(node_nm, constant("logic.threshold"))
    nominal = _log_log(node_nm, constant("logic.nominal_supply"))
    alpha = constant("logic.alpha")
    over = np.maximum(supply_v - threshold, 0.05)
    factor: NDArray[np.float64] = supply_v / nominal * ((nominal - threshold) / over) ** alpha
    return factor
