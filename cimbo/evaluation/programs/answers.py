"""Reads what a program printed: its answer (a JSON object), the numbers in it, and the rest, which is its log."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cimbo.errors import WrongAnswer, printable
from cimbo.problem.scalars import shown

SHOWN_OUTPUT = 80  # characters of an output that is no answer, in a message
NO_METRICS = frozenset({"protocol", "id"})  # numbers of an answer that are none of its metrics


class ProgramFailed(RuntimeError):
    """A program failed to evaluate a design. ``log`` is what the program printed."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Answer:
    """What a program answered.

    Attributes:
        document: The JSON object.
        log: Whatever else it printed.
    """

    document: Mapping[str, Any]
    log: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """The texts among the entries of the answer, by name."""
        texts = {}
        for name, value in self.document.items():
            if isinstance(value, str):
                texts[name] = value
        return texts

    def metrics(self, where: str) -> dict[str, float]:
        """Return every number of the answer.

        Args:
            where: The program, for messages.

        Returns:
            Metrics by name.

        Raises:
            ProgramFailed: When it says that it failed, has no numbers, or one that is NaN or infinite.
        """
        if "failed" in self.document:
            raise ProgramFailed(f"{where}: {self.document['failed']}", self.log)
        numbers = {}
        for name, value in self.document.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and name not in NO_METRICS:
                numbers[name] = float(value)
        if not numbers:
            shown = json.dumps(self.document, default=str)[:SHOWN_OUTPUT]
            raise ProgramFailed(f"{where}: printed no JSON object with numbers: {shown}", self.log)
        bad = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
        if bad:
            raise ProgramFailed(f"{where}: {', '.join(bad)}", self.log)
        return numbers


def refuse_texts(answer: Mapping[str, Any], wanted: Iterable[str], where: str) -> None:
    """Refuse a text where a study needs a number.

    Args:
        answer: What was answered.
        wanted: Metrics that the study needs.
        where: What answered, for the message.

    Raises:
        WrongAnswer: One of them is a text.
    """
    for name in wanted:
        if isinstance(answer.get(name), str):
            what = f"{name} is the text {shown(answer[name])}, not a number"
            raise WrongAnswer(f"{where}: {what}; print it as a JSON number, without quotes or unit")


def parse(where: str, text: str, told: str = "") -> Answer:
    """Find the answer in what a program printed: all of it, or its last line that is a JSON object.

    Args:
        where: The program, for messages.
        text: What it printed to stdout, or wrote to its output file.
        told: What else it printed, which goes to the log.

    Returns:
        The answer; lines around it are part of its log.

    Raises:
        ProgramFailed: When there is no such line.
    """
    whole = json_object(text)
    if whole is not None:
        return Answer(whole, told)
    lines = text.splitlines()
    for index in range(len(lines) - 1, -1, -1):
        document = json_object(lines[index])
        if document is not None:
            other_lines = "\n".join([*lines[:index], *lines[index + 1 :]])
            return Answer(document, joined(other_lines, told))
    shown = printable(text[:SHOWN_OUTPUT])
    what = "no JSON"
    if _is_json(text):
        what = "no JSON object"
    raise ProgramFailed(f"{where}: printed {what}: {shown!r}", joined(text, told))


def joined(out: str, err: str) -> str:
    """Join both outputs of a program to one text.

    Args:
        out: What it printed to stdout.
        err: What it printed to stderr.

    Returns:
        Both, one after the other; without those that are blank.
    """
    return "\n".join(part.rstrip() for part in (out, err) if part.strip())


def json_object(text: str) -> dict[str, Any] | None:
    """Reads a text as a JSON object.

    Args:
        text: The text, all of which has to be the object.

    Returns:
        The object; None where the text is anything else.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_json(text: str) -> bool:
    """Whether a text is JSON of any kind."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def last_line(text: str) -> str:
    """Find the last line that is not blank, for a message.

    Args:
        text: What a program printed to stderr.

    Returns:
        The line without spaces around it; "nothing on stderr" where there is none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if lines:
        return lines[-1].strip()
    return "nothing on stderr"
