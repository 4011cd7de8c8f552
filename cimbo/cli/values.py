"""Values of options, read and checked: numbers, JSON, and sizes by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.cli.fixed_genes import design_in_file
from cimbo.cli.strict_json import parse_json
from cimbo.errors import BadInput, check_positive, unreadable

MOST_PATH_LETTERS = 255
MOST_DIGITS = 12  # most digits of a size on the command line
OBJECT_FORM = 'give an object such as {"rows": 128}'


def at_least_one(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Check the value of an option, as click's callback.

    Args:
        ctx: Not looked at.
        param: The option.
        value: What was given; None where the option was not.

    Returns:
        ``value`` as it is.

    Raises:
        BadInput: Where the value is less than 1.
    """
    if value is None:
        return None
    return positive(param.opts[0], value)


def one_or_all(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Check the value of --jobs, as click's callback.

    Args:
        ctx: Not looked at.
        param: The option.
        value: What was given: -1 for all that there are, or None where the option was not.

    Returns:
        ``value`` as it is.

    Raises:
        BadInput: Where the value is less than 1 and not -1.
    """
    if value == -1:
        return value
    return at_least_one(ctx, param, value)


def positive(name: str, value: int) -> int:
    """Check that a number is at least 1.

    Args:
        name: What it is called in the message.
        value: The number.

    Returns:
        ``value`` as it is.

    Raises:
        BadInput: Where it is less than 1.
    """
    check_positive(name, value)
    return value


def json_object(name: str, text: str) -> dict[str, Any]:
    """Read a JSON object given on the command line, or in a file named after an @.

    Args:
        name: The option, for messages.
        text: What was given: the object, or @FILE.

    Returns:
        The object.

    Raises:
        BadInput: Where the file cannot be read, or the text is no JSON object.
    """
    try:
        source = _contents(text)
    except OSError as error:
        raise unreadable(origin(name, text), error, "name a readable file") from None
    except UnicodeDecodeError as error:
        raise BadInput(origin(name, text), f"is not JSON ({error})", "give a text file") from None
    todo = f"{OBJECT_FORM}, or @FILE"
    if _is_file_without_sign(text):
        todo = f"it is a file: write @{text}"
    value = parse_json(origin(name, text), source, todo)
    if not isinstance(value, dict):
        raise BadInput(origin(name, text), "is no JSON object", OBJECT_FORM)
    return value


def part_of_design(name: str, text: str, parts: Sequence[str]) -> dict[str, Any]:
    """Read an object given on the command line or in a file, which may be a part of a whole design.

    Args:
        name: The option, for messages.
        text: What was given: the object, @FILE, or @FILE#KEY for one design of several in it.
        parts: What the part is called in a design, as ``cimbo export KEY --to json`` writes it.

    Returns:
        The part of the design; the object itself where it is no design.

    Raises:
        BadInput: Where the file cannot be read, or there is no JSON object.
    """
    if text.startswith("@") and "#" in text:
        found = dict(design_in_file(name, text))
    else:
        found = json_object(name, text)
    for part in parts:
        if isinstance(found.get(part), dict):
            return dict(found[part])
    return found


def _contents(text: str) -> str:
    """A text itself, or what stands in the file that it names after an @."""
    if text.startswith("@"):
        return Path(text[1:]).read_text(encoding="utf-8")
    return text


def _is_file_without_sign(text: str) -> bool:
    """Whether somebody named a file and forgot the @."""
    return not text.startswith("@") and Path(text[:MOST_PATH_LETTERS]).is_file()


def sizes(pairs: Sequence[str], option: str = "--set") -> dict[str, int]:
    """Read the free sizes of an ONNX file, as ``--set`` gives them, or other numbers by name.

    Args:
        pairs: NAME=SIZE each; of two sizes of one name the last one counts.
        option: What messages call the option.

    Returns:
        Sizes by name.

    Raises:
        BadInput: For a text that is no name and whole number, or a number of more than MOST_DIGITS
            digits.
    """
    found = {}
    for pair in pairs:
        name, sign, size = pair.rpartition("=")
        if not sign or not name or not size.isdecimal() or len(size) > MOST_DIGITS:
            raise BadInput(f"{option} {pair}", "is no size", "give NAME=SIZE, such as sequence=128")
        found[name] = int(size)
    return found


def origin(name: str, text: str) -> str:
    """Name where an option's value comes from.

    Args:
        name: The option.
        text: What was given, perhaps @FILE.

    Returns:
        The option, and the file where there is one.
    """
    if text.startswith("@"):
        return f"{name} {text[1:]}"
    return name


def numbers_of_objectives(option: str, text: str, example: str) -> dict[str, float]:
    """Read numbers of objectives, written ``name=number`` with commas.

    Args:
        option: The option that has them, for messages.
        text: Its value.
        example: How it may be written, for messages.

    Returns:
        Objective to number.

    Raises:
        BadInput: A part has another form, an objective is named twice, or a number is not finite.
    """
    numbers: dict[str, float] = {}
    for part in text.split(","):
        name, number = _number_of(option, part, example)
        if name in numbers:
            raise BadInput(option, f"names {name} more than once", f"write {example}")
        if not math.isfinite(number):
            raise BadInput(option, f"{part!r} is not finite", f"write {example}")
        numbers[name] = number
    return numbers


def _number_of(option: str, part: str, example: str) -> tuple[str, float]:
    """An objective and its number. Raises BadInput, with an example, where ``part`` says neither."""
    name, _, value = part.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        todo = f"write {example}"
        raise BadInput(option, f"{part!r} is no objective=number", todo) from None
