"""Who does the work: one candidate through its attempts, and the worker processes that a batch keeps busy."""

import atexit
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cimbo.execution.worker import Answer, Cell, Job


class Keyed(Protocol):
    """What the engine needs to know of a candidate."""

    @property
    def key(self) -> str: ...

    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate: ``done`` with finite metrics, or ``failed`` with a reason of one line.

    ``seconds`` is the wall time of the last attempt; ``extra`` holds ``attempts`` when there were several.
    """

    key: str
    params: dict[str, Any]
    metrics: dict[str, float]
    status: str
    reason: str | None
    seconds: float
    extra: dict[str, Any]


def attempts(
    key: str, params: dict[str, Any], retries: int, attempt: Callable[[], Answer]
) -> Outcome:
    """What became of a candidate after ``attempt`` and, while it fails, up to ``retries`` more of them."""
    answer, number = attempt(), 1
    while answer.reason is not None and number <= retries:
        answer, number = attempt(), number + 1
    status = "done" if answer.reason is None else "failed"
    extra = {"attempts": number} if number > 1 else {}
    return Outcome(key, params, answer.metrics, status, answer.reason, answer.seconds, extra)


@dataclass
class Idle:
    """Workers that wait for the next batch."""

    cells: list[Cell] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, memory_mb: int | None) -> Cell:
        with self.lock:
            found = next((c for c in self.cells if c.memory_mb == memory_mb), None)
            if found:
                self.cells.remove(found)
        return found or Cell(memory_mb)

    def give(self, cell: Cell) -> None:
        with self.lock:
            if cell.alive:
                self.cells.append(cell)

    def close(self) -> None:
        with self.lock:
            cells, self.cells = self.cells, []
        for cell in cells:
            cell.close()


IDLE = Idle()
atexit.register(IDLE.close)


@dataclass
class Crew:
    """The workers busy with one batch, so that they can be stopped together."""

    busy: list[Cell] = field(default_factory=list)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def outcome(self, job: Job, key: str, params: dict[str, Any]) -> Outcome:
        """What became of a candidate, in whichever worker was free. Called from one thread a worker."""
        return attempts(key, params, job.retries, partial(self._attempt, job, params))

    def _attempt(self, job: Job, params: dict[str, Any]) -> Answer:
        if self.stopped:
            return Answer({}, "was stopped", 0.0)
        cell = IDLE.take(job.memory_mb)
        with self.lock:
            self.busy.append(cell)
        try:
            return cell.measure(job, params)
        except BaseException:
            cell.kill()
            raise
        finally:
            with self.lock:
                self.busy.remove(cell)
            IDLE.give(cell)

    def stop(self) -> None:
        """Ends what is still running; what has not begun never will."""
        with self.lock:
            self.stopped = True
            for cell in self.busy:
                cell.kill()


def outcome_there(job: Job, key: str, params: dict[str, Any]) -> Outcome:
    """On a machine of a cluster: the same worker processes, driven from a process of the cluster."""
    crew = Crew()
    try:
        return crew.outcome(job, key, params)
    finally:
        crew.stop()
