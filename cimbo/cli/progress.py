"""Talk on stderr while a study runs: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import click

from cimbo.errors import printable
from cimbo.study.events import Checked, Event, Proposed, Recorded, Stopped
from cimbo.study.study import Study

SECONDS_AN_HOUR = 3600


class Progress:
    """A listener of a study's events, used as a context manager.

    Ctrl-C and a polite kill raise KeyboardInterrupt. Python drops an exception that a signal raises inside a callback of
    foreign code (a destructor, a compiled library); so the wish is remembered, and granted at the next event or at the end.
    """

    def __init__(self, already: int = 0) -> None:
        self._start, self._already, self._last = time.monotonic(), already, already
        # A line that is written over needs a terminal that can; nothing here has a colour.
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._width = 0
        self._phase_start = self._start
        self._interrupted = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Progress:
        if threading.current_thread() is threading.main_thread():
            # What a shell lets a background job ignore stays ignored.
            heard = [
                s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) != signal.SIG_IGN
            ]
            self._handlers = {s: signal.signal(s, self._interrupt) for s in heard}
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._width:
            click.echo(err=True)
        if self._interrupted and kind is None:
            raise KeyboardInterrupt

    def __call__(self, event: Event) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        if isinstance(event, Stopped):
            self._line(event.reason)
        elif isinstance(event, Proposed):
            for note in event.notes:
                self._line(note)
        elif isinstance(event, Checked):
            self._checked(event)
        else:
            self._recorded(event)

    def _checked(self, event: Checked) -> None:
        """The second phase: designs of the front are measured once more."""
        if event.count == 0:
            self._phase_start = time.monotonic()
            self._line(f"measuring {event.total} designs of the front {event.what}")
            return
        told = [f"{event.count}/{event.total} designs {event.what}"]
        if event.count < event.total:
            seconds = (time.monotonic() - self._phase_start) / event.count
            told.append(f"about {duration(seconds * (event.total - event.count))} left")
        if self._live:
            self._over(told)
        elif event.count == event.total:
            click.echo(", ".join(told), err=True)

    def _recorded(self, event: Recorded) -> None:
        if event.count < self._last:  # another study's turn
            self._start, self._already = time.monotonic(), event.count - 1
        self._last = event.count
        r = event.record
        if r.status == "failed":
            self._line(f"{r.key} failed: {r.reason}")
        told = [f"{event.count}/{event.budget} evaluations"]
        told += [f"hypervolume {event.hypervolume:.6g}"] if event.hypervolume is not None else []
        told += [f"about {self._left(event)} left"] if event.count < event.budget else []
        if self._live:
            self._over(told)
        else:
            measured = " ".join(f"{k}={v:.4g}" for k, v in r.metrics.items())
            line = f"{', '.join(told)} | {r.key} {r.origin} {measured}".rstrip()
            click.echo(printable(line), err=True)

    def _over(self, parts: Sequence[str]) -> None:
        """Write over the line that is there, as many ``parts`` as fit."""
        text = fitting(parts, shutil.get_terminal_size().columns - 1)
        click.echo("\r" + text.ljust(self._width), nl=False, err=True)
        self._width = len(text)

    def _line(self, text: str) -> None:
        clear = "\r" + " " * self._width + "\r" if self._width else ""
        click.echo(clear + printable(text), err=True)
        self._width = 0

    def _left(self, event: Recorded) -> str:
        done = event.count - self._already
        seconds = (time.monotonic() - self._start) / max(done, 1) * (event.budget - event.count)
        return duration(seconds)


def duration(seconds: float) -> str:
    """Write a time in the unit that a reader takes in at once.

    Args:
        seconds: The time.

    Returns:
        Hours from an hour and a half, minutes from 90 seconds, else seconds; with the unit.
    """
    if seconds >= 1.5 * SECONDS_AN_HOUR:
        return f"{seconds / SECONDS_AN_HOUR:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class Interrupted(click.Abort):
    """A search was stopped; the text says what is kept and how to go on."""


@contextmanager
def watched(study: Study) -> Iterator[Progress]:
    """Show the progress of a search while the block lasts.

    Args:
        study: The study that is searched.

    Yields:
        A listener to give to the study.

    Raises:
        Interrupted: After Ctrl-C or a polite kill; it says what is kept and how to go on.
    """
    try:
        with Progress(len(study.evaluations())) as progress:
            yield progress
    except KeyboardInterrupt:
        kept, command = len(study.evaluations()), click.get_current_context().obj
        told = f"interrupted; all {kept} evaluations are in {study.path}; to go on: {command}"
        raise Interrupted(told) from None


def fitting(parts: Sequence[str], width: int) -> str:
    """Join as many parts as fit on one line; a line that wraps could not be written over.

    Args:
        parts: Texts, at least one; the first is cut where even that is too wide.
        width: Columns of the line.

    Returns:
        The line, with commas between the parts.
    """
    shown = parts[0][: max(width, 0)]
    for part in parts[1:]:
        if len(shown) + len(part) + 2 <= width:
            shown += f", {part}"
    return shown
