"""One worker process: the evaluation that happens in it, and the pipe through which its master follows it."""

import contextlib
import faulthandler
import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from joblib.externals.loky.backend import get_context
from joblib.externals.loky.backend.reduction import loads

from cimbo.storage.values import finite_metrics, one_line

START_S = 300.0  # for a worker to start and import the evaluator; on a busy machine with torch that can be a minute
GRACE_S = 30.0  # after a time limit, before a worker whose master is gone ends itself
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")

Evaluate = Callable[[dict[str, Any]], Mapping[str, float]]


@dataclass(frozen=True)
class Job:
    """What is to be done with every candidate, in a form that travels: ``code`` is the evaluator as loky sends it."""

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


def measure(evaluate: Evaluate, params: dict[str, Any]) -> Answer:
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
        environment = {
            name: os.environ.get(name, "1") for name in (f"{lib}_NUM_THREADS" for lib in THREADS)
        }
        self._process = context.Process(
            target=_serve, args=(theirs, memory_mb, os.getpid()), env=environment
        )
        with _may_have_children():
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
                complaint = self._ask(
                    job.code, START_S, f"the evaluator was not loaded within {START_S:.0f} s"
                )
                if complaint is not None:
                    return Answer({}, str(complaint), 0.0)
                self._loaded = digest
            start = time.perf_counter()
            answer = self._ask(
                (params, job.timeout_s), job.timeout_s, f"took longer than {job.timeout_s} s"
            )
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


@contextlib.contextmanager
def _may_have_children() -> Iterator[None]:
    """multiprocessing forbids a daemon, as the workers of Dask are, to start processes, lest they outlive it.

    Ours follow their master wherever it goes, so that the ban has no reason here.
    """
    config: dict[str, Any] = vars(multiprocessing.current_process()).setdefault("_config", {})
    daemon = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemon is not None:
            config["daemon"] = daemon


def _serve(pipe: Connection, memory_mb: int | None, master: int) -> None:
    """The life of a worker process: an evaluator arrives as bytes, then candidates, until the pipe closes."""
    _settle(memory_mb, master)
    evaluate: Evaluate | None = None
    with contextlib.suppress(EOFError, OSError):  # our master closed the pipe, or is gone
        while True:
            message = pipe.recv()
            if isinstance(message, bytes):
                evaluate, complaint = _loaded(message)
                pipe.send(complaint)
            else:
                assert evaluate is not None
                pipe.send(_measured(evaluate, *message))


def _loaded(code: bytes) -> tuple[Evaluate | None, str | None]:
    try:
        return loads(
            code
        ), None  # from our own master process, through a pipe that nobody else holds
    except (Exception, SystemExit) as error:
        return None, f"the evaluator cannot be loaded in a worker: {_told(error)}"


def _measured(evaluate: Evaluate, params: dict[str, Any], timeout_s: float | None) -> Answer:
    if timeout_s is None:
        return measure(evaluate, params)
    # The master ends us at the limit. Should it be gone while C code holds the interpreter lock, this will.
    faulthandler.dump_traceback_later(timeout_s + GRACE_S, exit=True)
    try:
        return measure(evaluate, params)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _settle(memory_mb: int | None, master: int) -> None:
    """Makes this process a good worker: no terminal, one group with its children, a memory limit, no life alone."""
    os.setpgid(
        0, 0
    )  # so that a Ctrl-C at the terminal reaches the master only, and killing us kills our children
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
