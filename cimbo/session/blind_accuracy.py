"""Accuracies of a user's own that are the same on every chip: the search is warned, and what it found carries a mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.evaluation.accuracy.sources import is_own
from cimbo.evaluation.gene_notes import notes_in
from cimbo.problem.space import Choice
from cimbo.storage import Record

BLIND_KIND = "blind to the chip"
"""What such an accuracy is called where a design's arrays would change it."""
# Where converters lose next to nothing, as in the chips of a network without an accuracy
# (data/presets/bases/costs-alone.toml)
ENOUGH_ADC_BITS = 8
MOST_ROWS = 256
WHAT_TO_DO = (
    "search digital arrays alone, or adc_bits = [8] and rows of at most 256 ([hardware.genes]), "
    "or let it read the genes of the chip"
)


def standing(
    name: str, records: Sequence[Record], hardware: Sequence[Choice], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """Say what the accuracies of a study are worth that do not look at the chip.

    Args:
        name: The source of accuracy.
        records: Evaluations of the study.
        hardware: The genes of its chips.
        fixed: Genes that are kept at a value, and properties of every chip.

    Returns:
        ``kind`` and ``label``, a sentence; empty where the accuracy looks at the chip, where nobody noted whether it
        does, or where no chip of the study has converters that lose anything.
    """
    if not is_own(name) or not _may_lose(hardware, fixed):
        return {}
    chip = {*(choice.name for choice in hardware), *fixed}
    n_blind = 0
    for record in records:
        if record.status != "done":
            continue
        noted = notes_in(record.extra)
        if noted is None or noted.genes is None or chip & set(noted.genes):
            return {}
        n_blind += 1
    if not n_blind:
        return {}
    return {"kind": BLIND_KIND, "label": told(name)}


def told(name: str) -> str:
    """Say what an accuracy means that is the same on every chip.

    Args:
        name: The source of accuracy.

    Returns:
        A sentence.
    """
    return (
        f"accuracy {name} looks at no gene of the chip: converters of few bits and arrays of many "
        "rows cost no accuracy here, so the accuracy of analog designs is that of the network alone"
    )


def warning(
    name: str, hardware: Sequence[Choice], fixed: Mapping[str, Any], *, is_blind: bool
) -> str | None:
    """Warn before a search whose accuracy does not look at the chip.

    Args:
        name: The source of accuracy.
        hardware: The genes of the chips.
        fixed: Genes that are kept at a value, and properties of every chip.
        is_blind: Whether the accuracy is known to be the same on every chip.

    Returns:
        A sentence; None where there is nothing to warn of.
    """
    if not is_blind or not _may_lose(hardware, fixed):
        return None
    return f"{told(name)}; {WHAT_TO_DO}"


def loses(chip: Mapping[str, Any]) -> bool:
    """Tell whether a chip's converters may lose what an accuracy that does not look at it cannot tell.

    Args:
        chip: Active genes of a chip; digital arrays have no ``adc_bits``.

    Returns:
        Whether they have few bits or many rows.
    """
    bits = chip.get("adc_bits")
    if bits is None:
        return False
    return bool(bits < ENOUGH_ADC_BITS or chip.get("rows", 0) > MOST_ROWS)


def _may_lose(hardware: Sequence[Choice], fixed: Mapping[str, Any]) -> bool:
    """Whether a chip of the study may lose anything in converters."""
    values: dict[str, list[Any]] = {}
    for choice in hardware:
        values[choice.name] = list(choice.values)
    for name, value in fixed.items():
        values[name] = [value]
    array = values.get("array", ())
    if array and all(str(word).startswith("digital") for word in array):
        return False
    bits, rows = values.get("adc_bits", ()), values.get("rows", ())
    if not bits:
        return False
    return min(bits) < ENOUGH_ADC_BITS or max(rows, default=0) > MOST_ROWS
