"""Options that have another word now; the old one works for one release, and a line on stderr says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Renamed:
    """An option of ``command``, or with ``option`` a value of that option, that was called ``old``."""

    command: str
    old: str
    new: str
    option: str | None = None


RENAMED_OPTIONS = (
    Renamed("optimize", "--exact", "--bit-accurate-images"),
    Renamed("optimize", "exact", "analytic", option="--cost-model"),
    Renamed("show", "--exact", "--bit-accurate"),
)


def in_todays_words(command: str, words: Sequence[str]) -> list[str]:
    """Replace every renamed word of a command line by today's, and tell so on stderr.

    Args:
        command: Name of the command.
        words: Its arguments.

    Returns:
        The arguments with today's words.
    """
    current = list(words)
    for each in RENAMED_OPTIONS:
        if each.command == command:
            current = _replaced(each, current)
    return current


def _replaced(renamed: Renamed, words: list[str]) -> list[str]:
    found = []
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if renamed.option is None and option == renamed.old:
            found.append(renamed.new + equals + value)
            _tell(renamed.old, renamed.new)
        elif renamed.option is not None and equals and (option, value) == _pair(renamed):
            found.append(f"{option}={renamed.new}")
            _tell(f"{option} {value}", renamed.new)
        elif renamed.option is not None and i and (words[i - 1], word) == _pair(renamed):
            found.append(renamed.new)
            _tell(f"{renamed.option} {word}", renamed.new)
        else:
            found.append(word)
    return found


def _pair(renamed: Renamed) -> tuple[str | None, str]:
    return renamed.option, renamed.old


def _tell(old: str, new: str) -> None:
    click.echo(f"{old}: is called {new} now; the old word works in this release only", err=True)
