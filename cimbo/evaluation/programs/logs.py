"""Keeps what programs print beside their answers: a log file for each design."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cimbo.problem.space import canonical_key

LARGEST_LOG = 1 << 20  # characters kept of what one evaluation printed: the last ones
# The texts of the evaluation that is running; None outside of `log_of`. A ContextVar, so that
# evaluations in several threads do not mix their logs.
_texts: ContextVar[list[str] | None] = ContextVar("texts", default=None)


def file_of(folder: str, key: str) -> Path:
    """Name the file with the log of a design.

    Args:
        folder: Where logs are kept.
        key: The design's key.

    Returns:
        Its path; the file need not exist.
    """
    return Path(folder) / f"{key}.log"


def say(text: str) -> None:
    """Add what a program printed to the log of the evaluation that is running.

    Args:
        text: What it printed. Outside of `log_of` it is dropped.
    """
    texts = _texts.get()
    if texts is not None and text.strip():
        texts.append(text.rstrip())


@contextlib.contextmanager
def log_of(folder: str | None, design: Mapping[str, Any]) -> Iterator[None]:
    """Write what programs print during a block to the log of a design.

    If the design has a log already, the text is added at its end. No file is made for programs that
    print nothing but their answer. An error in writing the log is ignored, so that a full disk
    stops no evaluation.

    Args:
        folder: Where logs are kept; None: keep nothing.
        design: The design whose log it is.

    Yields:
        Nothing, once.
    """
    if folder is None:
        yield
        return
    texts: list[str] = []
    token = _texts.set(texts)
    try:
        yield
    finally:
        _texts.reset(token)
        text = "\n".join(texts)
        if text:
            with contextlib.suppress(OSError):
                file = file_of(folder, canonical_key(dict(design)))
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8", errors="replace") as log:
                    log.write(f"{text[-LARGEST_LOG:]}\n")
