"""When a search is given up: an evaluation that fails again and again for one reason is set up wrongly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cimbo.storage import Record

ALIKE_AT_START = 10  # failures in a row, while nothing has succeeded yet
ALIKE_LATER = 20  # failures in a row, when something has
VARYING_PATTERN = re.compile(
    r"0x[0-9a-f]+|[0-9a-f]{6,}|\d+(\.\d+)?"
)  # what differs between two alike reasons


@dataclass
class FailureWatch:
    """Counts failures in a row that have one reason, numbers and keys in it aside.

    Attributes:
        any_done: Whether an evaluation has succeeded.
        reason: That of the last failure, without what varies.
        alike: How many failures in a row had it.
    """

    any_done: bool = False
    reason: str = ""
    alike: int = 0

    def stops(self, record: Record) -> str | None:
        """Look at one more evaluation, and say whether the search should end with it.

        Args:
            record: The evaluation, recorded after those that were looked at before.

        Returns:
            One line for the user when too many in a row failed alike, see `ALIKE_AT_START` and
            `ALIKE_LATER`; else None.
        """
        if record.status == "done":
            self.any_done, self.reason, self.alike = True, "", 0
            return None
        reason = VARYING_PATTERN.sub("#", record.reason or "")
        if reason == self.reason:
            self.alike = self.alike + 1
        else:
            self.alike = 1
        self.reason = reason
        if self.alike < (ALIKE_LATER if self.any_done else ALIKE_AT_START):
            return None
        return (
            f"stopped: {self.alike} evaluations in a row failed alike ({record.reason}); "
            "correct what evaluates, then run the same command with --retry-failed"
        )
