"""How each gene goes together with each objective: simple associations, labelled as no more than that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import number, spoken
from cimbo.problem.objectives import Objective
from cimbo.problem.space import Choice
from cimbo.report import statistics
from cimbo.report.facts import Facts
from cimbo.storage import Record

LEAST_DESIGNS = 8  # designs below which a correlation says nothing
MOST_SHOWN = 12


@dataclass(frozen=True)
class Influence:
    """A gene's association with an objective: ``value`` in -1..1 (0..1 for an unordered gene), ``noise`` what chance gives."""

    value: float | None
    noise: float
    n: int
    ordered: bool
    gap: str = ""

    @property
    def strength(self) -> float:
        """Return the size of the association, 0 to 1; 0 where it is not known."""
        if self.value is not None:
            return abs(self.value)
        return 0.0


def influence(choice: Choice, objective: Objective, records: Sequence[Record]) -> Influence:
    """Measure how a gene goes together with an objective.

    Args:
        choice: The gene.
        objective: The objective.
        records: Evaluations; those that lack the gene or the objective are left out.

    Returns:
        The rank correlation for an ordered gene, else the correlation ratio of ranks. Its value is
        None where fewer than LEAST_DESIGNS designs are left, or all have the same value of the gene
        or of the objective.
    """
    indices = []
    values = []
    for record in records:
        if choice.name in record.params and objective.name in record.metrics:
            indices.append(choice.index(record.params[choice.name]))
            values.append(record.metrics[objective.name])
    groups = np.array(indices, np.intp)
    y = np.array(values, float)
    n = len(y)
    levels = len(np.unique(groups))
    if n < LEAST_DESIGNS or levels < 2:
        return Influence(None, 1.0, n, choice.ordered)
    if choice.ordered:
        value = statistics.rank_correlation(groups.astype(float), y)
        return Influence(value, statistics.chance(n), n, True)
    value = statistics.correlation_ratio(groups, y)
    return Influence(value, statistics.chance(n, levels), n, False, _gap(choice, groups, y))


def _gap(choice: Choice, groups: np.ndarray, y: np.ndarray) -> str:
    """The difference of means between the two extreme values of an unordered gene."""
    means = {g: float(y[groups == g].mean()) for g in np.unique(groups)}
    low = min(means, key=means.__getitem__)
    high = max(means, key=means.__getitem__)
    gap = number(means[high] - means[low])
    return f"{choice.values[high]} above {choice.values[low]} by {gap} on average"


def section(facts: Facts) -> Markup:
    """Tabulate how each gene goes together with each objective.

    Args:
        facts: The study.

    Returns:
        A row a gene, strongest first, those after the first MOST_SHOWN folded; a line where too
        little was measured.
    """
    objectives = facts.problem.objectives
    known = _known(facts)
    if not known:
        told = f"Too little to tell: a gene needs {LEAST_DESIGNS} measured designs with different values."
        return tag("p", told, class_="empty")
    rest = known[MOST_SHOWN:]
    folded = Markup()
    if rest:
        summary = tag("summary", f"{len(rest)} weaker genes")
        folded = tag("details", summary, _table(objectives, rest))
    return join([_table(objectives, known[:MOST_SHOWN]), folded, _note()])


def _known(facts: Facts) -> list[tuple[Choice, list[Influence]]]:
    """The genes of which anything is known, each with its influence on every objective; the strongest first."""
    done = [record for record in facts.records if record.status == "done"]
    rows = []
    for choice in facts.problem.space.choices:
        found = [influence(choice, o, done) for o in facts.problem.objectives]
        if any(i.value is not None for i in found):
            rows.append((choice, found))
    rows.sort(key=lambda row: -max(i.strength for i in row[1]))
    return rows


def _note() -> Markup:
    return tag(
        "p",
        "Rank correlation (Spearman's ρ) of the gene's value with the measured objective: to the right where they grow "
        "together; blue where more of the gene is better. For genes without an order, η in grey: the share (as a root) of the "
        "spread that lies between its values. Pale bars are within what chance alone gives to 19 of 20 genes. The search did "
        "not sample evenly, and genes move together: association, not cause.",
        class_="fine",
    )


def _table(
    objectives: Sequence[Objective], rows: Sequence[tuple[Choice, list[Influence]]]
) -> Markup:
    head = [tag("th", "Gene", scope="col")]
    for objective in objectives:
        head.append(tag("th", spoken(objective.name), scope="col"))
    body = []
    for choice, found in rows:
        cells = [tag("th", choice.name, scope="row")]
        for i, objective in zip(found, objectives, strict=True):
            cells.append(tag("td", _bar(i, objective)))
        body.append(tag("tr", *cells))
    table_head = tag("thead", tag("tr", *head))
    return tag("table", table_head, tag("tbody", *body), class_="influence")


def _bar(i: Influence, objective: Objective) -> Markup:
    """From the middle to the right where both grow; blue where more of the gene is better, amber where it is worse."""
    if i.value is None:
        return tag("span", "–", class_="fine")
    kind = _kind(i.value, i.ordered, objective)
    if i.strength <= i.noise:
        kind += " pale"
    start = min(50.0, 50 + 50 * i.value)
    width = abs(50 * i.value)
    bar = tag("rect", x=f"{start:.1f}%", width=f"{width:.1f}%", y="3", height="10", class_=kind)
    symbol = "ρ" if i.ordered else "η"
    tip = f"{symbol} {i.value:.2f} over {i.n} designs; chance gives up to {i.noise:.2f}"
    picture = tag("svg", tag("title", f"{tip}\n{i.gap}".strip()), bar, class_="bar")
    written = f"{i.value:+.2f}" if i.ordered else f"η {i.value:.2f}"
    return join([picture, tag("small", written.replace("-", "−"))])


def _kind(value: float, ordered: bool, objective: Objective) -> str:
    """The style class of a bar: whether more of the gene is better."""
    if not ordered:
        return "neutral"
    if value * objective.sign > 0:
        return "good"
    return "bad"
