"""The chip space: genes, defaults, checked columns, and two chips an architect would draw before any search."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.hardware.technology import constant
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice

MOST_BITS = 16  # of a converter
ARRAYS = ("analog_sram", "digital_sram", "rram")

_CORE: dict[str, list] = {
    "rows": [64, 128, 256],
    "cols": [64, 128, 256],
    "macros_per_pe": [1, 2, 4, 8],
    "pes": [4, 8, 16, 32, 64],
    "adc_bits": [4, 5, 6, 8],
    "columns_per_adc": [1, 4, 8],
    "buffer_mb": [0.25, 0.5, 1, 2, 4, 8],
    "buffer_bw": [256, 512, 1024, 2048, 4096],
    "dram_bw": [32, 64, 128, 256, 512],
    "planes": [1, 4, 16],
}
_EXTENDED: dict[str, list] = {
    "dac_bits": [1, 2, 4],
    "noc_bw": [512, 1024, 2048],
    "vector_lanes": [64, 256, 1024],
    "cell_bits": [1, 2],
    "array": list(ARRAYS),
}

DEFAULTS: dict[str, Any] = {
    "dac_bits": 1,
    "noc_bw": 1024,
    "vector_lanes": 256,
    "cell_bits": 1,
    "array": "analog_sram",
    # Not searched: precision of activations and weights, the process, and how the arrays are used.
    "act_bits": 8,
    "weight_bits": 8,
    "node_nm": 28,
    "supply_v": constant("logic.supply"),
    "activity": constant("logic.activity"),
    "packing": 1,  # 1: several groups share a macro block-diagonally, 0: one group a macro
    "rows_written": 1,  # rows a macro writes at once
    "whole_kernels": 1,  # 1: macros hold whole kernel sides of an even share of channels each, 0: windows are cut anywhere
    # 1: as ZigZag counts: windows are read whole each time, the buffer reads and writes at once, weights load past the buffer
    # and one vector early.
    "zigzag_counting": 0,
    "fixed_range": 0,  # 1: an ADC's full scale is the largest sum of its rows, 0: calibrated to each layer; acts on accuracy
    # How an array holds weights and reads sums; see array_description.
    "rows_active": 0,  # word lines on at once; 0: all of them
    "encoding": "twos_complement",  # of weights
    "signed_inputs": 0,
    "adc_range": "layer",  # what the converters' full scale is set to
}
"""Values of the genes a chip may omit."""

BASELINE: dict[str, Any] = {
    "rows": 128,
    "cols": 128,
    "macros_per_pe": 2,
    "pes": 16,
    "adc_bits": 6,
    "columns_per_adc": 4,
    "buffer_mb": 0.5,
    "buffer_bw": 1024,
    "dram_bw": 128,
    "planes": 4,
}
"""A hand-drawn chip for the small Fashion-MNIST networks: central values; 64 KB of weights a plane, 256 KB in all."""

BASELINE_VIT_B: dict[str, Any] = BASELINE | {
    "rows": 256,
    "cols": 256,
    "macros_per_pe": 4,
    "pes": 64,
    "buffer_mb": 2,
}
"""The same chip, grown for ViT-B: 2 MB of weights a plane, 8 MB in all, so that some 86 MB are reloaded."""

_WORDS = ("array", "encoding", "adc_range")
_NUMBERS = tuple(name for name in (*_CORE, *DEFAULTS) if name not in _WORDS)
_WHOLE = np.array([[name not in ("buffer_mb", "supply_v", "activity")] for name in _NUMBERS])
_SWITCHES = ("packing", "whole_kernels", "zigzag_counting", "fixed_range", "signed_inputs")
_MAY_BE_ZERO = np.array([[name in (*_SWITCHES, "rows_active")] for name in _NUMBERS])


def chip_choices(extended: bool = False) -> list[Choice]:
    """The ten core genes, or with ``extended`` five more; the clock follows from the circuit and is no gene."""
    genes = _CORE | (_EXTENDED if extended else {})
    return [Choice(name, values) for name, values in genes.items()]


LARGEST_NUMBER = 1e12  # of any gene; products of several stay far from the end of float64


def columns(chips: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Chips as checked columns, each of shape (n,), defaults filled in: floats, and strings for the genes that are words.

    ``chips``: one chip, a list of chips, or a mapping of columns. Raises BadInput naming the chip and the gene.
    """
    given = chips if isinstance(chips, Mapping) else _transpose(chips)
    _check_names(given)
    size = max((_length(name, value) for name, value in given.items()), default=1)
    full = {**DEFAULTS, **given}
    numbers = _numbers(full, size)
    _check_numbers(numbers)
    table = dict(zip(_NUMBERS, numbers, strict=True))
    for name in _WORDS:
        table[name] = np.broadcast_to(np.asarray(full[name], dtype=object), (size,))
    _check_consistent(table)
    return table


def _length(name: str, value: Any) -> int:
    """How many chips a value of a gene is for. Raises BadInput for lists in lists, and for words that are none."""
    if isinstance(value, str) or (name not in _WORDS and isinstance(value, int | float)):
        return 1
    try:
        entries = np.asarray(value, dtype=object if name in _WORDS else float)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"chip.{name}", f"is {shown(value)}", "give a number") from None
    if name in _WORDS and not all(isinstance(word, str) for word in entries.ravel().tolist()):
        raise BadInput(f"chip.{name}", f"is {shown(value)}", f"use one of {', '.join(ARRAYS)}")
    if entries.ndim > 1 or entries.size == 0:
        raise BadInput(f"chip.{name}", f"is {shown(value)}", "give one value, or a list of them")
    return entries.size


def _transpose(chips: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    if not chips:
        raise BadInput("chips", "the list is empty", "give at least one chip")
    names = sorted({name for chip in chips for name in chip})
    for index, chip in enumerate(chips):
        for name in names:
            if name not in chip and name not in DEFAULTS:
                raise BadInput(f"chip {index}.{name}", "is missing", "every chip needs it")
    return {name: [chip.get(name, DEFAULTS.get(name)) for chip in chips] for name in names}


def _check_names(given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in _CORE and name not in DEFAULTS:
            near = get_close_matches(str(name), [*_CORE, *DEFAULTS], 1)
            todo = (
                f"did you mean {near[0]}?"
                if near
                else f"known are {', '.join([*_CORE, *DEFAULTS])}"
            )
            raise BadInput(f"chip.{name}", "is no gene of a chip", todo)
    for name, value in given.items():  # which numpy would read as numbers
        if (name not in _WORDS and isinstance(value, str)) or (
            name not in _SWITCHES and isinstance(value, bool)
        ):
            raise BadInput(f"chip.{name}", f"is {value!r}", "give a number")
    for name, values in _CORE.items():
        if name not in given:
            raise BadInput(
                f"chip.{name}", "is missing", f"give a value such as {values[len(values) // 2]}"
            )


def _numbers(full: Mapping[str, Any], size: int) -> np.ndarray:
    """The numeric genes as rows of shape (len(_NUMBERS), size); at once where the chip is one, whose check must be quick."""
    if size == 1:
        try:
            return np.array([full[name] for name in _NUMBERS], dtype=float).reshape(-1, 1)
        except (TypeError, ValueError, OverflowError):
            pass  # some gene is a list of one, or no number: the slower way tells which
    numbers = np.empty((len(_NUMBERS), size))
    for row, name in zip(numbers, _NUMBERS, strict=True):
        _fill(row, name, full[name])
    return numbers


def _fill(row: np.ndarray, name: str, value: Any) -> None:
    try:
        row[:] = value
    except (TypeError, ValueError, OverflowError):
        todo = f"give {row.size} numbers" if row.size > 1 else "give a number"
        raise BadInput(f"chip.{name}", f"is {shown(value)}", todo) from None


def _check_numbers(numbers: np.ndarray) -> None:
    good = (numbers > 0) | (_MAY_BE_ZERO & (numbers == 0))
    good &= (numbers <= LARGEST_NUMBER) & (~_WHOLE | (numbers == np.floor(numbers)))
    if not good.all():
        row, chip = np.argwhere(~good)[0]
        kind = "a whole positive number" if _WHOLE[row, 0] else "a positive number"
        raise BadInput(f"chip {chip}.{_NUMBERS[row]}", f"is {numbers[row, chip]:g}", f"give {kind}")


def _check_consistent(table: dict[str, np.ndarray]) -> None:
    cells = np.ceil(table["weight_bits"] / table["cell_bits"])
    nodes = constant("scaling.nodes")
    known = np.array([kind in ARRAYS for kind in table["array"].tolist()])
    limits = [
        (
            "cols",
            table["cols"] < cells,
            "cannot hold one weight",
            "give at least weight_bits / cell_bits columns",
        ),
        ("array", ~known, "is unknown", f"use one of {', '.join(ARRAYS)}"),
        (
            "supply_v",
            table["supply_v"] <= constant("logic.threshold"),
            "is below threshold",
            "give more volts",
        ),
        (
            "adc_bits",
            table["adc_bits"] > MOST_BITS,
            "is beyond any converter of an array",
            f"give at most {MOST_BITS}",
        ),
        (
            "node_nm",
            (table["node_nm"] < nodes.min()) | (table["node_nm"] > nodes.max()),
            "is a node we have no figures of",
            f"give {nodes.min():g} to {nodes.max():g}",
        ),
    ]
    for name, bad, what, todo in limits:
        if bad.any():
            index = int(np.argmax(bad))
            raise BadInput(f"chip {index}.{name}", f"{table[name][index]} {what}", todo)
