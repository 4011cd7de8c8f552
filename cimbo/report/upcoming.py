"""Designs that the search would verify next: what a model says of them. Nothing here was measured."""

from __future__ import annotations

from cimbo.plots.markup import Markup, tag
from cimbo.plots.quantity import aligned
from cimbo.problem.objectives import Candidate
from cimbo.report import table
from cimbo.report.facts import Facts, Prediction, predictions


def section(facts: Facts) -> Markup:
    """Tabulate the designs that the search would verify next.

    Args:
        facts: The study, with the designs as ``predicted``.

    Returns:
        A row a design with what is predicted of every metric,
    """
    names: dict[str, None] = {}
    for c in facts.predicted:
        names |= dict.fromkeys(predictions(c))
    head = [tag("th", "design", scope="col")]
    columns = []
    for name in names:
        head.append(tag("th", facts.named(name), scope="col"))
        columns.append(_column(facts, name))
    rows = []
    for i, c in enumerate(facts.predicted):
        rows.append(_design(facts, c, [column[i] for column in columns], i))
    whole = tag("table", tag("thead", tag("tr", *head)), *rows, class_="sortable")
    return table.scrolled(whole, "next candidates")


def _column(facts: Facts, metric: str) -> list[Markup]:
    """A cell a design: "88.4 ± 0.7" or "1.2 (0.9 to 1.6)", the interval that holds 90 %; what was computed stands alone."""
    said = [predictions(c).get(metric) for c in facts.predicted]
    means = aligned([p.mean if p else None for p in said])
    return [_cell(metric, p, mean) for p, mean in zip(said, means, strict=True)]


def _cell(metric: str, predicted: Prediction | None, mean: str) -> Markup:
    """A prediction, with the number by which the page's script sorts."""
    if predicted is None:
        return tag("td", mean, "", data_v="")
    return tag("td", mean, predicted.doubt(metric), data_v=f"{predicted.mean:.10g}")


def _design(facts: Facts, c: Candidate, cells: list[Markup], i: int) -> Markup:
    key = tag("td", tag("code", c.key), class_="key-cell")
    return tag("tbody", tag("tr", key, *cells), data_row=len(facts.records) + i)
