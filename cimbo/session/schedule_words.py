"""How a chip runs a network, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cimbo.hardware.chip import DEFAULT_GENES


def schedule_told(chip: Mapping[str, Any], *, is_resident: bool) -> str:
    """Say how a chip runs its network, and what that was chosen by.

    Args:
        chip: Genes of the chip.
        is_resident: Whether all weights stay on it.

    Returns:
        A line such as "all weights stay on the chip (chosen by schedule = edp)".
    """
    weights = "weights are loaded again in each inference, some layers' perhaps not"
    if is_resident:
        weights = "all weights stay on the chip between inferences"
    goal = chip.get("schedule", DEFAULT_GENES["schedule"])
    order = chip.get("execution", DEFAULT_GENES["execution"])
    return f"{weights}; {order} (chosen by schedule = {goal})"
