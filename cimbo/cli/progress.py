"""Talk on stderr while a study runs: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import click

from cimbo.cli.messages import talk
from cimbo.errors import printable
from cimbo.session.text import duration
from cimbo.storage import Record
from cimbo.study.events import Ahead, Checked, Event, Phase, Proposed, Recorded, Step, Stopped
from cimbo.study.study import Study

DEFAULT_COLUMNS = 80


class Progress:
    """A listener of a study's events, used as a context manager.

    Ctrl-C and a polite kill raise KeyboardInterrupt. Python drops an exception that a signal raises inside a callback of
    foreign code (a destructor, a compiled library); so the wish is remembered, and granted at the next event or at the end.
    """

    def __init__(self, already: int = 0) -> None:
        self._start = time.monotonic()
        self._already = already
        self._last = already
        # Overwriting a line needs a terminal that can move the cursor.
        self._talk = talk()
        rewritable = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._live = rewritable and not (self._talk.is_quiet or self._talk.is_verbose)
        self._ahead: tuple[Phase, ...] = ()
        self._seconds_each = 0.0  # from one evaluation to the next
        self._width = 0
        self._phase_start = self._start
        self._interrupted = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Progress:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A shell makes background jobs ignore some signals: these stay ignored.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._interrupt)
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
        """Show an event, and stop the study where somebody interrupted it."""
        if self._interrupted:
            raise KeyboardInterrupt
        if isinstance(event, Stopped):
            self._line(event.reason, logging.WARNING)
        elif isinstance(event, Proposed):
            self._proposed(event)
        elif isinstance(event, Ahead):
            self._ahead = event.phases
        elif isinstance(event, Checked):
            self._checked(event)
        elif isinstance(event, Step):
            self._step(event)
        else:
            self._recorded(event)

    def _proposed(self, event: Proposed) -> None:
        for note in event.notes:
            self._line(note)
        self._line(f"chose {event.count} designs in {event.seconds:.2g} s", logging.DEBUG)

    def _checked(self, event: Checked) -> None:
        """A phase after the search: designs of the front are measured once more."""
        if event.count == 0:
            self._phase_start = time.monotonic()
            self._ahead = tuple(phase for phase in self._ahead if phase.what != event.what)
            self._line(f"measuring {event.total} designs of the front {event.what}")
            return
        self._part(f"{event.count}/{event.total} designs {event.what}", event.count, event.total)

    def _step(self, event: Step) -> None:
        """A part of a longer computation."""
        if event.count == 0:
            self._phase_start = time.monotonic()
            return
        self._part(f"{event.count}/{event.total} {event.what}", event.count, event.total)

    def _part(self, what: str, count: int, total: int) -> None:
        """Show how far a phase is, and when all will be done."""
        told = [what]
        each = (time.monotonic() - self._phase_start) / count
        left = each * (total - count) + self._seconds_ahead()
        if left > 0:
            told.append(f"about {duration(left)} left")
        if self._live:
            self._over(told)
            self._talk.note(", ".join(told))
        elif count == total or self._talk.is_verbose:
            self._line(", ".join(told))

    def _recorded(self, event: Recorded) -> None:
        # `cimbo attribute` measures in several studies: a smaller count is that of the next one.
        if event.count < self._last:
            self._start = time.monotonic()
            self._already = event.count - 1
        self._last = event.count
        done = event.count - self._already
        self._seconds_each = (time.monotonic() - self._start) / max(done, 1)
        if event.record.status == "failed":
            self._line(f"{event.record.key} failed: {event.record.reason}", logging.WARNING)
        self._show(self._reached(event), event.record)

    def _reached(self, event: Recorded) -> list[str]:
        """How far the search is, how good, and what is left."""
        told = [f"{event.count}/{event.budget} evaluations"]
        if event.hypervolume is not None:
            told.append(f"hypervolume {event.hypervolume:.6g}")
        return told + self._left(event)

    def _show(self, reached: list[str], record: Record) -> None:
        """Show how far the search is; in a pipe with what was measured."""
        measured = " ".join(f"{name}={value:.4g}" for name, value in record.metrics.items())
        line = f"{', '.join(reached)} | {record.key} {record.origin} {measured}".rstrip()
        if self._live:
            self._over(reached)
            self._talk.note(line)
        else:
            self._line(line)

    def _left(self, event: Recorded) -> list[str]:
        """The time that is left, with what follows the search; how much of it that is."""
        afterwards = self._seconds_ahead()
        search = self._seconds_each * max(event.budget - event.count, 0)
        if search + afterwards <= 0:
            return []
        told = [f"about {duration(search + afterwards)} left"]
        if afterwards > 0 and search > 0:
            told.append(f"{duration(afterwards)} of it to check the front")
        return told

    def _seconds_ahead(self) -> float:
        """An estimate of the time that the phases after this one take."""
        evaluations = sum(phase.designs * phase.evaluations for phase in self._ahead)
        return self._seconds_each * evaluations

    def _over(self, parts: Sequence[str]) -> None:
        """Write over the line that is there, as many ``parts`` as fit."""
        columns = max(_columns() - 1, 0)
        text = fitting(parts, columns)
        # If the terminal has become narrower, the old line was wrapped; the part that was
        # wrapped stays on the screen.
        click.echo("\r" + text.ljust(min(self._width, columns)), nl=False, err=True)
        self._width = len(text)

    def _line(self, text: str, level: int = logging.INFO) -> None:
        if self._width and level >= self._talk.least_level:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
            self._width = 0
        self._talk.tell(printable(text), level)


def _columns() -> int:
    """Columns of the terminal that stderr is; stdout, which `shutil` asks, may be a pipe."""
    if os.environ.get("COLUMNS", "").isdecimal():
        return int(os.environ["COLUMNS"])
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or DEFAULT_COLUMNS


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
        kept = len(study.evaluations())
        command = click.get_current_context().obj
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
