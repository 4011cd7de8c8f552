"""What no published chip confirms of the designs of a front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.config.genes import takes_cimbo_chips
from cimbo.hardware import DEFAULT_GENES
from cimbo.session.context import StudyContext
from cimbo.storage import Record

UNVALIDATED_ARRAYS = {
    "digital_sram": "digital arrays, whose energies published chips do not confirm",
    "rram": "resistive arrays, whose model is unvalidated",
}
"""By family of arrays what is to be known of their costs; the evidence is in docs/evidence.md."""


def unvalidated_told(context: StudyContext, records: Sequence[Record]) -> str | None:
    """Say how many designs have costs that rest on parts of the chip model without evidence.

    Args:
        context: The study.
        records: Designs of it.

    Returns:
        One line; None where there are no such designs, and where something else than cimbo's own
        description of chips says the costs.
    """
    if not context.has_description:
        return None
    tables = context.config.tables
    if tables.evaluator is not None or not takes_cimbo_chips(tables.hardware):
        return None
    parts = []
    for family, words in UNVALIDATED_ARRAYS.items():
        count = sum(_array(context.whole_chip(record.params)) == family for record in records)
        if count:
            parts.append(f"{count} of {len(records)} designs have {words}")
    if not parts:
        return None
    return f"note: {'; '.join(parts)} (docs/evidence.md)"


def _array(chip: Mapping[str, Any]) -> str:
    """The family of a chip's arrays."""
    return str(chip.get("array", DEFAULT_GENES["array"]))
