"""Tries a user's own evaluator, simulator or accuracy before a search, to find out whether it works at all."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cimbo.errors import BadInput, CimboError
from cimbo.problem.noted_metrics import NotedMetrics, about
from cimbo.problem.space import Params, canonical_key


def described(error: Exception) -> str:
    """Write an error of a user's code in words.

    Args:
        error: What was raised.

    Returns:
        Its type, its message, and the file and line where it was raised; of cimbo's own errors the
        message alone.
    """
    if isinstance(error, CimboError):
        return str(error)
    told = type(error).__name__
    if str(error):
        told += f": {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        told += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    return told


def try_until_one_works(
    evaluate: Callable[[Params], Mapping[str, float]],
    designs: Sequence[Params],
    where: str,
    prepared: dict[str, Mapping[str, float]],
    seconds: dict[str, float],
) -> None:
    """Evaluate designs, one after another, until one succeeds.

    So a program that always fails is found before the search starts. The result is kept, so that
    the search need not evaluate that design again.

    Args:
        evaluate: From a design to its metrics.
        designs: The designs, in order. If there are none, or ``prepared`` has one of them already,
            nothing is tried.
        where: What evaluates them, for the error.
        prepared: The metrics of the design that succeeded are put here, by its key.
        seconds: The time that it took is added here, under the same key.

    Raises:
        BadInput: When all designs fail, with the reason of the last one; and at once when an
            evaluation raises a BadInput that no other design could avoid.
    """
    if any(canonical_key(design) in prepared for design in designs):
        return
    reason = ""
    for design in designs:
        key = canonical_key(design)
        start = time.perf_counter()
        try:
            measured = evaluate(design)
            prepared[key] = NotedMetrics(measured, about(measured))
            seconds[key] = seconds.get(key, 0.0) + time.perf_counter() - start
            return
        except BadInput as error:
            if not error.is_about_design:
                raise
            reason = str(error)
        except SystemExit as error:  # as a script ends itself; it must not end the search
            reason = f"SystemExit: {error}"
        except Exception as error:  # it comes from code of the user, so it may be of any kind
            reason = described(error)
    if designs:
        what = f"fails on each of the {len(designs)} designs that were tried ({reason})"
        raise BadInput(where, what, "correct it; cimbo doctor --config tries it too")
