"""What happens during a study, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cimbo.storage import Record


@dataclass(frozen=True)
class Proposed:
    """A batch was chosen: how many designs, how long that took, and what the user should know."""

    count: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """An evaluation is on the disk; ``count`` of ``budget`` now, ``hypervolume`` None without references."""

    record: Record
    count: int
    budget: int
    hypervolume: float | None


@dataclass(frozen=True)
class Stopped:
    """The search ended before its budget; ``reason`` is one line."""

    reason: str


Event = Proposed | Recorded | Stopped
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that shows nothing."""
