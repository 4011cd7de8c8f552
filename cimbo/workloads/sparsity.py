"""Facts on a network's layers that a user sets: shares of the bits of inputs and weights that are one, and copies of layers.

A file, TOML or JSON, has a table of layers::

    ["*"]
    inputs = 0.3             # share of the bits of a layer's inputs that are one; random bits: 0.5
    weights = 0.45           # share of the bits of its weights that are one
    ["block_1.ffn_*"]
    inputs = 0.1

A key is a layer's name or a shell pattern of names; later keys take precedence. A share that is not set is the chip's
``activity``. The energy of cells and adders is proportional to both shares; cycles depend on the inputs' share where a chip has
``zero_skipping``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from cimbo._data import path as data_path
from cimbo.errors import BadInput
from cimbo.workloads.layers import Layer, Workload

FILE_SUFFIXES = (".toml", ".json")
MEASURED_ACTIVITY = "measured"
STORED_ACTIVITY = "stored"
SHARE_NAMES = ("inputs", "weights")


@dataclass(frozen=True)
class BitShares:
    """Shares of bits that are one in some layers.

    Attributes:
        pattern: A layer's name, or a shell pattern of names.
        inputs: Share in the layers' inputs, above 0 and at most 1; None: the chip's ``activity``.
        weights: Share in their weights, likewise.
    """

    pattern: str
    inputs: float | None = None
    weights: float | None = None


Shares = tuple[BitShares, ...]


def read_shares(given: str | Mapping[str, Any], network: str = "") -> Shares:
    """Read shares of bits that are one.

    Args:
        given: A file, TOML or JSON; a mapping of the same form; or ``measured``, for shares that were
            measured on a shipped network.
        network: Name of the network, for ``measured``.

    Returns:
        Shares by pattern, in the order of the file.

    Raises:
        BadInput: When the file cannot be read, a share is no number from 0 to 1, or nothing was
            measured on the network.
    """
    if isinstance(given, Mapping):
        return _checked("activity", given)
    if given == STORED_ACTIVITY:
        what = "are those of the integer weights of an ONNX file"
        raise BadInput(f"activity {STORED_ACTIVITY}", what, "name one, in simulate or workload")
    if given == MEASURED_ACTIVITY:
        file = data_path("activity") / f"{network}.toml"
        if not file.is_file():
            todo = "give a file of shares"
            raise BadInput("activity", f"of {network or 'this network'} is not measured", todo)
        return read_file(file)
    return read_file(Path(given))


def read_file(file: Path) -> Shares:
    """Read shares of bits that are one from a file.

    Args:
        file: TOML or JSON.

    Returns:
        Shares by pattern, in the order of the file.

    Raises:
        BadInput: When it cannot be read, or a share is no number from 0 to 1.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            values = json.loads(text)
        else:
            values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise BadInput(file, f"cannot be read ({error})", "give a TOML or JSON file") from None
    if not isinstance(values, dict):
        raise BadInput(file, "holds no layers", 'begin with a table such as ["*"]')
    return _checked(str(file), values)


def _checked(where: str, values: Mapping[str, Any]) -> Shares:
    """Read a table of pattern to shares; raises BadInput for what is none, with ``where`` it stands."""
    checked = []
    for pattern, shares in values.items():
        place = f"{where}: {pattern}"
        if not isinstance(shares, Mapping):
            raise BadInput(place, f"is {shares!r}", "give inputs and weights, shares from 0 to 1")
        for name, share in shares.items():
            if name not in SHARE_NAMES:
                raise BadInput(f"{place}.{name}", "is unknown", "give inputs and weights")
            _check_share(f"{place}.{name}", share)
        checked.append(BitShares(pattern, shares.get("inputs"), shares.get("weights")))
    return tuple(checked)


def _check_share(where: str, share: Any) -> None:
    """Refuse a share that is no number above 0 and at most 1."""
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0 < share <= 1:
        raise BadInput(where, f"is {share!r}", "give a share above 0, at most 1")


def shares_to_json(shares: Shares) -> dict[str, dict[str, float]]:
    """Write shares in the form of a file.

    Args:
        shares: By pattern.

    Returns:
        Pattern to its shares; a share that is not set is left out.
    """
    by_pattern: dict[str, dict[str, float]] = {}
    for entry in shares:
        numbers = {}
        if entry.inputs is not None:
            numbers["inputs"] = entry.inputs
        if entry.weights is not None:
            numbers["weights"] = entry.weights
        by_pattern[entry.pattern] = numbers
    return by_pattern


Copies = tuple[tuple[str, int], ...]


def read_copies(given: Mapping[str, Any]) -> Copies:
    """Read how many copies of layers there are.

    Args:
        given: Pattern of layers' names to a number of copies, the layer itself included.

    Returns:
        Numbers by pattern; a later one takes precedence.

    Raises:
        BadInput: When a number is no positive integer.
    """
    for pattern, number in given.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise BadInput(f"copies: {pattern}", f"is {number!r}", "give an integer of at least 1")
    return tuple(given.items())


def at_copies(workload: Workload, copies: Copies) -> Workload:
    """Set the number of copies of a workload's layers.

    Args:
        workload: The layers.
        copies: By pattern; a later one takes precedence.

    Returns:
        The same layers with their copies, those of the token loop included.
    """
    if not copies:
        return workload
    return _mapped(workload, lambda layer: _with_copies(layer, copies))


def _with_copies(layer: Layer, copies: Copies) -> Layer:
    """A layer with the number of copies of the last pattern that its name matches."""
    number = layer.copies
    for pattern, value in copies:
        if fnmatchcase(layer.name, pattern):
            number = value
    return replace(layer, copies=number)


def at_shares(workload: Workload, shares: Shares) -> Workload:
    """Set the shares of bits that are one of a workload's layers.

    Args:
        workload: The layers.
        shares: By pattern; a later one takes precedence.

    Returns:
        The same layers with their shares, those of the token loop included.
    """
    if not shares:
        return workload
    return _mapped(workload, lambda layer: _with_shares(layer, shares))


def _mapped(workload: Workload, change: Callable[[Layer], Layer]) -> Workload:
    """The workload with every layer changed, those of the token loop included."""
    layers = tuple(change(layer) for layer in workload.layers)
    loop = workload.loop
    if loop is not None:
        loop = replace(loop, step=_mapped(loop.step, change))
    return replace(workload, layers=layers, loop=loop)


@lru_cache(maxsize=1 << 16)  # a search meets the same few layers over and over
def _with_shares(layer: Layer, shares: Shares) -> Layer:
    """A layer with the shares of the last patterns that its name matches and that set each share."""
    inputs = layer.input_ones
    weights = layer.weight_ones
    for entry in shares:
        if fnmatchcase(layer.name, entry.pattern):
            if entry.inputs is not None:
                inputs = entry.inputs
            if entry.weights is not None:
                weights = entry.weights
    return replace(layer, input_ones=inputs, weight_ones=weights)
