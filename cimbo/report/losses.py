"""What did not count, and why: failures by reason, limits by how many broke them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from cimbo.errors import cut_list
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, spoken
from cimbo.problem.objectives import Constraint
from cimbo.report.facts import Facts, sign
from cimbo.storage import Record

MOST_REASONS = 40
_MOST_NUMBERS = 12


def section(facts: Facts) -> Markup:
    """Tabulate what did not count: failures by reason, and broken limits.

    Args:
        facts: The study.

    Returns:
        The tables, or a line that says that all went well.
    """
    if not facts.failed and not facts.infeasible:
        return tag("p", "Nothing failed, and every design kept every constraint.", class_="empty")
    return join([_failures(facts.failed), _limits(facts)])


def _failures(failed: Sequence[Record]) -> Markup:
    if not failed:
        return tag("p", "Nothing failed.", class_="empty")
    by_reason: dict[str, list[Record]] = {}
    for record in failed:
        by_reason.setdefault(record.reason or "no reason given", []).append(record)
    common = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    rows = []
    for reason, records in islice(common, MOST_REASONS):
        why = tag("td", reason, class_="reason")
        rows.append(tag("tr", tag("td", len(records)), why, tag("td", _numbers(records))))
    table = _table(("Failed", "Reason", "Evaluations"), rows)
    left = len(common) - len(rows)
    if left <= 0:
        return table
    return join([table, tag("p", f"{left} rarer reasons are not listed.", class_="fine")])


def _limits(facts: Facts) -> Markup:
    if not facts.infeasible:
        return Markup()
    rows = [_limit(c, facts.infeasible) for c in facts.problem.constraints]
    for o in facts.problem.objectives:
        missing = [r for r in facts.infeasible if o.name not in r.metrics]
        if missing:
            what = tag("td", f"{o.name} was not measured")
            rows.append(tag("tr", tag("td", len(missing)), what, tag("td", _numbers(missing))))
    return _table(("Infeasible", "Limit", "Furthest beyond"), rows)


def _limit(c: Constraint, infeasible: Sequence[Record]) -> Markup:
    broken = [r for r in infeasible if not c.holds(r.metrics)]
    values = [r.metrics[c.metric] for r in broken if c.metric in r.metrics]
    worst = None
    if values:
        if c.relation == "<=":
            worst = max(values)
        else:
            worst = min(values)
    limit = f"{spoken(c.metric)} {sign(c)} {amount(c.metric, c.bound)}"
    return tag(
        "tr",
        tag("td", len(broken)),
        tag("td", limit, title=label(c.metric)),
        tag("td", amount(c.metric, worst)),
    )


def _numbers(records: Sequence[Record]) -> str:
    return cut_list([f"#{record.number}" for record in records], _MOST_NUMBERS)


def _table(heads: Iterable[str], rows: Iterable[Markup]) -> Markup:
    head = tag("tr", *[tag("th", heading, scope="col") for heading in heads])
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="losses")
    return tag("div", table, class_="scroll", tabindex="0")
