"""What programs say beside their answers: kept as a file for each evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cimbo.problem.space import canonical_key

LARGEST_LOG = 1 << 20  # characters kept of what one evaluation printed: the last ones
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)


def file_of(folder: str, key: str) -> Path:
    """The log of the design ``key``."""
    return Path(folder) / f"{key}.log"


def say(text: str) -> None:
    """Add what a program printed to the log of the evaluation that is running."""
    said = _said.get()
    if said is not None and text.strip():
        said.append(text.rstrip())


@contextlib.contextmanager
def log_of(folder: str | None, design: Mapping[str, Any]) -> Iterator[None]:
    """While the block lasts, keep what programs print as the log of ``design`` in ``folder``; None keeps nothing.

    A further attempt is added at the end. Nothing is written for programs that print nothing but their answer, and a
    disk that takes no log stops no evaluation.
    """
    if folder is None:
        yield
        return
    said: list[str] = []
    token = _said.set(said)
    try:
        yield
    finally:
        _said.reset(token)
        text = "\n".join(said)
        if text:
            with contextlib.suppress(OSError):
                file = file_of(folder, canonical_key(dict(design)))
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8", errors="replace") as log:
                    log.write(f"{text[-LARGEST_LOG:]}\n")
