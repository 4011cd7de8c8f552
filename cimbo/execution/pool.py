"""Who does the work: one candidate through its attempts, and the worker processes that a batch keeps busy."""

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cimbo.execution.worker import AttemptResult, Job, Surroundings, WorkerProcess


class Keyed(Protocol):
    """What the engine needs to know of a candidate: its ``key``, and its genes by name in ``params``."""

    @property
    def key(self) -> str:
        """Return the design's key."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Return its active genes."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate: ``done`` with finite metrics, or ``failed`` with a reason of one line.

    ``seconds`` is the wall time of the last attempt; ``extra`` holds what the evaluator says beside
    its metrics (`cimbo.problem.noted_metrics`), and ``attempts`` when there were several.
    """

    key: str
    params: dict[str, Any]
    metrics: dict[str, float]
    status: str
    reason: str | None
    seconds: float
    extra: dict[str, Any]


def attempts(
    key: str, params: dict[str, Any], retries: int, attempt: Callable[[], AttemptResult]
) -> Outcome:
    """Attempt a candidate once, and while it fails, up to ``retries`` times more.

    Args:
        key: The key of the candidate.
        params: Its genes by name.
        retries: How many further attempts there may be.
        attempt: Makes one attempt.

    Returns:
        What the last attempt gave; how many there were stands in ``extra`` when there were several.

    Raises:
        BadInput: The evaluator raised it, and not about this candidate: no other one would fare
            better.
    """
    answer, number = attempt(), 1
    while answer.reason is not None and number <= retries and answer.bad_input is None:
        answer, number = attempt(), number + 1
    if answer.bad_input is not None:
        raise answer.bad_input
    status = "done" if answer.reason is None else "failed"
    extra = dict(answer.about)
    if number > 1:
        extra["attempts"] = number
    return Outcome(key, params, answer.metrics, status, answer.reason, answer.seconds, extra)


@dataclass
class IdlePool:
    """Workers that wait for the next batch."""

    waiting: list[WorkerProcess] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, memory_mb: int | None) -> WorkerProcess:
        """Take a worker that waits, or start a new one.

        One that waits has to have the same limit, and to find modules and files where this process
        does now. Workers that find them elsewhere are ended.

        Args:
            memory_mb: The limit of its private memory in MiB; None for none.

        Returns:
            The worker. `give` it back.
        """
        here = Surroundings.now()
        with self.lock:
            elsewhere = [worker for worker in self.waiting if worker.surroundings != here]
            self.waiting = [worker for worker in self.waiting if worker.surroundings == here]
            found = next((w for w in self.waiting if w.memory_mb == memory_mb), None)
            if found:
                self.waiting.remove(found)
        for worker in elsewhere:
            worker.close()
        return found or WorkerProcess(memory_mb)

    def give(self, worker: WorkerProcess) -> None:
        """Let a worker wait for the next batch.

        Args:
            worker: A worker that is idle. One that is not alive is dropped.
        """
        with self.lock:
            if worker.alive:
                self.waiting.append(worker)

    def close(self) -> None:
        """End the workers that wait."""
        with self.lock:
            waiting, self.waiting = self.waiting, []
        for worker in waiting:
            worker.close()


IDLE_WORKERS = IdlePool()
atexit.register(IDLE_WORKERS.close)


def _forget() -> None:
    """A forked process has none of its parent's workers, and can neither ask nor end them."""
    IDLE_WORKERS.waiting, IDLE_WORKERS.lock = [], threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget)


@dataclass
class WorkerPool:
    """The workers busy with one batch, so that they can be stopped together."""

    busy: list[WorkerProcess] = field(default_factory=list)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def outcome(self, job: Job, key: str, params: dict[str, Any]) -> Outcome:
        """Evaluate a candidate in whichever worker is free.

        Called from one thread a worker. Once the pool is stopped every attempt fails at once.

        Args:
            job: The evaluator and its limits.
            key: The key of the candidate.
            params: Its genes by name.

        Returns:
            What became of it.

        Raises:
            BadInput: The evaluator raised it, and not about this candidate.
        """
        return attempts(key, params, job.retries, partial(self._attempt, job, params))

    def _attempt(self, job: Job, params: dict[str, Any]) -> AttemptResult:
        if self.stopped:
            return AttemptResult({}, "was stopped", 0.0)
        worker = IDLE_WORKERS.take(job.memory_mb)
        with self.lock:
            self.busy.append(worker)
        try:
            return worker.measure(job, params)
        except BaseException:
            worker.kill()
            raise
        finally:
            with self.lock:
                self.busy.remove(worker)
            IDLE_WORKERS.give(worker)

    def stop(self) -> None:
        """End what is still running; what has not begun never will."""
        with self.lock:
            self.stopped = True
            for worker in self.busy:
                worker.kill()


def outcome_there(job: Job, key: str, params: dict[str, Any]) -> Outcome:
    """Evaluate a candidate on a machine of a cluster, in a worker process driven from one of the cluster.

    Args:
        job: The evaluator and its limits.
        key: The key of the candidate.
        params: Its genes by name.

    Returns:
        What became of it.

    Raises:
        BadInput: The evaluator raised it, and not about this candidate.
    """
    pool = WorkerPool()
    try:
        return pool.outcome(job, key, params)
    finally:
        pool.stop()
