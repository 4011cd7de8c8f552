"""Who evaluates which design until when, in words and in seconds."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from getpass import getuser
from typing import Any

from cimbo.errors import BadInput, naming
from cimbo.problem.scalars import shown
from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.study.asked import MAX_TIMES_ASKED, AskedDesign, AskedDesigns

#: Variables in which queues say the number of a job, and of its task in an array.
QUEUE_VARIABLES = (
    ("slurm", "SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("pbs", "PBS_JOBID", "PBS_ARRAY_INDEX"),
    ("lsf", "LSB_JOBID", "LSB_JOBINDEX"),
    ("sge", "JOB_ID", "SGE_TASK_ID"),
)
SECONDS_PER_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PATTERN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
LONGEST_LEASE_S = 366 * 86400.0


@dataclass(frozen=True)
class Lease:
    """A design that somebody is evaluating: ``by`` whom, and ``until`` when (ISO 8601), for whatever is handed out."""

    key: str
    by: str
    until: str | None

    def to_json(self) -> dict[str, Any]:
        """The entry of ``cimbo status --format json``."""
        return {"key": self.key, "by": self.by, "until": self.until}


def leases(context: StudyContext) -> tuple[Lease, ...]:
    """List who evaluates what until when.

    Args:
        context: The study.

    Returns:
        A lease for each design that is being evaluated.
    """
    return tuple(lease_of(record) for record in context.study.running())


def lease_of(record: Record) -> Lease:
    """Read the lease of a running design.

    Args:
        record: A record that is running.

    Returns:
        The lease. It has no end where a search of cimbo evaluates the design, which holds it for as
        long as the process lives.
    """
    until = None
    if record.extra.get("handed_out"):
        moment = datetime.fromtimestamp(record.extra["expires"], UTC)
        until = moment.astimezone().isoformat(timespec="seconds")
    return Lease(record.key, str(record.extra["owner"]), until)


def lost(context: StudyContext) -> list[AskedDesign]:
    """List what was asked for, is not told, and whose lease has ended.

    Args:
        context: The study.

    Returns:
        The designs, oldest first, with those that `retry` freed.
    """
    return AskedDesigns(context.study).lost()


def is_given_up(asked: AskedDesign) -> bool:
    """Tell whether a lost design is given out again only after `retry`.

    Args:
        asked: The design.

    Returns:
        Whether it was handed out MAX_TIMES_ASKED times or more.
    """
    return asked.times >= MAX_TIMES_ASKED


def _parts_of_duration(text: str) -> list[tuple[str, str]]:
    """Amounts and units; none where the text holds something else too."""
    parts = DURATION_PATTERN.findall(text)
    if "".join(amount + unit for amount, unit in parts) != text:
        return []
    return parts


def duration(where: str, text: str) -> float:
    """Read the duration of a lease.

    Args:
        where: What is read, such as an option; named in errors.
        text: A duration such as ``90s``, ``30m``, ``24h``, ``2d`` or ``1h30m``; a plain number is
            seconds.

    Returns:
        Seconds.

    Raises:
        BadInput: The text is no duration, or not above 0 and at most a year.
    """
    parts = _parts_of_duration(text.strip())
    if not parts:
        raise BadInput(where, f"is {shown(text)}", "give a duration such as 30m, 24h or 2d")
    seconds = sum(float(amount) * SECONDS_PER_UNIT[unit or "s"] for amount, unit in parts)
    with naming(where):
        check_lease(seconds)
    return seconds


def check_lease(seconds: float) -> None:
    """Check that a lease ends, and not before it begins.

    Args:
        seconds: How long the lease is.

    Raises:
        BadInput: It is not above 0 and at most a year.
    """
    if not 0 < seconds <= LONGEST_LEASE_S:
        raise BadInput("lease", f"is {seconds:g} s", "give more than 0 s and at most a year")


def whoever() -> str:
    """Who is asking: the job of a queue where this runs in one, else user and machine."""
    for queue, job, task in QUEUE_VARIABLES:
        if os.environ.get(job):
            return f"{queue}-{os.environ[job]}{_task_suffix(task)}"
    return f"{_user()}@{socket.gethostname()}"


def _task_suffix(variable: str) -> str:
    """The number of a task in an array of jobs, after an underscore; empty outside of an array."""
    index = os.environ.get(variable, "")
    return f"_{index}" if index.isdigit() else ""


def _user() -> str:
    """The user's name; the account's number where it has no name, as in a container."""
    try:
        return getuser()
    except (OSError, KeyError):
        if hasattr(os, "getuid"):
            return str(os.getuid())
    return "somebody"
