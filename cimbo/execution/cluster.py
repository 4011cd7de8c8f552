"""The same evaluations on the machines of a cluster: Dask through joblib, Ray and SLURM directly.

The study stays where it is, on one machine. Only candidates travel there and outcomes back. A
worker of the cluster drives a process of its own, as the local engine does, so that time and memory
limits hold and a crash costs one evaluation; when the cluster's worker itself is lost, the cluster
gives its candidate to another one.
"""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib

from cimbo.errors import BadInput
from cimbo.execution.pool import Keyed, Outcome, outcome_there
from cimbo.execution.worker import Job
from cimbo.storage.values import one_line

# Workers of the cluster that may be lost with one candidate before it counts as failed
MAX_LOST_WORKERS = 3
SLURM_FOLDER = Path("runs", "slurm")  # on the file system that the nodes share
POLL_INTERVAL_S = 0.2

Batch = Callable[[Sequence[Keyed], Job, int], Iterator[Outcome]]


@dataclass(frozen=True)
class Tasks:
    """Functions by which `_window` uses a cluster; a task is whatever ``submit`` returns.

    Attributes:
        submit: Starts a task for a candidate.
        finished: Waits until some of the given tasks have finished, and returns these.
        result: The outcome of a finished task; raises if it was lost.
        cancel: Ends a task.
    """

    submit: Callable[[Keyed], Any]
    finished: Callable[[list[Any]], list[Any]]
    result: Callable[[Any], Outcome]
    cancel: Callable[[Any], object]


def dask(candidates: Sequence[Keyed], job: Job, n_jobs: int) -> Iterator[Outcome]:
    """Evaluate through joblib, on the cluster of the current ``distributed.Client``.

    Args:
        candidates: What is to be evaluated.
        job: The evaluator and its limits.
        n_jobs: Candidates with the cluster at a time; -1 for all that it gives.

    Yields:
        One outcome a candidate, in the order in which they finish.

    Raises:
        BadInput: The extra is not installed, the cluster was lost, or the evaluator says that it
            can evaluate no design.
    """
    _extra("distributed", "dask")
    with joblib.parallel_config(backend="dask"):
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    tasks = (joblib.delayed(outcome_there)(job, c.key, dict(c.params)) for c in candidates)
    try:
        yield from parallel(tasks)
    except (BadInput, GeneratorExit, KeyboardInterrupt):
        raise
    # BaseException, because cancellations of Dask and asyncio are no Exception
    except BaseException as error:
        raise BadInput(
            "dask",
            f"the cluster was lost ({one_line(f'{type(error).__name__}: {error}')[:100]})",
            "start it again, and run the same command: nothing recorded is lost",
        ) from error


def ray(candidates: Sequence[Keyed], job: Job, n_jobs: int) -> Iterator[Outcome]:
    """Evaluate as Ray tasks, since joblib's backend for Ray cannot return outcomes as they come.

    Args:
        candidates: What is to be evaluated.
        job: The evaluator and its limits.
        n_jobs: Candidates with the cluster at a time; negative for all of them.

    Yields:
        One outcome a candidate, in the order in which they finish. A candidate whose workers were
        lost more than `MAX_LOST_WORKERS` times is a failed one.

    Raises:
        BadInput: The extra is not installed, or the evaluator says that it can evaluate no design.
    """
    ray_module = _extra("ray", "ray")
    task = ray_module.remote(max_retries=MAX_LOST_WORKERS)(outcome_there)
    shared = ray_module.put(job)  # sent once to each machine, not with each candidate

    def finished(running: list[Any]) -> list[Any]:
        """Wait for the first task to finish."""
        return list(ray_module.wait(running, num_returns=1)[0])

    def submit(candidate: Keyed) -> Any:
        """Start a task for one candidate."""
        return task.remote(shared, candidate.key, dict(candidate.params))

    cancel = partial(ray_module.cancel, force=True)
    yield from _window(candidates, n_jobs, Tasks(submit, finished, ray_module.get, cancel))


def slurm(candidates: Sequence[Keyed], job: Job, n_jobs: int) -> Iterator[Outcome]:
    """Evaluate each candidate as one SLURM job, through submitit.

    Where there is no SLURM they are processes of this machine. Options of SLURM come from its own
    environment (SBATCH_PARTITION and the like). A job may take as long as all attempts together and
    10 minutes more; a day where there is no limit for an attempt.

    Args:
        candidates: What is to be evaluated.
        job: The evaluator and its limits.
        n_jobs: Candidates with the cluster at a time; negative for all of them.

    Yields:
        One outcome a candidate, in the order in which they finish. A candidate whose job was lost
        is a failed one.

    Raises:
        BadInput: The extra is not installed, or the evaluator says that it can evaluate no design.
    """
    submitit = _extra("submitit", "slurm")
    executor = submitit.AutoExecutor(folder=SLURM_FOLDER)
    if job.timeout_s is None:
        minutes = 24 * 60
    else:
        minutes = int(job.timeout_s * (job.retries + 1) / 60) + 10
    executor.update_parameters(timeout_min=minutes, name="cimbo")

    def finished(running: list[Any]) -> list[Any]:
        """Wait until some jobs have finished."""
        while not (done := [task for task in running if task.done()]):
            time.sleep(POLL_INTERVAL_S)
        return done

    def submit(candidate: Keyed) -> Any:
        """Start a job for one candidate."""
        return executor.submit(outcome_there, job, candidate.key, dict(candidate.params))

    yield from _window(
        candidates,
        n_jobs,
        Tasks(submit, finished, lambda task: task.result(), lambda task: task.cancel()),
    )


CLUSTER_BACKENDS: dict[str, Batch] = {"dask": dask, "ray": ray, "slurm": slurm}


@contextlib.contextmanager
def connect(backend: str, scheduler: str | None = None) -> Iterator[None]:
    """Connect to a cluster for the duration of a block.

    Args:
        backend: ``loky`` (nothing to join), ``dask``, ``ray`` or ``slurm``.
        scheduler: An address of Dask or Ray; None starts a local one. The other backends take none.

    Raises:
        BadInput: The extra is not installed, nobody answers there, or the backend is unknown or has
            no scheduler.
    """
    if scheduler is not None and backend not in ("dask", "ray"):
        raise BadInput(
            "scheduler",
            f"the backend {backend} has none",
            "use the backend dask or ray, or leave it out",
        )
    with contextlib.ExitStack() as stack:
        try:
            if backend == "dask":
                stack.enter_context(_extra("distributed", "dask").Client(scheduler))
            elif backend == "ray":
                ray_module = _extra("ray", "ray")
                ray_module.init(address=scheduler, log_to_driver=False, include_dashboard=False)
                stack.callback(ray_module.shutdown)
            elif backend == "slurm":
                _extra("submitit", "slurm")
            elif backend != "loky":
                known = ", ".join(["loky", *CLUSTER_BACKENDS])
                raise BadInput("backend", f"{backend!r} is unknown", f"use one of {known}")
        except (OSError, ConnectionError, RuntimeError) as error:
            what = f"no {backend} cluster answers ({one_line(error)[:100]})"
            raise BadInput(scheduler or backend, what, "check the address") from error
        yield


def _window(candidates: Sequence[Keyed], n_jobs: int, tasks: Tasks) -> Iterator[Outcome]:
    """Keep ``n_jobs`` candidates (all of them when negative) with a cluster, and yield their outcomes.

    When the iterator is closed early, the tasks that are still running are cancelled.

    Yields:
        One outcome a candidate, in the order in which they finish.
    """
    # The next candidate is the last one of ``waiting``, which is quick to take.
    waiting, running = list(reversed(candidates)), dict[Any, Keyed]()
    try:
        while waiting or running:
            while waiting and (n_jobs < 0 or len(running) < n_jobs):
                candidate = waiting.pop()
                running[tasks.submit(candidate)] = candidate
            for task in tasks.finished(list(running)):
                yield _outcome(tasks, task, running.pop(task))
    finally:
        for task in running:
            with contextlib.suppress(Exception):  # it may have ended, or its node be gone
                tasks.cancel(task)


def _outcome(tasks: Tasks, task: Any, candidate: Keyed) -> Outcome:
    """The outcome of a finished task; a failed one where the cluster has lost it."""
    try:
        return tasks.result(task)
    except BadInput:
        raise
    except Exception as error:  # a cluster may raise anything when a node is lost
        reason = one_line(f"lost by the cluster: {type(error).__name__}: {error}")
        return Outcome(candidate.key, dict(candidate.params), {}, "failed", reason, 0.0, {})


def _extra(module: str, extra: str) -> Any:
    """Import a package that an extra of cimbo installs. Raises BadInput where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            extra, f"the package {module} is not installed", f"pip install 'cimbo[{extra}]'"
        ) from error
