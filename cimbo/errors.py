"""The exceptions a user meets: a line that says where, what is wrong and what to do, one for each fault.

``CimboError`` is all of them, ``BadInput`` what the user can put right, ``StudyError`` a study file that cannot be used
as asked, ``UnknownOption`` a keyword that a function does not have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any


class CimboError(Exception):
    """Whatever cimbo raises on purpose.

    Examples:
        >>> from cimbo import Choice, CimboError
        >>> try:
        ...     Choice("rows", [])
        ... except CimboError as error:
        ...     print(type(error).__name__)
        BadInput
    """


class BadInput(CimboError, ValueError):
    """Input cimbo cannot work with. ``str(error)`` is the whole line ``where: what is wrong; what to do``.

    The command line prints that line to stderr and exits with code 2.

    Examples:
        >>> from cimbo import BadInput
        >>> str(BadInput("chip.rows", "is -3", "give a positive number"))
        'chip.rows: is -3; give a positive number'
    """

    def __init__(self, where: object, what: str, todo: str) -> None:
        self.where, self.what, self.todo = str(where), what, todo
        super().__init__(printable(f"{self.where}: {what}; {todo}"))

    def __reduce__(self) -> tuple[type[BadInput], tuple[str, str, str]]:
        """How it travels from a worker process."""
        return type(self), (self.where, self.what, self.todo)

    @property
    def is_about_design(self) -> bool:
        """Whether the genes of one design cannot be used, so that another design may do; else the set-up is wrong."""
        return self.where.startswith(("chip.", "chip ", "gene ", "design "))


class SeveralFaults(BadInput):
    """Several faults of one input: ``str(error)`` has a line for each."""

    def __init__(self, faults: Sequence[BadInput]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(first.where, first.what, first.todo)
        self.args = ("\n".join(str(fault) for fault in self.faults),)

    def __reduce__(self) -> tuple[type[SeveralFaults], tuple[tuple[BadInput, ...]]]:  # type: ignore[override]
        """How it travels from a worker process."""
        return type(self), (self.faults,)


class StudyError(BadInput):
    """A study was evaluated by something else before: another evaluator, or a file that it reads has changed.

    A `BadInput`: what handles the one handles the other. Files that are damaged or hold another study raise `BadInput` itself.

    Examples:
        >>> from cimbo import BadInput, StudyError
        >>> issubclass(StudyError, BadInput)
        True
    """


class EvaluationsFailed(CimboError, RuntimeError):
    """Every evaluation of a search failed, one after the other alike, so that it was ended. They stand in the study.

    Examples:
        >>> from cimbo import Choice, CimboError, Objective, Study
        >>> study = Study.open(None, [Choice("depth", list(range(40)))], Objective("accuracy", "max"))
        >>> try:
        ...     study.optimize(lambda design: {"error": 1.0}, budget=40, listener=None)
        ... except CimboError as error:
        ...     print(len(study.evaluations()), type(error).__name__)
        1 EvaluationsFailed
    """


class WrongAnswer(CimboError, ValueError):
    """Code of a user's returned what cannot be used. The message names that code, so no line of cimbo's is added to it.

    Examples:
        >>> from cimbo import CimboError
        >>> from cimbo.errors import WrongAnswer
        >>> issubclass(WrongAnswer, CimboError)
        True
    """


class UnknownOption(BadInput, TypeError):
    """A keyword argument that a function does not have; names the nearest one.

    Examples:
        >>> from cimbo import Choice, Objective, Study, UnknownOption
        >>> study = Study.open(None, [Choice("depth", [2, 4])], Objective("accuracy", "max"))
        >>> try:
        ...     study.optimize(lambda design: {"accuracy": 1.0}, budget=2, njobs=1)
        ... except UnknownOption as error:
        ...     print(error.todo.split(" The ")[0])
        did you mean n_jobs?
    """


def unknown_option(where: str, name: str, options: Iterable[str]) -> UnknownOption:
    """Return the error that names the options of ``where``, the nearest to ``name`` first."""
    known = sorted(options)
    nearest = get_close_matches(name, known, n=1, cutoff=0.4)
    todo = f"use one of {', '.join(known)}"
    if nearest:
        todo = f"did you mean {nearest[0]}? The options are {', '.join(known)}"
    return UnknownOption(where, f"has no option {name!r}", todo)


def printable(text: str) -> str:
    r"""``text`` as one line without a character that a terminal would obey; those are written out (``\x1b``)."""
    return "".join(c if c.isprintable() else " " if c in "\r\n\t" else ascii(c)[1:-1] for c in text)


MOST_LISTED_NAMES = 60  # of the known ones in a message; a library has a thousand models


def choose_from(name: object, known: Iterable[object], phrase: str = "use one of") -> str:
    """What to do about a name that is unknown: the nearest known ones, if any is near, then a list.

    Args:
        name: What was typed.
        known: The names that would have been right.
        phrase: What stands before the list of all.

    Returns:
        A text for ``BadInput.todo``, such as ``did you mean fmnist-vit? use one of bert-base, fmnist-vit``.
    """
    names = [str(each) for each in known]
    nearest = get_close_matches(str(name), names, 2)
    question = ""
    if nearest:
        question = f"did you mean {' or '.join(nearest)}? "
    return f"{question}{phrase} {cut_list(names, MOST_LISTED_NAMES)}"


def cut_list(words: Sequence[str], most: int) -> str:
    """List words with commas, no more than so many of them.

    Args:
        words: The words.
        most: How many are listed at most.

    Returns:
        A text such as "a, b and 3 more".
    """
    listed = ", ".join(words[:most])
    left_out = len(words) - most
    if left_out > 0:
        return f"{listed} and {left_out} more"
    return listed


def check_known(
    name: object,
    known: Collection[Any],
    where: object,
    what: str,
    phrase: str = "use one of",
) -> None:
    """Check that a name is one of those that are known.

    Args:
        name: What was typed.
        known: The names that would have been right, in the order in which they are listed.
        where: Where the name stands, for the message.
        what: What is said of a name that is unknown.
        phrase: What stands before the list of all.

    Raises:
        BadInput: It is not; the nearest known names, then all of them, are offered.
    """
    if name not in known:
        raise BadInput(where, what, choose_from(name, known, phrase))


def check_positive(where: object, value: float | None) -> None:
    """Check that a count, where it is given, is at least 1.

    Args:
        where: Where it stands, for the message.
        value: The count; None where it is left out.

    Raises:
        BadInput: It is below 1.
    """
    if value is not None and value < 1:
        raise BadInput(where, f"{value} is not positive", "give a number of at least 1")


def unreadable(path: object, error: OSError, todo: str) -> BadInput:
    """Make the error of a file that cannot be read.

    Args:
        path: The file, for the message.
        error: What the system says.
        todo: What to do about it.

    Returns:
        The error, to be raised.
    """
    return BadInput(path, f"cannot be read ({error.strerror})", todo)


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Whatever BadInput is raised inside says ``where`` it came from, a file for instance."""
    try:
        yield
    except BadInput as error:
        if str(where) in str(error):
            raise
        raise BadInput(f"{where}, {error.where}", error.what, error.todo) from None
