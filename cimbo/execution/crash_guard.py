"""Says on stderr which design a user's code was evaluating when it ended the whole program.

A crash of native code and ``os._exit`` leave this process no moment to say anything. So while code of a user's runs in this
process, another one waits at a pipe: it is told what runs, and speaks when the pipe closes meanwhile. This file imports
nothing but Python's own, for it is also what that process runs.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADVICE = (
    "ended the process (os._exit, a crash of native code, or a kill); what was recorded is kept: correct it, or "
    "run the same command with --jobs 2, where such an evaluation fails by itself"
)


class CrashGuard:
    """The process that waits, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Let stderr say ``what`` where the block ends this process.

        Args:
            what: What runs, in a line, such as "the evaluation of design fad64b39".

        Yields:
            Nothing.
        """
        self._tell(what)
        try:
            yield
        finally:
            self._tell("")

    def _tell(self, what: str) -> None:
        """Tell the process that waits what runs now; "" for nothing."""
        with (
            self._lock,
            contextlib.suppress(OSError),
        ):  # without a watcher everything else still works
            if self._process is None or self._process.poll() is not None:
                self._process = _started()
            assert self._process.stdin is not None
            self._process.stdin.write(f"{what}\n".encode())
            self._process.stdin.flush()


GUARD = CrashGuard()


def _started() -> subprocess.Popen[bytes]:
    """A process that waits; it ends by itself when this one does."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 (our own file)


def _wait() -> None:
    """Remember the last line of stdin, and print it where it is not empty when stdin closes."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    running = ""
    for line in sys.stdin:
        running = line.strip()
    if running:
        print(f"cimbo: {running} {ADVICE}", file=sys.stderr)


if __name__ == "__main__":
    _wait()
