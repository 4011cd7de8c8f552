"""One line of a check: what was looked at, whether it holds, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``verdict``: PASS, SKIP (optional, and not here), WARN (worth knowing) or FAIL; ``todo``: the next step, if any."""

    check: str
    verdict: str
    detail: str = ""
    todo: str = ""


def passed(check: str, detail: str = "") -> Finding:
    return Finding(check, "PASS", detail)


def judged(check: str, holds: bool, detail: str, todo: str) -> Finding:
    """PASS when it ``holds``, else FAIL with what to do."""
    return Finding(check, "PASS", detail) if holds else Finding(check, "FAIL", detail, todo)


def guarded(check: str, examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What ``examine`` finds; whatever it raises is a finding too, since foreign code may raise anything."""
    try:
        yield from examine()
    except Exception as error:
        yield Finding(
            check,
            "FAIL",
            f"raised {type(error).__name__}: {error}",
            "make it return what the protocol says",
        )


def refuses(check: str, act: Callable[[], object], todo: str) -> Finding:
    """PASS when ``act`` raises BadInput, the one-line error a user can act on."""
    from cimbo.errors import BadInput

    try:
        act()
    except BadInput as error:
        return passed(check, str(error))
    except Exception as error:
        return Finding(check, "FAIL", f"raised {type(error).__name__} instead of BadInput", todo)
    return Finding(check, "FAIL", "was accepted", todo)
