"""Who else hears what happens in a search: plug-ins of the entry-point group ``cimbo.listeners``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cimbo.errors import BadInput
from cimbo.plugins import is_python_name, maker, python_object
from cimbo.study import events

logger = logging.getLogger("cimbo")


@dataclass
class _Hearing:
    """A listener that is heard out until it fails: what somebody else's server does is no reason to end a search."""

    name: str
    listener: events.Listener
    has_failed: bool = False

    def __call__(self, event: events.Event) -> None:
        """Pass an event on.

        Args:
            event: What happened.
        """
        if self.has_failed:
            return
        try:
            self.listener(event)
        except (Exception, SystemExit) as error:
            self.has_failed = True
            reason = f"{type(error).__name__}: {error}"
            logger.warning(f"listener {self.name} failed ({reason}): it hears nothing more")

    def close(self) -> None:
        """End the listener, where it has something to end."""
        end = getattr(self.listener, "close", None)
        if end is None:
            return
        try:
            end()
        except (Exception, SystemExit) as error:
            logger.warning(f"listener {self.name} did not end: {type(error).__name__}: {error}")


@contextmanager
def hearing(names: Sequence[str], first: events.Listener) -> Iterator[events.Listener]:
    """Make one listener of several while the block lasts, and end them after it.

    Args:
        names: Of plug-ins, or ``package:object``; what follows an ``=`` is what each is made with.
        first: A listener that hears everything before they do.

    Yields:
        A listener that passes every event on to all.

    Raises:
        BadInput: There is no plug-in of a name, or it cannot be made.
    """
    others = [_Hearing(name, listener_of(name)) for name in names]

    def told(event: events.Event) -> None:
        """Pass an event on to everybody."""
        first(event)
        for other in others:
            other(event)

    try:
        yield told
    finally:
        for other in others:
            other.close()


def listener_of(named: str) -> events.Listener:
    """Make a listener.

    Args:
        named: ``NAME`` or ``NAME=TEXT``, where NAME is an installed plug-in's or ``package:object``
            of Python.

    Returns:
        What the plug-in makes when it is called, with TEXT where there is one.

    Raises:
        BadInput: There is no such plug-in, it cannot be made, or what it makes cannot be called.
    """
    name, _, text = named.partition("=")
    where = f"--listener {name}"
    made = _made(where, _maker(where, name), text)
    if not callable(made):
        raise BadInput(where, "makes nothing that can be called", "see docs/plugins.md")
    return made


def _made(where: str, make: Callable[..., events.Listener], text: str) -> events.Listener:
    """What a maker makes, of a text where there is one. Raises BadInput where it fails."""
    try:
        return make(text) if text else make()
    except (Exception, SystemExit) as error:
        what = f"cannot be made ({type(error).__name__}: {error})"
        raise BadInput(where, what, "correct it, or what follows the =") from None


def _maker(where: str, name: str) -> Callable[..., events.Listener]:
    """What makes the listener of a name."""
    if ":" not in name:
        found: Callable[..., events.Listener] = maker("listeners", name, {})
        return found
    if not is_python_name(name):
        raise BadInput(where, "is no name of Python", "write package.module:object")
    found = python_object(where, name)
    return found
