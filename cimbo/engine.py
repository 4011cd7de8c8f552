"""Runs evaluations side by side; whatever happens to one of them is a value, never an exception.

joblib hands the candidates out: to threads here, to a cluster with another ``backend``. Each thread drives one worker
process of its own (started by loky, so scripts need no ``if __name__ == "__main__"``), and the evaluation happens
in there. It may raise, hang, return nonsense, eat all memory or take the process down: its thread notices, writes
one line about it and starts a new process for the next candidate. Nobody else is disturbed.
"""

import atexit
import contextlib
import faulthandler
import hashlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import joblib
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.backend.reduction import dumps

from cimbo.errors import BadInput
from cimbo.store.values import finite_metrics, one_line

START_S = 300.0  # for a worker to start and import the evaluator; on a busy machine with torch that can be a minute
GRACE_S = 30.0  # after a time limit, before a worker whose master is gone ends itself
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")

Evaluate = Callable[[dict[str, Any]], Mapping[str, float]]


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


@dataclass(frozen=True)
class Job:
    """What is to be done with every candidate, in a form that travels: ``code`` is the pickled evaluator."""

    code: bytes
    timeout_s: float | None
    retries: int
    memory_mb: int | None


@dataclass(frozen=True)
class Answer:
    """One attempt: ``reason`` is None when all metrics are finite numbers."""

    metrics: dict[str, float]
    reason: str | None
    seconds: float


def run(
    candidates: Sequence[Keyed],
    evaluate: Evaluate,
    *,
    n_jobs: int = 1,
    timeout_s: float | None = None,
    retries: int = 0,
    memory_mb: int | None = None,
    backend: str = "loky",
) -> Iterator[Outcome]:
    """Yields one `Outcome` a candidate, in the order in which they finish.

    ``timeout_s`` seconds are given to each attempt; a failure is tried again ``retries`` times. ``memory_mb`` (MiB)
    limits the private memory of a worker process, imports included (Linux only). With ``n_jobs=1``, the ``loky``
    backend and neither limit, ``evaluate`` runs in this process, where nothing can stop it and a crash is a crash.
    ``n_jobs=-1`` means one worker a core. Workers use one thread each unless OMP_NUM_THREADS and its like say
    otherwise, write to stderr only, and stay for the next batch until `close`.

    Any other ``backend`` is one of joblib's (``dask``, ``ray``), connected beforehand; the limits hold there too.
    Closing the iterator, or KeyboardInterrupt, ends the running evaluations. Raises BadInput for impossible
    arguments and for an evaluator that cannot be sent to another process.
    """
    _check(n_jobs, timeout_s, retries, memory_mb)
    if backend == "loky" and n_jobs == 1 and timeout_s is None and memory_mb is None:
        return _here(candidates, evaluate, retries)
    job = Job(_pickled(evaluate), timeout_s, retries, memory_mb)
    jobs = joblib.cpu_count() if n_jobs < 0 and backend == "loky" else n_jobs
    return _local(candidates, job, jobs) if backend == "loky" else _remote(candidates, job, jobs, backend)


def close() -> None:
    """Ends the worker processes that wait for the next batch."""
    _IDLE.close()


def _here(candidates: Sequence[Keyed], evaluate: Evaluate, retries: int) -> Iterator[Outcome]:
    for candidate in candidates:
        params = dict(candidate.params)
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            outcome = _attempts(candidate.key, params, retries, partial(_measure, evaluate, params))
        yield outcome


def _local(candidates: Sequence[Keyed], job: Job, n_jobs: int) -> Iterator[Outcome]:
    crew = Crew()
    parallel = joblib.Parallel(
        n_jobs=n_jobs, backend="threading", return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs"
    )
    outcomes = parallel(joblib.delayed(crew.outcome)(job, c.key, dict(c.params)) for c in candidates)
    try:
        for outcome in outcomes:  # noqa: UP028 (which would close joblib's iterator before the crew is stopped)
            yield outcome
    finally:
        crew.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells whoever stops early to ask for less
            outcomes.close()


def _remote(candidates: Sequence[Keyed], job: Job, n_jobs: int, backend: str) -> Iterator[Outcome]:
    parallel = joblib.Parallel(n_jobs=n_jobs, backend=backend, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(_outcome_there)(job, c.key, dict(c.params)) for c in candidates)


def _outcome_there(job: Job, key: str, params: dict[str, Any]) -> Outcome:
    """On a machine of a cluster: the same worker processes, driven from a process of the cluster."""
    crew = Crew()
    try:
        return crew.outcome(job, key, params)
    finally:
        crew.stop()


def _attempts(key: str, params: dict[str, Any], retries: int, attempt: Callable[[], Answer]) -> Outcome:
    answer, number = attempt(), 1
    while answer.reason is not None and number <= retries:
        answer, number = attempt(), number + 1
    status = "done" if answer.reason is None else "failed"
    extra = {"attempts": number} if number > 1 else {}
    return Outcome(key, params, answer.metrics, status, answer.reason, answer.seconds, extra)


def _measure(evaluate: Evaluate, params: dict[str, Any]) -> Answer:
    """Calls the evaluator on a copy of ``params`` and makes whatever it does a value."""
    start = time.perf_counter()
    try:
        result = evaluate(dict(params))
        if isinstance(result, Mapping) and result:
            metrics, reason = finite_metrics(result)
        else:
            metrics, reason = {}, one_line(f"returned {result!r:.60} instead of a dict of metrics")
    except (Exception, SystemExit) as error:
        metrics, reason = {}, _told(error)
    return Answer(metrics, reason, time.perf_counter() - start)


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return one_line(f"{type(error).__name__}: {one_line(error)[:400]}{place}")


class Cell:
    """One worker process and the pipe to it. `measure` never raises for what happens inside."""

    def __init__(self, memory_mb: int | None) -> None:
        context = get_context("loky")
        self._pipe, theirs = context.Pipe()
        environment = {name: os.environ.get(name, "1") for name in (f"{lib}_NUM_THREADS" for lib in THREADS)}
        self._process = context.Process(target=_serve, args=(theirs, memory_mb, os.getpid()), env=environment)
        self._process.start()
        theirs.close()
        self._loaded = b""
        self.memory_mb = memory_mb
        self.alive = True

    def measure(self, job: Job, params: dict[str, Any]) -> Answer:
        """One attempt. Afterwards the cell is either as good as before or not ``alive``."""
        start = time.perf_counter()
        digest = hashlib.sha256(job.code).digest()
        try:
            if digest != self._loaded:
                complaint = self._ask(job.code, START_S, f"the evaluator was not loaded within {START_S:.0f} s")
                if complaint is not None:
                    return Answer({}, str(complaint), 0.0)
                self._loaded = digest
            start = time.perf_counter()
            answer = self._ask((params, job.timeout_s), job.timeout_s, f"took longer than {job.timeout_s} s")
            assert isinstance(answer, Answer)
            return answer
        except TimeoutError as error:
            self.kill()
            reason = str(error)
        except (EOFError, OSError):
            reason = self._obituary()
        return Answer({}, reason, time.perf_counter() - start)

    def kill(self) -> None:
        """Ends the process at once, and with it every program it had started."""
        if not self.alive:
            return
        self.alive = False
        for kill in (os.killpg, os.kill):  # it may not have founded its group yet
            with contextlib.suppress(ProcessLookupError):
                kill(self._process.pid, signal.SIGKILL)
                return

    def close(self) -> None:
        """Lets an idle process end."""
        self._pipe.close()
        self._process.join(1.0)
        self.kill()

    def _ask(self, message: object, patience_s: float | None, complaint: str) -> object:
        self._pipe.send(message)
        if not self._pipe.poll(patience_s):
            raise TimeoutError(complaint)
        return self._pipe.recv()

    def _obituary(self) -> str:
        self._process.join(5.0)
        code = self._process.exitcode
        self.kill()
        if code is None or code >= 0:
            return f"the worker process ended itself (exit code {code})"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"the worker process was killed by {name}{hint}"


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


_IDLE = Idle()
atexit.register(close)


@dataclass
class Crew:
    """The workers busy with one batch, so that they can be stopped together."""

    busy: list[Cell] = field(default_factory=list)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def outcome(self, job: Job, key: str, params: dict[str, Any]) -> Outcome:
        return _attempts(key, params, job.retries, partial(self._attempt, job, params))

    def _attempt(self, job: Job, params: dict[str, Any]) -> Answer:
        if self.stopped:
            return Answer({}, "was stopped", 0.0)
        cell = _IDLE.take(job.memory_mb)
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
            _IDLE.give(cell)

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for cell in self.busy:
                cell.kill()


def _serve(pipe: Connection, memory_mb: int | None, master: int) -> None:
    """The life of a worker process: an evaluator arrives as bytes, then candidates, until the pipe closes."""
    _settle(memory_mb, master)
    evaluate: Evaluate | None = None
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if isinstance(message, bytes):
            try:
                evaluate, complaint = pickle.loads(message), None  # noqa: S301 (sent by our own master process)
            except (Exception, SystemExit) as error:
                complaint = f"the evaluator cannot be loaded in a worker: {_told(error)}"
            pipe.send(complaint)
            continue
        params, timeout_s = message
        assert evaluate is not None
        if timeout_s is not None:
            # The master ends us at the limit. Should it be gone while C code holds the interpreter lock, this will.
            faulthandler.dump_traceback_later(timeout_s + GRACE_S, exit=True)
        answer = _measure(evaluate, params)
        faulthandler.cancel_dump_traceback_later()
        pipe.send(answer)


def _settle(memory_mb: int | None, master: int) -> None:
    """Makes this process a good worker: no terminal, one group with its children, a memory limit, no life alone."""
    os.setpgid(0, 0)  # so that a Ctrl-C at the terminal reaches the master only, and killing us kills our children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # stdout is for results
    if memory_mb is not None and sys.platform == "linux":
        import resource

        # Private data, not address space: torch reserves much of the latter and never touches it.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    threading.Thread(target=_follow, args=(master,), daemon=True).start()


def _follow(master: int) -> None:
    while os.getppid() == master:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


def _pickled(evaluate: Evaluate) -> bytes:
    try:
        return bytes(dumps(evaluate))
    except Exception as error:
        todo = "open files and connections inside the function, or use one job and no limits"
        raise BadInput("evaluate", f"cannot be sent to another process ({one_line(error)})", todo) from error


def _check(n_jobs: int, timeout_s: float | None, retries: int, memory_mb: int | None) -> None:
    wrong = [
        ("n_jobs", n_jobs == 0, "must not be 0", "use 1, more, or -1 for one a core"),
        ("timeout", timeout_s is not None and not timeout_s > 0, "must be above 0 s", "leave it out for no limit"),
        ("retries", retries < 0, "must not be negative", "use 0 for one attempt"),
        ("memory", memory_mb is not None and memory_mb <= 0, "must be above 0 MiB", "leave it out for no limit"),
    ]
    for where, bad, what, todo in wrong:
        if bad:
            raise BadInput(where, what, todo)
