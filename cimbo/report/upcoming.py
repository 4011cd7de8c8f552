"""Designs that the search would verify next: what a model says of them, and their genes. Nothing here was measured."""

from __future__ import annotations

from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import aligned, amount, rough, spoken
from cimbo.problem.objectives import Candidate
from cimbo.report import layers, table
from cimbo.report.facts import Facts, Prediction, predictions


def section(facts: Facts) -> Markup:
    """Tabulate the designs that the search would verify next.

    Args:
        facts: The study, with the designs as ``predicted``.

    Returns:
        A row a design with what is predicted of every metric, its genes folded below.
    """
    columns = {}
    for name in dict.fromkeys(m for c in facts.predicted for m in predictions(c)):
        columns[name] = _column(facts, name)
    head = [tag("th", facts.named(name), scope="col") for name in columns]
    rows = []
    for i, c in enumerate(facts.predicted):
        rows.append(_design(facts, c, [column[i] for column in columns.values()]))
    whole = tag(
        "table",
        tag("thead", tag("tr", *head, tag("th", "Design", scope="col"))),
        *rows,
        class_="sortable",
    )
    return tag("div", whole, class_="scroll", tabindex="0")


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


def _design(facts: Facts, c: Candidate, cells: list[Markup]) -> Markup:
    more = tag("tr", tag("td", _details(facts, c), colspan=len(cells) + 1), class_="more")
    return tag(
        "tbody",
        tag("tr", *cells, table.fold(c.key, len(c.params))),
        more,
        id=f"d{c.key}",
        data_d=c.key,
    )


def _details(facts: Facts, c: Candidate) -> Markup:
    lines = []
    for name, p in predictions(c).items():
        lines.append(
            join([tag("dt", spoken(name)), tag("dd", amount(name, p.mean), tag("small", _kind(p)))])
        )
    space = facts.problem.space
    return tag(
        "div",
        tag("h4", "Predicted, not verified ", tag("code", c.key)),
        tag("dl", *lines, class_="metrics"),
        table.genes("Architecture", space.architecture, c.params),
        table.genes("Hardware", space.hardware, c.params),
        layers.section(facts.layers.get(c.key, ())),
        class_="design",
    )


def _kind(p: Prediction) -> str:
    if p.std > 0:
        return f"predicted, ± {rough(p.half)} holds 90 %"
    return "computed"
