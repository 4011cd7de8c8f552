"""What cimbo's logger says, on stderr while a command runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cimbo.errors import printable


class StderrHandler(logging.Handler):
    """Writes each message as one line; a name out of a file cannot give orders to the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message to whatever stderr is at that moment.

        Args:
            record: The message.
        """
        click.echo(printable(self.format(record)), err=True)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Show messages of level INFO and above while the block lasts.

    Yields:
        Nothing, once.
    """
    logger, handler = logging.getLogger("cimbo"), StderrHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
