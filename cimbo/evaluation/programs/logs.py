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
    """Names the log of a design.

    Args:
        folder: Where logs are kept.
        key: The design's key.

    Returns:
        Its path; the file need not exist.
    """
    return Path(folder) / f"{key}.log"


def say(text: str) -> None:
    """Adds what a program printed to the log of the evaluation that is running.

    Args:
        text: What it printed; nothing is kept outside of `log_of`.
    """
    said = _said.get()
    if said is not None and text.strip():
        said.append(text.rstrip())


@contextlib.contextmanager
def log_of(folder: str | None, design: Mapping[str, Any]) -> Iterator[None]:
    """Keeps what programs print while the block lasts.

    A further attempt is added at the end of the file. Nothing is written for programs that print
    nothing but their answer, and a disk that takes no log stops no evaluation.

    Args:
        folder: Where logs are kept; None: keep nothing.
        design: The design whose log it is.

    Yields:
        Nothing, once.
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
