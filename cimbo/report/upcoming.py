"""Designs that the search would verify next: what a model says of them. Nothing here was measured."""

from __future__ import annotations

from cimbo.plots.markup import Markup, tag
from cimbo.plots.quantity import aligned, rough
from cimbo.problem.objectives import Candidate
from cimbo.report import table
from cimbo.report.facts import Facts, predictions


def section(facts: Facts) -> Markup:
    """Tabulate the designs that the search would verify next.

    Args:
        facts: The study, with the designs as ``predicted``.

    Returns:
        A row a design with what is predicted of every metric,
    """
    columns = {}
    for name in dict.fromkeys(m for c in facts.predicted for m in predictions(c)):
        columns[name] = _column(facts, name)
    head = [tag("th", facts.named(name), scope="col") for name in columns]
    rows = []
    for i, c in enumerate(facts.predicted):
        rows.append(_design(facts, c, [column[i] for column in columns.values()], i))
    whole = tag(
        "table",
        tag("thead", tag("tr", tag("th", "design", scope="col"), *head)),
        *rows,
        class_="sortable",
    )
    return table.scrolled(whole, "next candidates")


def _column(facts: Facts, metric: str) -> list[Markup]:
    """A cell a design: "88.4 ± 0.7", the latter half the interval that holds 90 %; what was computed stands alone."""
    said = [predictions(c).get(metric) for c in facts.predicted]
    means = aligned([p.mean if p else None for p in said])
    column = []
    for p, mean in zip(said, means, strict=True):
        column.append(
            tag(
                "td",
                mean,
                f" ± {rough(p.half)}" if p and p.std > 0 else "",
                data_v=f"{p.mean:.10g}" if p else "",
            )
        )
    return column


def _design(facts: Facts, c: Candidate, cells: list[Markup], i: int) -> Markup:
    key = tag("td", tag("code", c.key), class_="key-cell")
    return tag("tbody", tag("tr", key, *cells), data_row=len(facts.records) + i)
