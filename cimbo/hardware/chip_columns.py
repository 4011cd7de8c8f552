"""Checks and completes the genes of chips as users give them; what is wrong is told in one line.

What the genes are, and their usual values, stands in :mod:`cimbo.hardware.chip`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, choose_from
from cimbo.hardware.array_description import FAMILY_ALIASES, FAMILY_HINTS
from cimbo.hardware.cells import FILE_SUFFIX, OWN_CELL, cell, cell_index, cells_by_index
from cimbo.hardware.chip import (
    DEFAULT_GENES,
    GENE_WORDS,
    IS_WHOLE,
    LEAST_BUFFER_MB,
    MAY_BE_ZERO,
    MOST_ADC_BITS,
    MOST_OF_GENES,
    MOST_SRAM_CELL_BITS,
    NUMBER_GENES,
    REQUIRED_GENES,
    SWITCH_GENES,
    refuse_replaced_gene,
)
from cimbo.hardware.chip_ranges import CORE_GENES
from cimbo.hardware.rows import Bools, Floats
from cimbo.hardware.technology import constant
from cimbo.problem.scalars import shown

LARGEST_NUMBER = 1e12  # of any gene; products of several stay far from the end of float64


def columns(chips: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Check the genes of chips and fill in the defaults.

    Args:
        chips: One chip, a list of chips, or a mapping from genes to columns of values.

    Returns:
        Every gene by name, (n,): floats, or strings where its values are words. ``rows_active`` is
        never 0, nor more than the rows.

    Raises:
        BadInput: Where a value is not allowed, naming the chip and the gene.
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
    rows, active = table["rows"], table["rows_active"]
    table["rows_active"] = np.where(active == 0, rows, np.minimum(active, rows))
    for name in GENE_WORDS:
        words = np.broadcast_to(np.asarray(full[name], dtype=object), (size,))
        table[name] = _known_words(name, words)
    _check_consistent(table)
    _check_cells(table)
    return table


def _check_cells(table: Mapping[str, NDArray[Any]]) -> None:
    """Refuse cells of another family than the array's, and cells with fewer levels than their bits need.

    Raises:
        BadInput: Naming the first such chip.
    """
    words = table["cell"]
    if (words == OWN_CELL).all():
        return
    indices = np.array([cell_index(word) for word in words.tolist()])
    for cell_number, named in cells_by_index(indices).items():
        has_cell = indices == cell_number
        is_misplaced = has_cell & (table["array"] != named.family)
        if is_misplaced.any():
            chip = int(np.argmax(is_misplaced))
            what = f"{named.name} belongs to arrays {named.family}"
            todo = f'say array = "{named.family}", or another cell'
            raise BadInput(f"chip {chip}.cell", what, todo)
        has_too_many = has_cell & (2 ** table["cell_bits"] > named.figures["levels"])
        if has_too_many.any():
            chip = int(np.argmax(has_too_many))
            what = f"{table['cell_bits'][chip]:g} are more than {named.name} tells apart"
            todo = f"its levels are {named.figures['levels']:g}"
            raise BadInput(f"chip {chip}.cell_bits", what, todo)


def _length(name: str, value: Any) -> int:
    """Number of chips that a gene's value, one or a list, is for.

    Raises BadInput for nested or empty lists, and where it is neither numbers nor words.

    Returns:
        1 for a single value, else the length of the list.
    """
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
    """Turn a list of chips into columns, one for each gene that any of them gives.

    Raises BadInput where a chip lacks a gene that has no default.

    Returns:
        A list of one value a chip, by gene.
    """
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
    """Refuse unknown genes, words where a number is due, and missing genes. Raises BadInput."""
    known = list(dict.fromkeys([*CORE_GENES, *DEFAULT_GENES]))
    for name in given:
        refuse_replaced_gene(f"chip.{name}", str(name))
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            if near:
                todo = f"did you mean {near[0]}?"
            else:
                todo = f"known are {', '.join(known)}"
            raise BadInput(f"chip.{name}", "is no gene of a chip", todo)
    for name, value in given.items():
        # numpy would read "8" and True as numbers.
        is_word = name not in GENE_WORDS and isinstance(value, str)
        if is_word or (name not in SWITCH_GENES and isinstance(value, bool)):
            raise BadInput(f"chip.{name}", f"is {value!r}", "give a number")
    _check_arrays(given.get("array"))
    _check_complete(given)


def _check_complete(given: Mapping[str, Any]) -> None:
    """Refuse a chip that lacks a gene without a default. Raises BadInput, which suggests values."""
    if _are_digital(given.get("array")):
        needed = REQUIRED_GENES
    else:
        needed = (*REQUIRED_GENES, "adc_bits")
    missing = [name for name in needed if name not in given]
    if missing:
        middle_values = {name: CORE_GENES[name][len(CORE_GENES[name]) // 2] for name in missing}
        todo = f"give a value such as {middle_values.pop(missing[0])}"
        if middle_values:
            others = [f"{name} (such as {value})" for name, value in middle_values.items()]
            todo += f"; also missing: {', '.join(others)}"
        raise BadInput(f"chip.{missing[0]}", "is missing", todo)


def _check_arrays(arrays: Any) -> None:
    """Raises BadInput for an unknown word: what a chip needs besides depends on its array."""
    if isinstance(arrays, str):
        arrays = [arrays]
    if not isinstance(arrays, Sequence | np.ndarray):
        return
    words = list(arrays)
    if all(isinstance(word, str) for word in words):
        _known_words("array", np.asarray(words, dtype=object))


def _are_digital(arrays: Any) -> bool:
    """Whether the array of every chip is digital. What is not a word at all is refused elsewhere."""
    if isinstance(arrays, str):
        return arrays == "digital_sram"
    try:
        words = list(arrays)
    except TypeError:
        return False
    return all(isinstance(word, str) and word == "digital_sram" for word in words)


def _numbers(full: Mapping[str, Any], size: int) -> Floats:
    """The numeric genes, one a line, in the order of NUMBER_GENES: (genes, chips).

    A single chip is read in one call of numpy, because simulations of one chip must start quickly.
    Raises BadInput for what is not a number.

    Returns:
        Values, (genes, chips).
    """
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
    """Write one gene's value, or its values, into its line (chips,). Raises BadInput where they do not fit."""
    try:
        row[:] = value
    except (TypeError, ValueError, OverflowError):
        todo = "give a number"
        if row.size > 1:
            todo = f"give {row.size} numbers"
        raise BadInput(f"chip.{name}", f"is {shown(value)}", todo) from None


def _are_good(numbers: Floats) -> Bools:
    """Which numbers are allowed for their gene: positive (or 0 where it may be), not huge, whole if it must be.

    Args:
        numbers: (genes, chips).

    Returns:
        True for each allowed number, (genes, chips).
    """
    good: Bools = (numbers > 0) | (MAY_BE_ZERO & (numbers == 0))
    good &= numbers <= LARGEST_NUMBER
    good &= ~IS_WHOLE | (numbers == np.floor(numbers))
    return good


def _check_numbers(numbers: Floats) -> None:
    """Refuse numbers (genes, chips) that their gene cannot have. Raises BadInput for the first."""
    good = _are_good(numbers)
    if not good.all():
        row, chip = np.argwhere(~good)[0]
        kind = "a positive number"
        if IS_WHOLE[row, 0]:
            kind = "a whole positive number"
        raise BadInput(
            f"chip {chip}.{NUMBER_GENES[row]}", f"is {numbers[row, chip]:g}", f"give {kind}"
        )


def _known_words(name: str, words: NDArray[Any]) -> NDArray[Any]:
    """The words of a gene, (chips,), with old names replaced. Raises BadInput where one is unknown."""
    known = GENE_WORDS[name]
    listed = words.tolist()
    if name == "array":
        listed = [FAMILY_ALIASES.get(word, word) for word in listed]
    for word in dict.fromkeys(listed):
        if name == "cell" and word.endswith(FILE_SUFFIX):
            cell(word)
        elif word not in known:
            todo = choose_from(word, known)
            if name == "array":
                todo = FAMILY_HINTS.get(word, todo)
            raise BadInput(f"chip {listed.index(word)}.{name}", f"{word} is unknown", todo)
    return np.array(listed, dtype=object)


def _check_consistent(table: dict[str, NDArray[Any]]) -> None:
    """Refuse chips whose genes are allowed one by one, but not together or not in silicon. Raises BadInput."""
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
    """Limits beyond which no silicon exists.

    Returns:
        For each limit the gene's name, which chips exceed it (n,), what is wrong, and what to give.
    """
    is_sram = table["array"] != "rram"
    limits = []
    for name, most in MOST_OF_GENES.items():
        limits.append((name, table[name] > most, "is beyond any chip", f"give at most {most:g}"))
    small = table["buffer_mb"] < LEAST_BUFFER_MB
    limits.append(("buffer_mb", small, "is no memory", f"give at least {LEAST_BUFFER_MB:g}"))
    many = is_sram & (table["cell_bits"] > MOST_SRAM_CELL_BITS)
    todo = f"give at most {MOST_SRAM_CELL_BITS}, or array rram"
    limits.append(("cell_bits", many, "are more than SRAM cells hold", todo))
    return limits
