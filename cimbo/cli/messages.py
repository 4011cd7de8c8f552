"""What a command says besides its data: on stderr, as much as is wanted, and in a log file where one is named."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click

from cimbo.errors import BadInput, printable

_META_KEY = "cimbo.talk"  # where click's context keeps the Talk of a command


@dataclass(frozen=True)
class Talk:
    """How much a command says on stderr, and where else it is written.

    Attributes:
        least_level: Level of `logging` below which nothing is shown on stderr.
        is_verbose: Whether every evaluation and proposal has a line of its own.
        log_file: Takes every line, with the time; None for none.
    """

    least_level: int = logging.INFO
    is_verbose: bool = False
    log_file: TextIO | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether only warnings and errors are shown."""
        return self.least_level > logging.INFO

    def tell(self, text: str, level: int = logging.INFO) -> None:
        """Say something, a line or several.

        A name out of a file cannot give orders to the terminal.

        Args:
            text: What to say.
            level: Of `logging`.
        """
        self.note(text, level)
        if level >= self.least_level:
            click.echo("\n".join(map(printable, text.split("\n"))), err=True)

    def note(self, text: str, level: int = logging.INFO) -> None:
        """Write something into the log file alone.

        Args:
            text: What to write.
            level: Of `logging`.
        """
        if self.log_file is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        for line in text.split("\n"):
            self.log_file.write(f"{stamp} {logging.getLevelName(level)} {printable(line)}\n")
        self.log_file.flush()


def talk() -> Talk:
    """Find out how much the running command says.

    Returns:
        What --quiet, --verbose and --log-file ask for; the default outside a command.
    """
    context = click.get_current_context(silent=True)
    found = None
    if context:
        found = context.meta.get(_META_KEY)
    if isinstance(found, Talk):
        return found
    return Talk()


@contextmanager
def talking(
    context: click.Context, *, quiet: bool, verbose: bool, log_file: Path | None
) -> Iterator[None]:
    """Let a command talk as its options say while the block lasts.

    Args:
        context: The command's.
        quiet: Show warnings and errors only.
        verbose: Show a line for every evaluation and proposal.
        log_file: A file that every line is appended to.

    Yields:
        Nothing, once.

    Raises:
        BadInput: Both ``quiet`` and ``verbose`` are asked for, or the file cannot be written.
    """
    if quiet and verbose:
        raise BadInput("options", "both --quiet and --verbose are given", "give one of them")
    level = logging.WARNING if quiet else logging.INFO
    with ExitStack() as stack:
        file = None
        if log_file is not None:
            file = stack.enter_context(_appended(log_file))
        found = Talk(logging.DEBUG if verbose else level, verbose, file)
        context.meta[_META_KEY] = found
        found.note(str(context.obj or context.command_path))
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            found.note(str(error) or type(error).__name__, logging.ERROR)
            raise


def _appended(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise BadInput(f"--log-file {path}", what, "name a file in a folder that exists") from None


class StderrHandler(logging.Handler):
    """Says each message of a logger as the running command talks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a message, as one line: a name out of a file cannot make up lines of its own.

        Args:
            record: The message.
        """
        talk().tell(printable(self.format(record)), record.levelno)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Show what cimbo's logger says while the block lasts.

    Yields:
        Nothing, once.
    """
    logger, handler = logging.getLogger("cimbo"), StderrHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
