"""One line of a check: what was looked at, whether it holds, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cimbo.errors import BadInput


@dataclass(frozen=True)
class Finding:
    """``verdict``: PASS, SKIP (optional, and not here), WARN (worth knowing) or FAIL; ``todo``: the next step, if any."""

    check: str
    verdict: str
    detail: str = ""
    todo: str = ""


def passed(check: str, detail: str = "") -> Finding:
    """Makes a finding that passed.

    Args:
        check: What was looked at.
        detail: What was seen.

    Returns:
        A finding of verdict PASS.
    """
    return Finding(check, "PASS", detail)


def judged(check: str, holds: bool, detail: str, todo: str) -> Finding:
    """Makes a finding of whether something holds.

    Args:
        check: What was looked at.
        holds: Whether it is as it should be.
        detail: What was seen.
        todo: What to do where it does not hold.

    Returns:
        PASS when it holds, else FAIL with what to do.
    """
    if holds:
        return Finding(check, "PASS", detail)
    return Finding(check, "FAIL", detail, todo)


def guarded(check: str, examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Runs checks and makes a finding of what they raise: foreign code may raise anything.

    Args:
        check: What was looked at, for a finding of an error.
        examine: Gives the findings; it ends at the first error.

    Yields:
        What ``examine`` finds, and FAIL for an error.
    """
    try:
        yield from examine()
    except BadInput as error:
        yield Finding(check, "FAIL", f"{error.where}: {error.what}", error.todo)
    except Exception as error:
        yield Finding(
            check,
            "FAIL",
            f"raised {type(error).__name__}: {error}",
            "make it return what the protocol says",
        )


def refuses(check: str, act: Callable[[], object], todo: str) -> Finding:
    """Checks that bad input is refused with BadInput, the one-line error a user can act on.

    Args:
        check: What was looked at.
        act: Does what should be refused.
        todo: What to do where it is not.

    Returns:
        PASS when ``act`` raises BadInput; FAIL for another error and for none.
    """
    try:
        act()
    except BadInput as error:
        return passed(check, str(error))
    except Exception as error:
        return Finding(check, "FAIL", f"raised {type(error).__name__} instead of BadInput", todo)
    return Finding(check, "FAIL", "was accepted", todo)
