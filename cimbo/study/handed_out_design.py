"""What is handed out of a study, what is told of it, and what becomes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.objectives import Candidate
from cimbo.study import stored_values


@dataclass(frozen=True)
class AskedDesign:
    """A design that was handed out.

    Attributes:
        candidate: The design, with what was predicted of it.
        extra: Kept beside its evaluation: position in the search, overhead in seconds.
        by: Who took it last.
        at: When, in Unix seconds.
        times: How often it was handed out.
        retry: Whether it is to be measured although it has failed before.
    """

    candidate: Candidate
    extra: Mapping[str, Any]
    by: str = ""
    at: float = 0.0
    times: int = 0
    retry: bool = False

    def to_json(self) -> dict[str, Any]:
        """The entry in the study file."""
        entry = asdict(self)
        chosen = entry.pop("candidate")
        for name in ("params", "origin", "predicted"):
            entry[name] = chosen[name]
        return entry

    def is_answered(self, status: str | None) -> bool:
        """Tell whether the design was told.

        Args:
            status: What became of its evaluation; None where there is none.

        Returns:
            True where there is one; one that failed is no answer where it is to be tried again.
        """
        if status == "failed" and self.retry:
            return False
        return status is not None

    def afresh(self) -> AskedDesign:
        """The design as a person wants it measured although it has failed, was lost or was withdrawn."""
        return replace(self, times=0, retry=True)


@dataclass(frozen=True)
class ToldRow:
    """What somebody tells of a design: ``metrics``, or why it ``failed``.

    Attributes:
        key: The key that was asked for; None for a design of one's own, in ``params``.
        metrics: What was measured.
        failed: Why nothing was; None where something was.
        params: The design's genes, where they are given.
        seconds: What the evaluation took.
    """

    key: str | None
    metrics: Mapping[str, float]
    failed: str | None = None
    params: Mapping[str, Any] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class ToldOutcome:
    """What became of a row.

    Attributes:
        what: "new"; "again" for another measurement of a design that was told before; "known" where the study held all
            of it; "withdrawn" where it held all of it until that was withdrawn; "refused".
        error: Why it was refused.
        withdrawal: That it was withdrawn, when and why; empty for another one.
    """

    what: str
    error: BadInput | None = None
    withdrawal: str = ""


@dataclass(frozen=True)
class Teller:
    """Who tells: a person or a job ``by``, of what the fingerprint ``reference`` names."""

    by: str
    reference: str


def is_asked_design(value: Any) -> bool:
    """Tell whether a value is an entry of what was handed out.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it has the form that `AskedDesign.to_json` writes.
    """
    if not stored_values.is_planned_design(value):
        return False
    numbers = (value.get("at"), value.get("times"))
    if not all(map(stored_values.is_number, numbers)):
        return False
    return isinstance(value.get("by"), str) and isinstance(value.get("retry"), bool)
