"""One worker process: the evaluation that happens in it, and the pipe through which the main process controls it."""

import contextlib
import hashlib
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cimbo.compat import (
    adopt_orphans,
    children_allowed,
    load_with_code,
    make_pipe,
    make_process,
)
from cimbo.errors import BadInput, WrongAnswer
from cimbo.problem.noted_metrics import about, about_failure
from cimbo.problem.space import canonical_key
from cimbo.processes import ProcessMark, end_family, start_time
from cimbo.storage.values import finite_metrics, one_line

START_LIMIT_S = 300.0  # for a worker to start and import the evaluator; on a busy machine with torch that can be a minute
GUARD_INTERVAL_S = 0.2  # how often a guardian looks whether it is time to clear up
THREAD_LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")

Evaluate = Callable[[dict[str, Any]], Mapping[str, float]]
"""What measures a design: from its active genes by name to its metrics by name. It may raise: a failure is recorded.

Examples:
    >>> def evaluate(design):
    ...     return {"accuracy": 60.0 + design["depth"], "latency_ms": 64 * design["depth"] / design["rows"]}
    >>> evaluate({"depth": 4, "rows": 128})
    {'accuracy': 64.0, 'latency_ms': 2.0}
"""


@dataclass(frozen=True)
class Job:
    """The evaluator and its limits, in a form that can be sent to another process.

    Attributes:
        code: The evaluator, serialised.
        timeout_s: Seconds for each attempt; None: no limit.
        retries: How often a failure is tried again.
        memory_mb: Limit of a worker's private memory in MiB; None: no limit.
    """

    code: bytes
    timeout_s: float | None
    retries: int
    memory_mb: int | None


@dataclass(frozen=True)
class AttemptResult:
    """The result of one attempt to evaluate a design.

    Attributes:
        metrics: Those that are finite numbers, by name.
        reason: Why it failed, in one line; None when all metrics are finite numbers.
        seconds: Wall time.
        bad_input: The evaluator's error that no design can be evaluated, because it is set up wrongly.
        about: JSON notes that are kept with the metrics.
    """

    metrics: dict[str, float]
    reason: str | None
    seconds: float
    bad_input: BadInput | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def measure(evaluate: Evaluate, params: dict[str, Any]) -> AttemptResult:
    """Call the evaluator on a copy of ``params``; whatever it returns or raises becomes a result.

    Args:
        evaluate: Takes the genes by name, and returns the metrics by name.
        params: The genes of a candidate by name.

    Returns:
        The metrics that are finite numbers, why the attempt failed (if it did), and the wall time
        in seconds, including time spent on the design before its turn. A BadInput that is not about
        this design is in ``bad_input``.

    Raises:
        KeyboardInterrupt: It came while the evaluator ran.
    """
    start = time.perf_counter() - _seconds_ahead(evaluate, params)
    notes: dict[str, Any] = {}
    try:
        result = evaluate(dict(params))
        if isinstance(result, Mapping) and result:
            notes = about(result)
            metrics, reason = finite_metrics(result)
        else:
            metrics, reason = {}, one_line(f"returned {result!r:.60} instead of a dict of metrics")
    except KeyboardInterrupt:
        raise  # the user pressed Ctrl-C
    except BadInput as error:
        setup_error = None if error.is_about_design else error
        seconds = time.perf_counter() - start
        return AttemptResult(
            {}, _described(error), seconds, setup_error, about=about_failure(error)
        )
    except BaseException as error:
        metrics, reason, notes = {}, _described(error), about_failure(error)
    return AttemptResult(metrics, reason, time.perf_counter() - start, about=notes)


def _seconds_ahead(evaluate: Evaluate, params: dict[str, Any]) -> float:
    """Seconds spent on a design before its turn, as when a program is tried before a search."""
    known = getattr(evaluate, "prepared_seconds", None)
    if not known:
        return 0.0
    return float(known.get(canonical_key(params), 0.0))


def _described(error: BaseException) -> str:
    """An error in one line, with the file and line where it was raised."""
    if isinstance(error, WrongAnswer):
        return one_line(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = ""
    if frames:
        place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    return one_line(f"{type(error).__name__}: {one_line(error)[:400]}{place}")


@dataclass(frozen=True)
class Surroundings:
    """Where a process finds modules and files.

    A worker that was started with others may not find an evaluator's plug-ins or files.

    Attributes:
        module_paths: Folders in which modules are looked for.
        folder: The working directory; "" where it is gone.
    """

    module_paths: tuple[str, ...]
    folder: str

    @staticmethod
    def now() -> "Surroundings":
        """Return those of this process."""
        try:
            folder = os.getcwd()  # noqa: PTH109 (a folder that is gone has no resolved path)
        except FileNotFoundError:
            folder = ""
        return Surroundings(tuple(sys.path), folder)


class WorkerProcess:
    """One worker process and the pipe to it. `measure` never raises for what happens inside."""

    def __init__(self, memory_mb: int | None) -> None:
        """Start the process.

        Args:
            memory_mb: How much private memory it may take, in MiB; None: no limit.
        """
        self._pipe, worker_end = make_pipe()
        self._mark = ProcessMark.new()
        environment = self._mark.environment()
        # One thread a worker unless the user says otherwise: several workers share the cores.
        for library in THREAD_LIBRARIES:
            name = f"{library}_NUM_THREADS"
            environment[name] = os.environ.get(name, "1")
        arguments = (worker_end, memory_mb, os.getpid(), self._mark.own)
        self._process = make_process(_serve, arguments, environment)
        with children_allowed():  # also where this process is a daemon, as the workers of Dask are
            self._process.start()
        # Only the worker holds its end now, so this end reads EOF when the worker dies.
        worker_end.close()
        self._loaded = b""  # SHA-256 of the evaluator that the worker has loaded
        self.memory_mb = memory_mb
        self.surroundings = Surroundings.now()
        self.alive = True

    def measure(self, job: Job, params: dict[str, Any]) -> AttemptResult:
        """Make one attempt in the worker process.

        Afterwards the worker is either as good as before or not ``alive``. An evaluator is sent
        only when it is another one than before.

        Args:
            job: The evaluator and its limits; ``retries`` has no effect here.
            params: The genes of a candidate by name.

        Returns:
            What came of it. A timeout, a crash, and an evaluator that cannot be loaded are failed
            attempts. The wall time in seconds does not count a loading that succeeded.
        """
        start = time.perf_counter()
        digest = hashlib.sha256(job.code).digest()
        try:
            if digest != self._loaded:
                too_late = f"the evaluator was not loaded within {START_LIMIT_S:.0f} s"
                complaint = self._ask(job.code, START_LIMIT_S, too_late)
                if complaint is not None:
                    return AttemptResult({}, str(complaint), 0.0)
                self._loaded = digest
            start = time.perf_counter()  # loading does not count
            result = self._ask(params, job.timeout_s, f"took longer than {job.timeout_s} s")
            assert isinstance(result, AttemptResult)
            return result
        except TimeoutError as error:
            self.kill()
            reason = str(error)
        except (EOFError, OSError):
            reason = self._reason_of_death()
        return AttemptResult({}, reason, time.perf_counter() - start)

    def kill(self) -> None:
        """End the process at once, with all processes that it has started, also those in other sessions."""
        if not self.alive:
            return
        self.alive = False
        # Once the process has ended, its pid may belong to another one.
        running = self._process.exitcode is None
        end_family(self._process.pid if running else None, self._mark.own)

    def close(self) -> None:
        """Let an idle process end.

        It is killed where it has not ended after a second.
        """
        self._pipe.close()
        self._process.join(1.0)
        self.kill()

    def _ask(self, message: object, timeout_s: float | None, too_late: str) -> object:
        """Send the worker a message and wait for its answer. Raises TimeoutError(too_late)."""
        self._pipe.send(message)
        if not self._pipe.poll(timeout_s):
            raise TimeoutError(too_late)
        return self._pipe.recv()

    def _reason_of_death(self) -> str:
        """Why the process has ended, by its exit code, in one line."""
        self._process.join(5.0)
        code = self._process.exitcode
        self.kill()
        if code is None or code >= 0:
            return f"the worker process ended itself (exit code {code})"
        name = _signal_name(-code)
        if name == "SIGKILL":
            name += ", perhaps for lack of memory"
        return f"the worker process was killed by {name}"


def _signal_name(number: int) -> str:
    """Name of a signal, such as SIGKILL."""
    if number in set(signal.Signals):
        return signal.Signals(number).name
    return f"signal {number}"


def _serve(pipe: Connection, memory_mb: int | None, master: int, mark: str) -> None:
    """Main function of a worker process: it receives an evaluator as bytes, then candidates, until the pipe closes.

    Args:
        pipe: The worker's end of the pipe.
        memory_mb: Limit of its private memory in MiB; None: no limit.
        master: Process id of the main process.
        mark: By which all descendants of this worker are found.
    """
    _settle(memory_mb, master, mark)
    evaluate: Evaluate | None = None
    with contextlib.suppress(EOFError, OSError):  # the main process closed the pipe, or is gone
        while True:
            message = pipe.recv()
            if isinstance(message, bytes):
                evaluate, complaint = _loaded(message)
                pipe.send(complaint)
            else:
                assert evaluate is not None
                pipe.send(_measured(evaluate, message))


def _loaded(code: bytes) -> tuple[Evaluate | None, str | None]:
    """Load an evaluator: the evaluator and None, or None and the reason in one line."""
    try:
        # Loading code is safe here: it comes from our own master process, through a pipe
        # that nobody else can write to.
        return load_with_code(code), None
    except (Exception, SystemExit) as error:
        return None, f"the evaluator cannot be loaded in a worker: {_described(error)}"


def _measured(evaluate: Evaluate, params: dict[str, Any]) -> AttemptResult:
    """Evaluate a design in a worker, where a KeyboardInterrupt is a failure like any other."""
    start = time.perf_counter()
    try:
        return measure(evaluate, params)
    except KeyboardInterrupt as error:  # no Ctrl-C reaches a worker: the evaluator raised it itself
        return AttemptResult({}, _described(error), time.perf_counter() - start)


def _settle(memory_mb: int | None, master: int, mark: str) -> None:
    """Prepare this process as a worker: a guardian, a process group, no terminal, a memory limit."""
    _start_guardian(master, mark)
    # A process group of its own: Ctrl-C at the terminal reaches the main process only, and children
    # can be found by the group.
    os.setpgid(0, 0)
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # stdout is for results
    if memory_mb is not None and sys.platform == "linux":
        import resource

        # The limit is on private data, not on address space: torch reserves much address
        # space that it never uses.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))


def _start_guardian(master: int, mark: str) -> None:
    """Fork a process that ends this worker's family when the worker or the main process is gone.

    A thread of the worker could not do that: C code may hold the interpreter, and a killed process
    has no threads.

    Args:
        master: Process id of the main process.
        mark: By which all descendants of the worker are found.
    """
    # A process id may be used again after a process has ended, so the start time is compared, too.
    worker, master_start = os.getpid(), start_time(master)
    with warnings.catch_warnings():
        # Python warns of forks beside threads; the child uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for descriptor in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        # The pipe above all: were it open here, the main process would not see the worker's death.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        while os.getppid() == worker and master_start and start_time(master) == master_start:
            time.sleep(GUARD_INTERVAL_S)
        end_family(worker if os.getppid() == worker else None, mark)
    finally:
        os._exit(0)
