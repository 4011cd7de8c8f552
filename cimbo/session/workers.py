"""Where the evaluations of a call run, and what each of them may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cimbo import execution

MOST_JOBS_BY_DEFAULT = 8
ALL_WORKERS = -1


@dataclass(frozen=True)
class Workers:
    """How many evaluations run at a time, where, and under which limits.

    Attributes:
        jobs: Evaluations at a time. None: one a core and at most 8; on a cluster, all that it gives.
        timeout_s: Seconds that one attempt may take; None for no limit.
        retries: Further attempts after a failure.
        memory_mb: Private memory of one worker process in MiB (Linux); None for no limit.
        backend: ``loky`` (this machine), ``dask``, ``ray`` or ``slurm``.
        scheduler: Address of a running Dask or Ray cluster; None starts one here.

    Examples:
        >>> from cimbo import Workers
        >>> Workers(jobs=4, timeout_s=600.0).n_jobs
        4
    """

    jobs: int | None = None
    timeout_s: float | None = None
    retries: int = 0
    memory_mb: int | None = None
    backend: str = "loky"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        execution.check(self.n_jobs, **self.conditions)

    @property
    def n_jobs(self) -> int:
        """Evaluations at a time; -1 for all that the machine or the cluster has."""
        if self.jobs is not None:
            return self.jobs
        if self.backend != "loky":
            return ALL_WORKERS
        return min(os.cpu_count() or 1, MOST_JOBS_BY_DEFAULT)

    @property
    def conditions(self) -> execution.ExecutionOptions:
        """The limits, as the execution package takes them."""
        return execution.ExecutionOptions(
            timeout_s=self.timeout_s,
            retries=self.retries,
            memory_mb=self.memory_mb,
            backend=self.backend,
        )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Stay joined to the cluster while the block lasts. Raises BadInput where it does not answer."""
        with execution.connect(self.backend, self.scheduler):
            yield
