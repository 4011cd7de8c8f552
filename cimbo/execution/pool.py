"""The attempts of one candidate, and the pools of worker processes: those busy with a batch, and those that are idle."""

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cimbo.execution.worker import AttemptResult, Job, Surroundings, WorkerProcess


class Keyed(Protocol):
    """A candidate as far as this package looks at it: its ``key``, and its genes by name in ``params``."""

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
    """The result of evaluating one candidate.

    Attributes:
        key: Key of the candidate.
        params: Its genes by name.
        metrics: Its metrics, finite numbers by name.
        status: "done" or "failed".
        reason: Why it failed, in one line; None if it did not.
        seconds: Wall time of the last attempt.
        extra: Notes of the evaluator beside its metrics (`cimbo.problem.noted_metrics`), and the
            number of ``attempts`` if there were several.
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
        The result of the last attempt; ``extra`` has the number of attempts if there were several.

    Raises:
        BadInput: The evaluator raised it, and it is not about this candidate: every other one would
            fail, too.
    """
    result, n_attempts = attempt(), 1
    while result.reason is not None and n_attempts <= retries and result.bad_input is None:
        result, n_attempts = attempt(), n_attempts + 1
    if result.bad_input is not None:
        raise result.bad_input
    status = "done" if result.reason is None else "failed"
    extra = dict(result.about)
    if n_attempts > 1:
        extra["attempts"] = n_attempts
    return Outcome(key, params, result.metrics, status, result.reason, result.seconds, extra)


@dataclass
class IdlePool:
    """Workers that wait for the next batch."""

    waiting: list[WorkerProcess] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, memory_mb: int | None) -> WorkerProcess:
        """Take a worker that waits, or start a new one.

        A waiting worker fits only if it has the same memory limit, and the same module paths and
        working directory as this process has now. Those with others are ended.

        Args:
            memory_mb: The limit of its private memory in MiB; None for none.

        Returns:
            The worker. `give` it back.
        """
        now = Surroundings.now()
        with self.lock:
            elsewhere = [worker for worker in self.waiting if worker.surroundings != now]
            self.waiting = [worker for worker in self.waiting if worker.surroundings == now]
            fitting = next((w for w in self.waiting if w.memory_mb == memory_mb), None)
            if fitting:
                self.waiting.remove(fitting)
        for worker in elsewhere:
            worker.close()
        return fitting or WorkerProcess(memory_mb)

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
    """Empty the pool in a forked process, which can neither use nor end its parent's workers."""
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
        """Make one attempt in a worker, which goes back to the idle ones if it is still alive."""
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
        """End all running evaluations, and let those that have not begun fail at once."""
        with self.lock:
            self.stopped = True
            for worker in self.busy:
                worker.kill()


def outcome_there(job: Job, key: str, params: dict[str, Any]) -> Outcome:
    """Evaluate a candidate in a worker process of the machine on which this is called.

    A cluster calls it on one of its machines.

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
