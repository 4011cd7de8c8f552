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
    """The words with one renaming applied."""
    if renamed.option is None:
        return [_current_option(renamed, word) for word in words]
    return _with_current_values(renamed, renamed.option, words)


def _current_option(renamed: Renamed, word: str) -> str:
    """An option, perhaps with its value behind an equals sign, by the name that it has now."""
    option, equals, value = word.partition("=")
    if option != renamed.old:
        return word
    _tell(renamed.old, renamed.new)
    return renamed.new + equals + value


def _with_current_values(renamed: Renamed, option: str, words: list[str]) -> list[str]:
    """The words, in which an option has today's value, be it OPTION=VALUE or two words."""
    current = []
    before = ""
    for word in words:
        in_one_word = word == f"{option}={renamed.old}"
        in_two_words = before == option and word == renamed.old
        before = word
        if in_one_word or in_two_words:
            _tell(f"{option} {renamed.old}", renamed.new)
            word = word.removesuffix(renamed.old) + renamed.new
        current.append(word)
    return current


def _tell(old: str, new: str) -> None:
    click.echo(f"{old}: is called {new} now; the old word works in this release only", err=True)
