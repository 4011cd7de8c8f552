"""Programs and worker processes that end when we say so, and with them whatever they have started.

A process group does not hold a child that founded a session of its own, and a parent's death
orphans its children. So each of our processes carries a mark in its environment, which its
descendants inherit wherever they go; what bears it, or descends from the process by parentage,
belongs to its family. On Linux both are read from /proc; elsewhere the group is all there is.

A process that is killed cannot end what it has started. So a `Guardian` beside it waits at a pipe, which closes with the
process however that ends. This file imports nothing but Python's own, for it is also what a guardian runs.
"""

import atexit
import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PROC_FOLDER = Path("/proc")
MARK_VARIABLE = "CIMBO_PROCESS_MARK"
LARGEST_OUTPUT = 64 << 20  # bytes that a program may print to stdout, and to stderr
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1  # between two looks at how much it has printed
GUARDIAN_PAUSE_S = 0.5  # between two looks at whether the guarded process still lives
CLOSING_S = 1.0  # how long a guardian may take to end by itself
KILL_ROUNDS = 20  # rounds of 5 ms; a process that forks while it is being killed needs a second one


class OutputTooLarge(RuntimeError):
    """A program printed more than it may."""


@dataclass(frozen=True)
class ProcessMark:
    """A mark that a process hands down to what it starts, after those that it has inherited itself."""

    own: str
    inherited: str

    @staticmethod
    def new() -> "ProcessMark":
        """A mark that no process bears yet."""
        return ProcessMark(secrets.token_hex(8), os.environ.get(MARK_VARIABLE, ""))

    def environment(self) -> dict[str, str]:
        """The variable that marks a process started with it."""
        return {MARK_VARIABLE: f"{self.inherited}:{self.own}"}


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since boot; '' when there is none or it has ended.

    A pid that was given to another process has another start. Without /proc all that is told is
    whether there is one.

    Returns:
        The time as text; '' for no such process.
    """
    if not (PROC_FOLDER / "self").exists():
        return _exists(pid)
    fields = _stat_fields(pid)
    # A zombie is as dead as a missing one.
    if not fields or fields[0] in "ZX":
        return ""
    return fields[19]


def family(root: int | None, mark: str) -> set[int]:
    """The living processes that descend from ``root``, itself included, or bear ``mark``; not this one."""
    assert mark, "an empty mark would be borne by all"
    parents = {}
    found = set()
    for pid in _pids():
        fields = _stat_fields(pid)
        if not fields or fields[0] in "ZX":
            continue
        parents[pid] = int(fields[1])
        if mark.encode() in _environment(pid):
            found.add(pid)
    if root in parents:
        found.add(root)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return found - {os.getpid()}


def end_family(root: int | None, mark: str) -> None:
    """Kills a process, its group, and every living process of its `family`."""
    left = family(root, mark)  # before anybody dies: orphans no longer tell whose they were
    if root is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(root, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(root, signal.SIGKILL)
    for _ in range(KILL_ROUNDS):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        left = family(root, mark)
        if not left:
            return
        time.sleep(0.005)


class Guardian:
    """A process that ends what this one has started and not ended, when this one is gone."""

    def __init__(self) -> None:
        words = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
        kept = {}
        for name, value in os.environ.items():
            if name != MARK_VARIABLE:
                kept[name] = value
        self._process = subprocess.Popen(  # noqa: S603  this file
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=kept,
        )
        self._lock = threading.Lock()
        self.owner = os.getpid()

    def tell(self, line: str) -> None:
        """Send the guardian a line, in the form that `guard` reads; a guardian that has ended gets none."""
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it end."""
        if self.owner != os.getpid():
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_S)


_guardians: list[Guardian] = []  # that of this process, once it has started a program
_guardians_lock = threading.Lock()


def _guardian() -> Guardian | None:
    """The guardian of this process; None in a worker of ours, which has one, and where none can be started."""
    if os.environ.get(MARK_VARIABLE):
        return None
    with _guardians_lock:
        if not _guardians or _guardians[-1].owner != os.getpid():
            try:
                _guardians.append(Guardian())
            except (OSError, TypeError):  # no interpreter to run it, in a frozen program
                return None
            atexit.register(_guardians[-1].close)
        return _guardians[-1]


@contextlib.contextmanager
def guarded(mark: ProcessMark) -> Iterator[Callable[[int], None]]:
    """Make sure that started programs do not outlive this process, even if it is killed.

    While the block lasts, a guardian process watches. When this process is gone, it ends all
    processes that bear ``mark``.

    Yields:
        A function to be called with the process id of what was started.
    """
    guardian = _guardian()
    if guardian is None:
        yield lambda pid: None
        return
    # The lines that `guard` reads: the mark, and its process id; 0 is not known yet, "-" has ended.
    guardian.tell(f"{mark.own} 0")
    try:
        yield lambda pid: guardian.tell(f"{mark.own} {pid}")
    finally:
        guardian.tell(f"{mark.own} -")


def guard(parent: int) -> None:
    """What a guardian does: hear which marks live, wait for ``parent`` to be gone, and end what is left.

    A line is a mark and the process that bears it: 0 before it is known, ``-`` when it has ended.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    living: dict[str, int] = {}
    heard = b""
    said = b"?"
    while said:
        # Gone already, it may still have said something: the pipe is read to its end.
        lives = os.getppid() == parent
        if not select.select([0], [], [], GUARDIAN_PAUSE_S if lives else 0.0)[0]:
            if not lives:
                break
            continue
        said = os.read(0, 1 << 16)
        *lines, heard = (heard + said).split(b"\n")
        for line in lines:
            mark, _, told = line.decode().partition(" ")
            if told == "-":
                living.pop(mark, None)
            else:
                living[mark] = int(told)
    for mark, pid in living.items():
        end_family(pid or None, mark)


def run_program(
    words: Sequence[str], *, text: str, timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Runs a program as `subprocess.run` does; at its time limit all that it has started ends with it.

    Args:
        words: the program and its arguments; no shell sees them.
        text: given to its standard input.
        timeout_s: seconds until it is killed, with its family.

    Returns:
        Its exit code and what it printed.

    Raises:
        subprocess.TimeoutExpired: it took longer.
        OutputTooLarge: it printed more than LARGEST_OUTPUT bytes.
        OSError: it cannot be started.
    """
    mark = ProcessMark.new()
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(text.encode())
        given.seek(0)
        with guarded(mark) as started:
            process = subprocess.Popen(  # noqa: S603  the caller names the program
                list(words),
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, **mark.environment()},
            )
            try:
                started(process.pid)
                _wait(process, [out, err], timeout_s)
            except BaseException:
                end_family(process.pid, mark.own)
                process.wait()
                raise
        printed, told = (_content(file) for file in (out, err))
    return subprocess.CompletedProcess(list(words), process.returncode, printed, told)


def _wait(process: subprocess.Popen[bytes], outputs: Sequence[BinaryIO], timeout_s: float) -> None:
    """Waits until the program ends.

    Raises:
        TimeoutExpired: As `run_program`, with the program still running.
        OutputTooLarge: As `run_program`, with the program still running.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = SHORTEST_PAUSE_S
    ended = False
    while not ended:
        try:
            process.wait(min(pause_s, max(deadline - time.monotonic(), 0.0)))
            ended = True
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
        if any(os.fstat(file.fileno()).st_size > LARGEST_OUTPUT for file in outputs):
            raise OutputTooLarge(f"printed more than {LARGEST_OUTPUT >> 20} MiB")
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(LARGEST_OUTPUT).decode("utf-8", "replace")


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC_FOLDER) if name.isdigit()]  # noqa: PTH208  a hot path
    except OSError:
        return []


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state, parent, ...); empty for no such process."""
    try:
        text = (PROC_FOLDER / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    # Counted after the command's name, which may itself hold spaces and brackets.
    return text.rpartition(")")[2].split()


def _environment(pid: int) -> bytes:
    try:
        return (PROC_FOLDER / str(pid) / "environ").read_bytes()
    except OSError:  # gone, or somebody else's
        return b""


def _exists(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "?"


if __name__ == "__main__":
    guard(int(sys.argv[1]))
