"""When a search is given up: an evaluation that fails again and again for one reason is set up wrongly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cimbo.storage import Record

ALIKE_AT_START = 10  # failures in a row, while nothing has succeeded yet
ALIKE_LATER = 20  # failures in a row, when something has
NOT_MEASURED = "did not measure "  # how the reason of one begins that lacks what the study needs
# Parts in which two messages of the same failure differ: addresses, hashes and numbers.
VARYING_PATTERN = re.compile(r"0x[0-9a-f]+|[0-9a-f]{6,}|\d+(\.\d+)?")


@dataclass
class FailureWatch:
    """Counts failures in a row that have one reason, numbers and keys in it aside.

    Attributes:
        any_done: Whether an evaluation has succeeded.
        reason: That of the last failure, without what varies.
        alike: How many failures in a row had it.
        ended: What ended the search, in a line; "" while nothing has.
    """

    any_done: bool = False
    reason: str = ""
    alike: int = 0
    ended: str = ""

    def stops(self, record: Record) -> str | None:
        """Look at one more evaluation, and say whether the search should end with it.

        Args:
            record: The evaluation, recorded after those that were looked at before.

        Returns:
            One line for the user when too many in a row failed alike, see `ALIKE_AT_START` and
            `ALIKE_LATER`, or the first lacks a metric that the study needs; else None.
        """
        if record.status == "done":
            self.any_done = True
            self.reason = ""
            self.alike = 0
            return None
        if not self.any_done and (record.reason or "").startswith(NOT_MEASURED):
            self.ended = (
                f"stopped: what evaluates {record.reason}, which the study needs; correct what "
                "evaluates, or the objectives of a new study (a design that fails should raise an "
                "error instead), then run the same command with --retry-failed (retry_failed=True)"
            )
            return self.ended
        self._count(VARYING_PATTERN.sub("#", record.reason or ""))
        if self.alike < self._most_alike():
            return None
        self.ended = (
            f"stopped: {self.alike} evaluations in a row failed alike ({record.reason}); "
            "correct what evaluates, then run the same command with --retry-failed "
            "(retry_failed=True)"
        )
        return self.ended

    def _count(self, reason: str) -> None:
        """Count one more failure, from 1 again where the reason is another one."""
        if reason != self.reason:
            self.alike = 0
        self.reason = reason
        self.alike += 1

    def _most_alike(self) -> int:
        if self.any_done:
            return ALIKE_LATER
        return ALIKE_AT_START
