"""Programs that stay alive as servers: they read one request a line and answer with one line of JSON.

One process of ours has one server for each command, whatever evaluators come and go in it. A server that dies, hangs or
prints too much costs one evaluation; the next one starts it again.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from cimbo.errors import BadInput
from cimbo.evaluation.programs.answers import (
    Answer,
    ProgramFailed,
    joined,
    json_object,
    last_line,
)
from cimbo.processes import LARGEST_OUTPUT, ProcessMark, end_family, guarded

CLOSING_S = 1.0  # how long a server may take to end by itself after its stdin was closed
READ_SIZE_BYTES = 1 << 16


class Server:
    """One server process and the pipes to it, started when it is first asked."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = ProcessMark.new()
        self._guarding = ExitStack()
        self._lock = threading.Lock()
        self._unread = b""
        self._errors: BinaryIO | None = None
        self.starts = 0  # how often it was started

    def ask(self, request: str, timeout_s: float) -> Answer:
        """Send a request and wait for the line that answers it.

        Args:
            request: A line of JSON, without its end.
            timeout_s: Seconds that the answer may take.

        Returns:
            The answer, with what else the server printed as its log.

        Raises:
            ProgramFailed: When the server ends, takes longer or prints more than it may.
            BadInput: When it cannot be started.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            try:
                return self._exchange(f"{request}\n".encode(), timeout_s)
            except BaseException:
                # A late answer would be taken for that to the next request, so the server must go.
                self._end()
                raise

    def close(self) -> None:
        """End the server: by closing its stdin, or if it does not end by that, by force."""
        with self._lock:
            process = self._process
            if process is None:
                return
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CLOSING_S)
            self._end()

    def _start(self) -> None:
        """Start the server in a session of its own, with pipes that never block. Raises BadInput."""
        self._end()
        self._mark = ProcessMark.new()
        self._unread = b""
        self._errors = _growing_file()
        # The guard ends the server if this process dies; it is told the server's pid below.
        started = self._guarding.enter_context(guarded(self._mark))
        try:
            self._process = subprocess.Popen(  # noqa: S603  the user names the program
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env={**os.environ, **self._mark.environment()},
            )
        except OSError as error:
            what = f"cannot be started ({error.strerror})"
            raise BadInput(self._words[0], what, "give the path of a program") from None
        started(self._process.pid)
        self.starts += 1
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def _exchange(self, unwritten: bytes, timeout_s: float) -> Answer:
        """Write a request and read lines until one is a JSON object; the others are the server's log.

        Writing and reading take turns as the pipes allow, because a server that prints before it has
        read everything would otherwise block both sides.

        Returns:
            The answer.

        Raises:
            ProgramFailed: When the server ends, takes longer than ``timeout_s`` or prints too much.
        """
        process, name = self._process, self._words[0]
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + timeout_s
        log_lines: list[str] = []
        read_bytes = 0
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(process.stdin, selectors.EVENT_WRITE)
            while True:
                answer = self._next_answer(log_lines)
                if answer is not None:
                    return Answer(answer, joined("\n".join(log_lines), self._told()))
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    log = joined("\n".join(log_lines), self._told())
                    raise ProgramFailed(f"{name}: took longer than {timeout_s:g} s", log)
                for key, _ in ready.select(min(left_s, 1.0)):
                    if key.fileobj is process.stdout:
                        read_bytes += self._read(process, log_lines)
                    else:
                        unwritten = _written(process.stdin.fileno(), unwritten)
                        if not unwritten:
                            ready.unregister(process.stdin)
                if max(read_bytes, self._errors_size()) > LARGEST_OUTPUT:
                    raise ProgramFailed(f"{name}: printed more than {LARGEST_OUTPUT >> 20} MiB")

    def _next_answer(self, talk: list[str]) -> dict[str, object] | None:
        """Take lines off what was read, up to the first that is a JSON object.

        Args:
            talk: Gets the other lines.

        Returns:
            The object; None where there is none yet.
        """
        while b"\n" in self._unread:
            line, _, self._unread = self._unread.partition(b"\n")
            text = line.decode("utf-8", "replace")
            answer = json_object(text)
            if answer is not None:
                return answer
            talk.append(text)
        return None

    def _read(self, process: subprocess.Popen[bytes], talk: list[str]) -> int:
        """Read what the server has printed to stdout; return the number of bytes.

        Raises ProgramFailed, with the way in which it ended, where the server has ended.

        Returns:
            Bytes.
        """
        assert process.stdout is not None
        read = os.read(process.stdout.fileno(), READ_SIZE_BYTES)
        if read:
            self._unread += read
            return len(read)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CLOSING_S)
        code, told = process.returncode, self._told()
        ending = f"exit code {code}"
        if code is not None and code < 0:
            known = {int(s): s.name for s in signal.Signals}
            ending = f"killed by {known.get(-code, f'signal {-code}')}"
        log = joined("\n".join([*talk, self._unread.decode("utf-8", "replace")]), told)
        raise ProgramFailed(
            f"{self._words[0]}: the server ended ({ending}): {last_line(told)}", log
        )

    def _told(self) -> str:
        """Take what the server wrote to stderr since the last request; the file is emptied."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        text = self._errors.read(LARGEST_OUTPUT).decode("utf-8", "replace")
        self._errors.truncate(0)
        return text

    def _errors_size(self) -> int:
        if self._errors is None:
            return 0
        return os.fstat(self._errors.fileno()).st_size

    def _end(self) -> None:
        """End the process and all that it started, by force, and close the pipes."""
        process, self._process = self._process, None
        if process is None:
            return
        running = process.poll() is None  # once it has ended, its pid may be another's
        end_family(process.pid if running else None, self._mark.own)
        process.wait()
        for pipe in (process.stdin, process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._errors = None
        self._guarding.close()


def _growing_file() -> BinaryIO:
    """A file without a name to which a program appends, wherever its end is moved meanwhile."""
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    try:
        return Path(name).open("a+b")
    finally:
        Path(name).unlink()


def _written(descriptor: int, data: bytes) -> bytes:
    """Write what the pipe takes of ``data``; returns the rest, nothing where nobody reads any more."""
    try:
        return data[os.write(descriptor, data) :]
    except BlockingIOError:
        return data
    except OSError:
        return b""  # it has ended: reading says so


_servers: dict[tuple[int, str, tuple[str, ...]], Server] = {}
_servers_lock = threading.Lock()


def server_of(words: Sequence[str]) -> Server:
    """Finds the server of a command in this process and folder.

    Args:
        words: The words of the command.

    Returns:
        The server, one for each command; it starts when it is first asked.
    """
    key = (os.getpid(), os.path.realpath("."), tuple(words))
    with _servers_lock:
        if key not in _servers:
            _servers[key] = Server(words)
        return _servers[key]


def close_servers() -> None:
    """End the servers of this process."""
    with _servers_lock:
        own = [key for key in _servers if key[0] == os.getpid()]
        closing = [_servers.pop(key) for key in own]
    for server in closing:
        server.close()


atexit.register(close_servers)
