"""Where the numbers come from: enough to run the search again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from cimbo._data import __version__
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, number, spoken
from cimbo.problem.objectives import Objective
from cimbo.report.facts import Facts, sign

LONGEST_TEXT = 4000  # characters of a stored description that are shown


def section(facts: Facts, about: Mapping[str, str]) -> Markup:
    """List where the numbers come from.

    Args:
        facts: The study.
        about: What the caller says of this report, name -> value; it stands first.

    Returns:
        The list, then what the study was started with, folded.
    """
    plain = {}
    nested = {}
    for name, value in facts.started_as.items():
        if isinstance(value, str | int | float | None):
            plain[name] = value
        else:
            nested[name] = value
    lines = []
    for name, value in (*about.items(), *_known(facts).items(), *plain.items()):
        shown = _command(str(value)) if name == "command" else value
        lines.append(join([tag("dt", name), tag("dd", shown)]))
    stored = [_stored(name, value) for name, value in nested.items()]
    return join([tag("dl", *lines, class_="provenance"), *stored])


def _command(value: str) -> Markup:
    """A command whose options no browser breaks after their hyphens."""
    words = [tag("span", word, class_="word") for word in value.split()]
    return tag("code", join(words, " "))


def _known(facts: Facts) -> dict[str, str]:
    """What is searched, how, and what that took."""
    problem = facts.problem
    space = problem.space
    limits = []
    for c in problem.constraints:
        limits.append(f"{spoken(c.metric)} {sign(c)} {amount(c.metric, c.bound)}")
    n_hardware = f"{len(space.hardware)} of the hardware"
    entries = {
        "seed": str(facts.seed),
        "objectives": "; ".join(map(_objective, problem.objectives)),
        "constraints": "; ".join(limits) or "none",
        "genes": f"{len(space.architecture)} of the architecture, {n_hardware}",
        "different designs": _size(space.size),
        "evaluations by origin": _origins(facts) or "none",
        "cimbo that wrote this report": __version__,
    }
    seconds = sum(record.seconds for record in facts.records)
    if seconds:
        entries["time spent evaluating"] = f"{number(seconds)} s"
    return entries


def _origins(facts: Facts) -> str:
    """How many evaluations came from where, the most first."""
    origins = Counter(record.origin for record in facts.records)
    return ", ".join(f"{n} {origin}" for origin, n in origins.most_common())


def _objective(o: Objective) -> str:
    if o.reference is None:
        reference = "no reference"
    else:
        reference = f"reference {amount(o.name, o.reference)}"
    return f"{o.goal} {label(o.name)}, {reference}"


def _size(n: int) -> str:
    """``n`` may exceed any float."""
    if n < 10**7:
        return f"{n:,}"
    digits, _, power = f"{Decimal(n):.1e}".partition("e+")
    return f"{digits} × 10{_raised(int(power))}"


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _stored(name: str, value: object) -> Markup:
    """What the study was started with, as folded JSON."""
    written = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    if len(written) <= LONGEST_TEXT:
        cut = written
    else:
        cut = f"{written[:LONGEST_TEXT]}\n… {len(written) - LONGEST_TEXT} more characters"
    return tag("details", tag("summary", f"{name}, as the study was started"), tag("pre", cut))
