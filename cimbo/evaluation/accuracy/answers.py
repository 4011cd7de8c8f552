"""Checks what a user's accuracy function returns."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cimbo.errors import BadInput, WrongAnswer
from cimbo.problem.scalars import finite, plain, shown

ACCURACY = "accuracy"
MOST_PERCENT = 100.0

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Answer:
    """What an accuracy function returned for a design.

    Attributes:
        metrics: The accuracy in percent, and further metrics of the function.
        looked_up: Names that the function looked up; None where it was handed a plain dictionary,
            of which it may have read anything.
    """

    metrics: Mapping[str, float]
    looked_up: frozenset[str] | None


def check_callable(where: str, named: object) -> None:
    """Check that an object can be asked for accuracies.

    Args:
        where: What errors call it.
        named: The object that the user named.

    Raises:
        BadInput: It is a class, or cannot be called.
    """
    if inspect.isclass(named):
        what = f"{named.__name__} is a class, and a function is asked"
        raise BadInput(where, what, "name a function or an instance that can be called")
    if callable(named):
        return
    if callable(getattr(named, "measure", None)):
        raise BadInput(where, "is no function", 'name its method: "package:instance.measure"')
    raise BadInput(where, "is no function", 'write it as "package:function"')


def checked(where: str, returned: object, costs: Sequence[str]) -> dict[str, float]:
    """Check what a function returned for one design.

    Args:
        where: The function, for errors.
        returned: What it returned; right are an accuracy in percent, or a dictionary with
            ``accuracy`` and further metrics.
        costs: Names that further metrics may not have, because the simulator gives them.

    Returns:
        Metrics by name, ``accuracy`` among them.

    Raises:
        WrongAnswer: It is no accuracy in percent, or a further metric is no finite number.
    """
    if not isinstance(returned, Mapping):
        return {ACCURACY: _percent(where, returned)}
    if ACCURACY not in returned:
        names = ", ".join(str(name) for name in returned) or "nothing"
        raise WrongAnswer(f'{where}: returned {names} and no "accuracy"; {_TODO}')
    metrics = {ACCURACY: _percent(where, returned[ACCURACY])}
    for name, value in returned.items():
        number = finite(value)
        if not isinstance(name, str) or number is None or isinstance(plain(value), bool):
            raise WrongAnswer(f"{where}: returned {shown(value)} as {name}; return a finite number")
        if name in costs:
            raise WrongAnswer(f"{where}: returned {name}, which the simulator gives; leave it out")
        metrics.setdefault(name, number)
    return metrics


def is_like_a_share(accuracy: float) -> bool:
    """Tell whether an accuracy looks like a share (0 to 1) rather than percent.

    Args:
        accuracy: The accuracy.

    Returns:
        True above 0 and up to 1.
    """
    return 0 < accuracy <= 1


def a_share(where: str, accuracies: Sequence[float]) -> BadInput:
    """Make the error for accuracies that are surely shares.

    Args:
        where: The source of accuracy.
        accuracies: What it gave for designs that were tried, each from 0 to 1.

    Returns:
        The error, not raised.
    """
    listed = ", ".join(f"{accuracy:g}" for accuracy in accuracies)
    what = f"returned {listed} for the designs that were tried: a share, where percent is asked"
    return BadInput(where, what, "return 100 times as much")


def warn_of_a_share(where: str, accuracy: float) -> None:
    """Warn of an accuracy that looks like a fraction (0 to 1) rather than percent.

    Args:
        where: The source of accuracy, for the warning.
        accuracy: The accuracy that it gave.
    """
    if is_like_a_share(accuracy):
        logger.warning(
            f"{where}: returned {accuracy:g}; is {accuracy:g} percent meant? For a share of "
            f"{accuracy:g} return {100 * accuracy:g}"
        )


_TODO = "return percent, such as 91.5, or a dictionary of numbers with it under accuracy"


def _percent(where: str, value: object) -> float:
    """An accuracy in percent. Raises WrongAnswer for anything else."""
    number = finite(value)
    if number is None or isinstance(plain(value), bool):
        raise WrongAnswer(f"{where}: returned {shown(value)}; {_TODO}")
    if not 0 <= number <= MOST_PERCENT:
        raise WrongAnswer(f"{where}: returned {shown(value)}, which is no percentage; {_TODO}")
    return number
