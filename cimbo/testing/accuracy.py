"""What a source of accuracy must do: a percentage for a design, the same one every time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cimbo.hardware import BASELINE_CHIP, DEFAULT_GENES, chip_choices
from cimbo.plugins import Accuracy
from cimbo.testing.finding import Finding, guarded, judged, passed
from cimbo.workloads import known, network


def check_accuracy(source: Accuracy, design: Mapping[str, Any] | None = None) -> list[Finding]:
    """Runs the kit for ``cimbo.accuracy`` on a source of accuracy.

    Args:
        source: The source.
        design: Genes of a network and a chip to ask it for; if None the smallest sub-network of the
            small vision transformer on the baseline chip.

    Returns:
        Findings in the order of the checks; an error that the source raises is one of them.
    """
    if design is not None:
        chosen = dict(design)
    else:
        chosen = network("fmnist-vit").smallest() | BASELINE_CHIP
    return list(guarded("accuracy", lambda: _examine(source, chosen)))


def check_shipped(name: str, source: Accuracy) -> list[Finding]:
    """Runs the kit on a sub-network of the source's own family.

    Args:
        name: Name of the source, taken for its family where the source has no ``network``.
        source: The source.

    Returns:
        Findings, as :func:`check_accuracy` gives them; for its own default design where no family
        is known by that name.
    """
    family = getattr(source, "network", name)
    return check_accuracy(
        source, network(family).smallest() | BASELINE_CHIP if family in known() else None
    )


def _examine(source: Accuracy, design: dict[str, Any]) -> Iterator[Finding]:
    genes = {c.name for c in chip_choices(extended=True)} | set(DEFAULT_GENES)
    declared = source.genes
    strange: list[str] = []
    if declared is None:
        detail = "not said: a gene that it looks up, or may look up, counts"
    else:
        strange = sorted(set(declared) - genes)
        detail = ", ".join(sorted(declared)) or "none"
    if strange:
        detail += f"; unknown: {strange}"
    yield judged(
        "hardware genes that change it", not strange, detail, "list genes of a chip only, in .genes"
    )
    before, start = dict(design), time.perf_counter()
    value = source.measure(design)
    seconds = time.perf_counter() - start
    number = isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 100
    yield judged(
        "validation accuracy", number, f"{value!r}", "return a percentage between 0 and 100"
    )
    yield judged(
        "the design is left as it was",
        design == before,
        "compared after a call",
        "copy it before changing it",
    )
    yield judged(
        "the same design, the same accuracy",
        source.measure(design) == value,
        "asked twice",
        "seed what is random",
    )
    if "test" in getattr(source, "parts", ("validation", "test")):
        test = source.measure(design, "test")
        yield judged(
            "test accuracy",
            math.isfinite(test) and 0 <= test <= 100,
            f"{test!r}",
            'answer for the part "test" too',
        )
    yield passed("seconds a call", f"{seconds:.3g}")
