"""Runs evaluations side by side; whatever happens to one of them is a value, never an exception.

joblib hands the candidates out: to threads here, to a cluster with another ``backend``. Each thread
drives one worker process of its own (started by loky, so scripts need no ``if __name__ ==
"__main__"``), and the evaluation happens in there. It may raise, hang, return nonsense, eat all
memory or take the process down: its thread notices, writes one line about it and starts a new
process for the next candidate. Nobody else is disturbed.
"""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypedDict, Unpack

import joblib

from cimbo.compat import dump_with_code
from cimbo.errors import BadInput, choose_from
from cimbo.execution.cluster import CLUSTER_BACKENDS, connect
from cimbo.execution.pool import IDLE_WORKERS, Keyed, Outcome, WorkerPool, attempts
from cimbo.execution.worker import Evaluate, Job, measure
from cimbo.storage.values import one_line

__all__ = ["Evaluate", "ExecutionOptions", "Outcome", "check", "close", "connect", "flow", "run"]


LONGEST_TIMEOUT_S = 2e6  # 23 days; the system waits for at most 2**31 ms
MOST_WORKERS = 1024
MOST_MEMORY_MB = 1 << 40  # the largest limit that the system can express


class ExecutionOptions(TypedDict, total=False):
    """Options of `run` for those who pass them on.

    Examples:
        >>> from cimbo import ExecutionOptions
        >>> ExecutionOptions(timeout_s=60.0, retries=1)
        {'timeout_s': 60.0, 'retries': 1}
    """

    timeout_s: float | None
    retries: int
    memory_mb: int | None
    backend: str
    isolate: bool


Conditions = ExecutionOptions  # its former name, for one release


def run(
    candidates: Sequence[Keyed],
    evaluate: Evaluate,
    *,
    n_jobs: int = 1,
    timeout_s: float | None = None,
    retries: int = 0,
    memory_mb: int | None = None,
    backend: str = "loky",
    isolate: bool = False,
) -> Iterator[Outcome]:
    """Evaluate candidates side by side.

    With ``n_jobs=1``, the ``loky`` backend, no limits and no ``isolate``, ``evaluate`` runs in this
    process, where nothing can stop it and where a crash ends the whole program. Otherwise it runs in
    worker processes. These use one thread each unless OMP_NUM_THREADS and its like say otherwise,
    print to stderr only, and wait for the next batch until `close`. Closing the iterator, or
    KeyboardInterrupt, ends the running evaluations.

    Args:
        candidates: What is to be evaluated.
        evaluate: Takes the genes of a candidate by name, and returns its metrics by name.
        n_jobs: Evaluations at a time; -1 for one a core, or all that a cluster gives.
        timeout_s: Seconds for each attempt; None for no limit.
        retries: How often a failure is tried again.
        memory_mb: Limit of the private memory of a worker process in MiB, imports included (Linux
            only); None for no limit.
        backend: ``loky`` for this machine; ``dask``, ``ray`` or ``slurm`` for a cluster (see
            `connect`). The limits hold there too.
        isolate: Whether to use a worker process even where none would be needed.

    Returns:
        An iterator that gives one `Outcome` a candidate, in the order in which they finish. It
        raises BadInput where ``evaluate`` does, unless that is about one candidate.

    Raises:
        BadInput: Arguments are impossible, or the evaluator cannot be sent to another process.
    """
    check(n_jobs, timeout_s=timeout_s, retries=retries, memory_mb=memory_mb, backend=backend)
    if runs_here(
        n_jobs, timeout_s=timeout_s, memory_mb=memory_mb, backend=backend, isolate=isolate
    ):
        return _here(candidates, evaluate, retries)
    job = Job(_packed(evaluate), timeout_s, retries, memory_mb)
    return {"loky": _local, **CLUSTER_BACKENDS}[backend](candidates, job, n_jobs)


def runs_here(n_jobs: int, **conditions: Unpack[ExecutionOptions]) -> bool:
    """Tell whether `run` evaluates in this process.

    Args:
        n_jobs: As for `run`.
        **conditions: Further options of `run`.

    Returns:
        Whether no worker process is needed.
    """
    limits = (conditions.get("timeout_s"), conditions.get("memory_mb"))
    is_local = conditions.get("backend", "loky") == "loky" and not conditions.get("isolate")
    return is_local and n_jobs == 1 and limits == (None, None)


def flow(
    following: Callable[[], Keyed | None],
    evaluate: Evaluate,
    *,
    n_jobs: int = 1,
    **conditions: Unpack[ExecutionOptions],
) -> Iterator[Outcome]:
    """Evaluate candidates that are chosen one at a time, whenever a worker is free.

    Runs in worker processes on this machine. ``following`` is asked in the caller's thread, after
    what was yielded before has been dealt with. Closing the iterator ends the running evaluations.

    Args:
        following: Returns one more candidate. None means none at present; when nothing is running
            either, that is the end.
        evaluate: As for `run`. It is sent anew with each candidate, so that what it has learned
            meanwhile goes along.
        n_jobs: Evaluations at a time; -1 for one a core.
        **conditions: Further options of `run`. ``backend`` can only be ``loky``; ``isolate``
            changes nothing.

    Yields:
        One `Outcome` a candidate, in the order in which they finish.

    Raises:
        BadInput: As `run` does, and for a cluster.
    """
    check(n_jobs, **conditions)
    if conditions.get("backend", "loky") != "loky":
        raise BadInput(
            "backend", "asynchronous evaluations run on this machine", "use loky, or batches"
        )
    pool = WorkerPool()
    if n_jobs < 0:
        n_workers = joblib.cpu_count()
    else:
        n_workers = n_jobs
    threads = ThreadPoolExecutor(n_workers)
    running: set[Future[Outcome]] = set()
    try:
        while True:
            while len(running) < n_workers and (candidate := following()) is not None:
                # Serialised anew each time, so that workers get the accuracies
                # that the evaluator has cached since.
                job = Job(
                    code=_packed(evaluate),
                    timeout_s=conditions.get("timeout_s"),
                    retries=conditions.get("retries", 0),
                    memory_mb=conditions.get("memory_mb"),
                )
                params = dict(candidate.params)
                running.add(threads.submit(pool.outcome, job, candidate.key, params))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    finally:
        pool.stop()
        threads.shutdown()


def check(
    n_jobs: int,
    *,
    timeout_s: float | None = None,
    retries: int = 0,
    memory_mb: int | None = None,
    backend: str = "loky",
    isolate: bool = False,
) -> None:
    """Check the options of `run` without running anything.

    Args:
        n_jobs: As for `run`; not 0, and at most `MOST_WORKERS` on this machine.
        timeout_s: As for `run`; above 0 and at most `LONGEST_TIMEOUT_S`.
        retries: As for `run`; not negative.
        memory_mb: As for `run`; above 0 and at most `MOST_MEMORY_MB`.
        backend: As for `run`.
        isolate: As for `run`; either is right.

    Raises:
        BadInput: One of them is impossible; it is named.
    """
    wrong = [
        ("n_jobs", n_jobs == 0, "must not be 0", "use 1, more, or -1 for one a core"),
        (
            "timeout",
            timeout_s is not None and not 0 < timeout_s <= LONGEST_TIMEOUT_S,
            f"must be above 0 s and at most {LONGEST_TIMEOUT_S:.0f} s",
            "leave it out for no limit",
        ),
        (
            "n_jobs",
            backend == "loky" and n_jobs > MOST_WORKERS,
            f"is {n_jobs}, more processes than a machine bears",
            f"use at most {MOST_WORKERS}, or a cluster",
        ),
        ("retries", retries < 0, "must not be negative", "use 0 for one attempt"),
        (
            "memory",
            memory_mb is not None and not 0 < memory_mb <= MOST_MEMORY_MB,
            f"must be above 0 MiB and at most {MOST_MEMORY_MB} MiB",
            "leave it out for no limit",
        ),
        (
            "backend",
            backend not in ("loky", *CLUSTER_BACKENDS),
            f"{backend!r} is unknown",
            choose_from(backend, ("loky", *CLUSTER_BACKENDS)),
        ),
    ]
    for where, bad, what, todo in wrong:
        if bad:
            raise BadInput(where, what, todo)


def close() -> None:
    """End the worker processes that wait for the next batch."""
    IDLE_WORKERS.close()


def _here(candidates: Sequence[Keyed], evaluate: Evaluate, retries: int) -> Iterator[Outcome]:
    """Evaluate candidates one after another in this process, yielding one outcome each."""
    for candidate in candidates:
        params = dict(candidate.params)
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            outcome = attempts(candidate.key, params, retries, partial(measure, evaluate, params))
        yield outcome


def _local(candidates: Sequence[Keyed], job: Job, n_jobs: int) -> Iterator[Outcome]:
    """Evaluate candidates in worker processes of this machine, yielding outcomes as they finish."""
    pool = WorkerPool()
    parallel = joblib.Parallel(
        n_jobs=joblib.cpu_count() if n_jobs < 0 else n_jobs,
        backend="threading",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="n_jobs",
    )
    outcomes = parallel(
        joblib.delayed(pool.outcome)(job, c.key, dict(c.params)) for c in candidates
    )
    try:
        for outcome in outcomes:  # noqa: UP028 (which would close joblib's iterator before the workers are stopped)
            yield outcome
    finally:
        pool.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns those who stop early
            outcomes.close()


def _packed(evaluate: Evaluate) -> bytes:
    """The evaluator as bytes for another process. Raises BadInput where it cannot be serialised."""
    try:
        return dump_with_code(evaluate)
    except Exception as error:
        todo = "open files and connections inside the function, or use one job and no limits"
        raise BadInput(
            "evaluate", f"cannot be sent to another process ({one_line(error)})", todo
        ) from error
