"""Chips as genes: defaults, checked columns, and two chips of middle size.

Arrays have a cycle of their own, which follows from their circuit; the digital side has a clock, a gene. Bandwidths are in
GB/s and the DRAM comes in channels of real kinds, so neither depends on how fast the arrays are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.hardware.array_description import (
    CELL_FAMILIES,
    FAMILY_ALIASES,
    RANGE_POLICIES,
    WEIGHT_ENCODINGS,
)
from cimbo.hardware.cells import CELL_WORDS, FILE_SUFFIX, OWN_CELL, cell, cell_index, cells_by_index
from cimbo.hardware.chip_ranges import CORE_GENES
from cimbo.hardware.kv_cache import CACHE_PLACES
from cimbo.hardware.pipeline_words import DUPLICATION_GOALS, EXECUTION_MODES
from cimbo.hardware.rows import Floats
from cimbo.hardware.technology import CONVERTER_KINDS, DRAM_KINDS, constant
from cimbo.problem.scalars import shown

MOST_ADC_BITS = 16
MOST_SRAM_CELL_BITS = 4
LEAST_BUFFER_MB = 1e-4
MOST_OF_GENES = {"supply_v": 2.0, "clock_ghz": 10.0, "activity": 1.0}
"""Volts that core transistors of 65 nm and less outlive, a clock of digital logic, a share."""
SCHEDULE_GOALS = ("latency", "energy", "edp")
ERROR_FACTORS = ("area_factor", "cycle_factor", "energy_factor", "leakage_factor")

DEFAULT_GENES: dict[str, Any] = {
    "adc_bits": 8,  # of a digital array that is tried as another; others must say
    "dac_bits": 1,
    "noc_gb_s": 64,
    "vector_lanes": 256,
    "cell_bits": 1,
    "array": "charge_sram",
    "cell": OWN_CELL,  # what a bit is stored in: that of the array's family, or one of data/cells
    "clock_ghz": 0.5,  # of buffer, NoC and vector unit; the arrays have a cycle of their own
    "dram": "lpddr4x",
    # Precision of activations and weights, the process, and how the arrays are used.
    "act_bits": 8,
    "weight_bits": 8,
    "tree_bits": 0,  # of a weight that one adder tree of a digital array takes; 0: all of them
    "node_nm": 28,
    "supply_v": constant("logic.supply"),
    "activity": constant("logic.activity"),
    "zero_skipping": 0,  # 1: a step in which the bits of all active rows are zero is left out
    "packing": 1,  # 1: several groups share a macro block-diagonally, 0: one group a macro
    "rows_written": 1,  # rows a macro writes at once
    "whole_kernels": 1,  # 1: macros hold whole kernel sides of an even share of channels each, 0: windows are cut anywhere
    # 1: as ZigZag counts: windows are read whole each time, the buffer reads and writes at once, weights load past the buffer
    # and one vector early.
    "zigzag_counting": 0,
    # How an array holds weights and reads sums; see array_description.
    "rows_active": 0,  # word lines on at once; 0: all of them
    "encoding": "twos_complement",  # of weights
    "signed_inputs": 0,
    "adc_range": "layer",  # what the converters' full scale is set to
    "converter": "auto",  # flash up to as many bits as one cycle of comparators is worth, successive approximation beyond
    "columns_summed": 1,  # neighbouring columns of binary weight that are summed before they are converted
    # Where keys and values of earlier tokens live, and in how many bits each.
    "kv_cache": "dram",
    "kv_bits": 0,  # 0: those of activations
    "edram_mb": 8,  # embedded DRAM of a chip whose kv_cache is one; it holds nothing else
    "edram_gb_s": 128,
    "execution": "layer_by_layer",  # or pipelined, where all weights stay on the chip
    "duplication": "latency",  # what spare macros hold copies of
    "schedule": "edp",  # what a schedule is chosen by: latency, energy, or their product
    # What the model may be off by, as factors of what it says: drawn for error bars, 1 everywhere else.
    "area_factor": 1.0,
    "cycle_factor": 1.0,
    "energy_factor": 1.0,
    "leakage_factor": 1.0,
    "cell_transistors": 0,  # of a cell with its part of the computing circuit; 0: as the family of the array has it
}
"""Values of the genes a chip may omit."""

BASELINE_CHIP: dict[str, Any] = {
    "rows": 128,
    "cols": 128,
    "macros_per_pe": 2,
    "pes": 16,
    "adc_bits": 6,
    "columns_per_adc": 4,
    "buffer_mb": 0.5,
    "buffer_gb_s": 64,
    "dram_channels": 1,
    "planes": 4,
}
"""A chip with converters, of middle size, which kits and tests simulate; what a study starts from is its ``[baseline]``."""

BASELINE_VIT_B: dict[str, Any] = BASELINE_CHIP | {
    "rows": 256,
    "cols": 256,
    "macros_per_pe": 4,
    "pes": 64,
    "buffer_mb": 2,
    "buffer_gb_s": 128,
    "dram_channels": 2,
}
"""The same chip, grown: 2 MB of weights a plane, 8 MB in all; of ViT-B some 86 MB are reloaded."""

REPLACED_GENES: dict[str, str] = {
    "buffer_bw": "buffer_gb_s, in GB/s: bits a cycle / 8 / ns of a cycle",
    "noc_bw": "noc_gb_s, in GB/s: bits a cycle / 8 / ns of a cycle",
    "dram_bw": "dram, the kind of its channels, and dram_channels, how many",
    "fixed_range": 'adc_range: "fixed" for 1, "layer_and_digit" for 0',
}
"""Genes of earlier releases, in bits a cycle of whatever converters the chip had: refused, for no value means the same."""

GENE_WORDS: dict[str, tuple[str, ...]] = {
    "array": CELL_FAMILIES,
    "cell": CELL_WORDS,
    "encoding": WEIGHT_ENCODINGS,
    "adc_range": RANGE_POLICIES,
    "converter": CONVERTER_KINDS,
    "dram": DRAM_KINDS,
    "schedule": SCHEDULE_GOALS,
    "kv_cache": CACHE_PLACES,
    "execution": EXECUTION_MODES,
    "duplication": DUPLICATION_GOALS,
}
NUMBER_GENES = tuple(dict.fromkeys(n for n in (*CORE_GENES, *DEFAULT_GENES) if n not in GENE_WORDS))
# A fraction of a DRAM channel is one at a lower data rate.
FRACTION_GENES = (
    *ERROR_FACTORS,
    "dram_channels",
    "buffer_mb",
    "buffer_gb_s",
    "noc_gb_s",
    "edram_mb",
    "edram_gb_s",
    "supply_v",
    "activity",
    "clock_ghz",
)
IS_WHOLE = np.array([[name not in FRACTION_GENES] for name in NUMBER_GENES])
SWITCH_GENES = ("zero_skipping", "packing", "whole_kernels", "zigzag_counting", "signed_inputs")
_ZERO_MEANS = ("kv_bits", "rows_active", "tree_bits", "adc_bits", "cell_transistors")
_MAY_BE_ZERO = np.array([[name in (*SWITCH_GENES, *_ZERO_MEANS)] for name in NUMBER_GENES])
REQUIRED_GENES = tuple(name for name in CORE_GENES if name not in DEFAULT_GENES)


def is_chip(properties: Iterable[str]) -> bool:
    """Tell whether these are the properties of a chip as cimbo describes one.

    A chip has every gene without a default, and no property that is no gene.

    Args:
        properties: Names of the properties. Their values are not looked at.

    Returns:
        True where they are.
    """
    named = frozenset(properties)
    required = CORE_GENES.keys() - DEFAULT_GENES.keys()
    return required <= named <= CORE_GENES.keys() | DEFAULT_GENES.keys()


LARGEST_NUMBER = 1e12  # of any gene; products of several stay far from the end of float64


def columns(chips: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Checks chips and completes them: columns (n,) of floats, and of strings for the genes that are words.

    Args:
        chips: One chip, a list of chips, or a mapping of columns.

    Returns:
        Every gene by name, (n,).

    Raises:
        BadInput: Where a value is none, naming the chip and the gene.
    """
    if isinstance(chips, Mapping):
        given = chips
    else:
        given = _transpose(chips)
    _check_names(given)
    size = max((_length(name, value) for name, value in given.items()), default=1)
    full = {**DEFAULT_GENES, **given}
    numbers = _numbers(full, size)
    _check_numbers(numbers)
    table: dict[str, NDArray[Any]] = dict(zip(NUMBER_GENES, numbers, strict=True))
    table["rows_active"] = np.where(
        table["rows_active"] == 0, table["rows"], np.minimum(table["rows_active"], table["rows"])
    )
    for name in GENE_WORDS:
        words = np.broadcast_to(np.asarray(full[name], dtype=object), (size,))
        table[name] = _known_words(name, words)
    _check_consistent(table)
    _check_cells(table)
    return table


def _check_cells(table: Mapping[str, NDArray[Any]]) -> None:
    """Cells that are named belong to the array's family, and tell apart as many levels as they hold bits."""
    words = table["cell"]
    if (words == OWN_CELL).all():
        return
    indices = np.array([cell_index(word) for word in words.tolist()])
    for number, named in cells_by_index(indices).items():
        where = indices == number
        other = where & (table["array"] != named.family)
        if other.any():
            index = int(np.argmax(other))
            what = f"{named.name} belongs to arrays {named.family}"
            todo = f'say array = "{named.family}", or another cell'
            raise BadInput(f"chip {index}.cell", what, todo)
        many = where & (2 ** table["cell_bits"] > named.figures["levels"])
        if many.any():
            index = int(np.argmax(many))
            what = f"{table['cell_bits'][index]:g} are more than {named.name} tells apart"
            todo = f"its levels are {named.figures['levels']:g}"
            raise BadInput(f"chip {index}.cell_bits", what, todo)


def _length(name: str, value: Any) -> int:
    """How many chips a value of a gene is for. Raises BadInput for lists in lists, and for words that are none."""
    if isinstance(value, str) or (name not in GENE_WORDS and isinstance(value, int | float)):
        return 1
    try:
        entries = np.asarray(value, dtype=object if name in GENE_WORDS else float)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"chip.{name}", f"is {shown(value)}", "give a number") from None
    if name in GENE_WORDS and not all(isinstance(word, str) for word in entries.ravel().tolist()):
        raise BadInput(
            f"chip.{name}", f"is {shown(value)}", f"use one of {', '.join(GENE_WORDS[name])}"
        )
    if entries.ndim > 1 or entries.size == 0:
        raise BadInput(f"chip.{name}", f"is {shown(value)}", "give one value, or a list of them")
    return int(entries.size)


def _transpose(chips: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    if not chips:
        raise BadInput("chips", "the list is empty", "give at least one chip")
    names = sorted({name for chip in chips for name in chip})
    for index, chip in enumerate(chips):
        digital = chip.get("array") == "digital_sram"
        for name in names:
            optional = name in DEFAULT_GENES and (name != "adc_bits" or digital)
            if name not in chip and not optional:
                raise BadInput(f"chip {index}.{name}", "is missing", "every chip needs it")
    return {name: [chip.get(name, DEFAULT_GENES.get(name)) for chip in chips] for name in names}


def _check_names(given: Mapping[str, Any]) -> None:
    known = list(dict.fromkeys([*CORE_GENES, *DEFAULT_GENES]))
    for name in given:
        if name in REPLACED_GENES:
            todo = f"say {REPLACED_GENES[name]}"
            raise BadInput(f"chip.{name}", "is a gene of an earlier release", todo)
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            if near:
                todo = f"did you mean {near[0]}?"
            else:
                todo = f"known are {', '.join(known)}"
            raise BadInput(f"chip.{name}", "is no gene of a chip", todo)
    for name, value in given.items():  # which numpy would read as numbers
        is_word = name not in GENE_WORDS and isinstance(value, str)
        if is_word or (name not in SWITCH_GENES and isinstance(value, bool)):
            raise BadInput(f"chip.{name}", f"is {value!r}", "give a number")
    if _are_digital(given.get("array")):
        needed = REQUIRED_GENES
    else:
        needed = (*REQUIRED_GENES, "adc_bits")
    for name in needed:
        if name not in given:
            usual = CORE_GENES[name][len(CORE_GENES[name]) // 2]
            raise BadInput(f"chip.{name}", "is missing", f"give a value such as {usual}")


def _are_digital(arrays: Any) -> bool:
    """Whether the array of every chip is digital; what is no word at all is told elsewhere."""
    if isinstance(arrays, str):
        return arrays == "digital_sram"
    try:
        words = list(arrays)
    except TypeError:
        return False
    return all(isinstance(word, str) and word == "digital_sram" for word in words)


def _numbers(full: Mapping[str, Any], size: int) -> Floats:
    """The numeric genes as rows (len(NUMBER_GENES), size); at once where the chip is one, whose check must be quick."""
    if size == 1:
        try:
            return np.array([full[name] for name in NUMBER_GENES], dtype=float).reshape(-1, 1)
        except (TypeError, ValueError, OverflowError):
            pass  # some gene is a list of one, or no number: the slower way tells which
    numbers = np.empty((len(NUMBER_GENES), size))
    for row, name in zip(numbers, NUMBER_GENES, strict=True):
        _fill(row, name, full[name])
    return numbers


def _fill(row: Floats, name: str, value: Any) -> None:
    try:
        row[:] = value
    except (TypeError, ValueError, OverflowError):
        todo = "give a number"
        if row.size > 1:
            todo = f"give {row.size} numbers"
        raise BadInput(f"chip.{name}", f"is {shown(value)}", todo) from None


def _check_numbers(numbers: Floats) -> None:
    good = (numbers > 0) | (_MAY_BE_ZERO & (numbers == 0))
    good &= (numbers <= LARGEST_NUMBER) & (~IS_WHOLE | (numbers == np.floor(numbers)))
    if not good.all():
        row, chip = np.argwhere(~good)[0]
        kind = "a positive number"
        if IS_WHOLE[row, 0]:
            kind = "a whole positive number"
        raise BadInput(
            f"chip {chip}.{NUMBER_GENES[row]}", f"is {numbers[row, chip]:g}", f"give {kind}"
        )


def _known_words(name: str, words: NDArray[Any]) -> NDArray[Any]:
    """The words of a gene by their present names. Raises BadInput naming the chip where one is unknown."""
    known = GENE_WORDS[name]
    listed = words.tolist()
    if name == "array":
        listed = [FAMILY_ALIASES.get(word, word) for word in listed]
    for word in dict.fromkeys(listed):
        if name == "cell" and word.endswith(FILE_SUFFIX):
            cell(word)
        elif word not in known:
            todo = f"use one of {', '.join(known)}"
            raise BadInput(f"chip {listed.index(word)}.{name}", f"{word} is unknown", todo)
    return np.array(listed, dtype=object)


def _check_consistent(table: dict[str, NDArray[Any]]) -> None:
    magnitude = table["weight_bits"] - (table["encoding"] == "differential")
    slices = np.ceil(np.maximum(magnitude, 1) / table["cell_bits"])
    cells = slices * np.where(table["encoding"] == "differential", 2, 1)
    nodes = constant("scaling.nodes")
    digital = table["array"] == "digital_sram"
    columns_needed = (
        "give at least weight_bits / cell_bits columns (twice as many for differential)"
    )
    limits = [
        ("cols", table["cols"] < cells, "cannot hold one weight", columns_needed),
        (
            "supply_v",
            table["supply_v"] <= constant("logic.threshold").max() + 0.02,
            "is too near the threshold of the transistors",
            "give more volts",
        ),
        (
            "adc_bits",
            table["adc_bits"] > MOST_ADC_BITS,
            "is beyond any converter of an array",
            f"give at most {MOST_ADC_BITS}",
        ),
        (
            "adc_bits",
            ~digital & (table["adc_bits"] == 0),
            "is no converter",
            "give the bits of the converters, or array digital_sram",
        ),
        (
            "node_nm",
            (table["node_nm"] < nodes.min()) | (table["node_nm"] > nodes.max()),
            "is a node we have no figures of",
            f"give {nodes.min():g} to {nodes.max():g}",
        ),
    ]
    for name, bad, what, todo in [*limits, *_beyond_physics(table)]:
        if bad.any():
            index = int(np.argmax(bad))
            raise BadInput(f"chip {index}.{name}", f"{table[name][index]} {what}", todo)


def _beyond_physics(
    table: dict[str, NDArray[Any]],
) -> list[tuple[str, NDArray[np.bool_], str, str]]:
    """Genes whose values no silicon has: name, where that is so (n,), what is wrong, what to give."""
    is_sram = table["array"] != "rram"
    found = []
    for name, most in MOST_OF_GENES.items():
        found.append((name, table[name] > most, "is beyond any chip", f"give at most {most:g}"))
    small = table["buffer_mb"] < LEAST_BUFFER_MB
    found.append(("buffer_mb", small, "is no memory", f"give at least {LEAST_BUFFER_MB:g}"))
    many = is_sram & (table["cell_bits"] > MOST_SRAM_CELL_BITS)
    todo = f"give at most {MOST_SRAM_CELL_BITS}, or array rram"
    found.append(("cell_bits", many, "are more than SRAM cells hold", todo))
    return found
