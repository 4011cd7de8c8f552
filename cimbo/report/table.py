"""The front as a table: a row a design; choosing one shows its details beside the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import aligned
from cimbo.report.facts import Facts
from cimbo.storage import Record


@dataclass(frozen=True)
class Column:
    """A heading and the value of each design; ``best`` is "max", "min" or "" for neither."""

    heading: str
    values: tuple[float | None, ...]
    best: str = ""
    counting: bool = False

    @cached_property
    def shown(self) -> list[str]:
        """Every value as it is written."""
        if self.counting:
            return [f"{v:.0f}" for v in self.values if v is not None]
        return aligned(self.values)


def columns(facts: Facts) -> list[Column]:
    """List the columns of the front's table.

    Args:
        facts: The study.

    Returns:
        The number of the evaluation; the objectives; test accuracy and bit-accurate difference
        where they are known; then all else that was measured. Each has a value for every design of
        the front, None where it was not measured.
    """
    goals = {objective.name: objective.goal for objective in facts.problem.objectives}
    measured = []
    for name in facts.metrics:
        values = tuple(record.metrics.get(name) for record in facts.front)
        measured.append(Column(facts.named(name), values, goals.get(name, "")))
    numbers = tuple(float(record.number) for record in facts.front)
    at = len(goals)
    return [
        Column("#", numbers, counting=True),
        *measured[:at],
        *_measured_later(facts),
        *measured[at:],
    ]


def _measured_later(facts: Facts) -> list[Column]:
    """What was measured of the front after the search, where it was."""
    known = {"accuracy, test set": facts.tested, "exact form, points": facts.exact}
    for metric in ("latency_ms", "energy_uj"):
        heading = f"{facts.named(metric)}, by ZigZag"
        known[heading] = {key: costs[metric] for key, costs in facts.zigzag.items()}
    found = []
    for heading, by_key in known.items():
        if any(record.key in by_key for record in facts.front):
            values = tuple(by_key.get(record.key) for record in facts.front)
            found.append(Column(heading, values))
    return found


def section(facts: Facts) -> Markup:
    """Tabulate the front.

    Args:
        facts: The study.

    Returns:
        The table, or a line that says why there is none.
    """
    if not facts.front:
        told = "No evaluation has measured every objective within every constraint yet."
        return tag("p", told, class_="empty")
    shown = columns(facts)
    arrows = {"max": " ↑", "min": " ↓", "": ""}
    head = []
    for c in shown:
        head.append(tag("th", c.heading + arrows[c.best], scope="col", data_best=c.best or None))
    head.append(tag("th", "Design", scope="col"))
    rows = [_design(facts, record, shown, i) for i, record in enumerate(facts.front)]
    table = tag("table", tag("thead", tag("tr", *head)), *rows, class_="sortable")
    note = tag("p", class_="fine", id="brushed-rows")
    return join([scrolled(table, "designs of the front"), note])


def scrolled(table: Markup, about: str) -> Markup:
    """Put a table that may be larger than its place into one that scrolls, also by keys.

    Args:
        table: The table.
        about: What it shows, for those who listen.

    Returns:
        The table in its place.
    """
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=about)


def _design(facts: Facts, record: Record, shown: Sequence[Column], i: int) -> Markup:
    cells = [_cell(column, i) for column in shown[1:]]
    name = tag("td", shown[0].shown[i], data_v=record.number, class_="key-cell")
    key = tag("td", tag("code", record.key), _knee(facts, record), class_="key")
    row = tag("tr", name, *cells, key)
    return tag("tbody", row, id=f"d{record.number}", data_row=facts.row_of[record.number])


def _cell(column: Column, i: int) -> Markup:
    """A value, with the number by which the page's script sorts; the best of its column stands out."""
    value = column.values[i]
    written = "" if value is None else f"{value:.10g}"
    kind = "top" if _is_best(column, i) else None
    return tag("td", column.shown[i], data_v=written, class_=kind)


def _knee(facts: Facts, record: Record) -> Markup:
    if record.key in facts.knees:
        return tag("small", " knee")
    return Markup()


def _is_best(column: Column, i: int) -> bool:
    known = [value for value in column.values if value is not None]
    if not column.best or len(known) < 2:
        return False
    if column.best == "max":
        return column.values[i] == max(known)
    return column.values[i] == min(known)
