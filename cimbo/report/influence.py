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
    having = []
    for r in records:
        if choice.name in r.params and objective.name in r.metrics:
            having.append(r)
    groups = np.array([choice.index(r.params[choice.name]) for r in having], np.intp)
    y = np.array([r.metrics[objective.name] for r in having], float)
    levels = len(np.unique(groups))
    if len(having) < LEAST_DESIGNS or levels < 2:
        return Influence(None, 1.0, len(having), choice.ordered)
    if choice.ordered:
        value = statistics.rank_correlation(groups.astype(float), y)
        return Influence(value, statistics.chance(len(y)), len(y), True)
    value = statistics.correlation_ratio(groups, y)
    return Influence(
        value, statistics.chance(len(y), levels), len(y), False, _gap(choice, groups, y)
    )


def _gap(choice: Choice, groups: np.ndarray, y: np.ndarray) -> str:
    """The difference of means between the two extreme values of an unordered gene."""
    means = {g: float(y[groups == g].mean()) for g in np.unique(groups)}
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return f"{choice.values[high]} above {choice.values[low]} by {number(means[high] - means[low])} on average"


def section(facts: Facts) -> Markup:
    """Tabulate how each gene goes together with each objective.

    Args:
        facts: The study.

    Returns:
        A row a gene, strongest first, those after the first MOST_SHOWN folded; a line where too
        little was measured.
    """
    records = [r for r in facts.records if r.status == "done"]
    objectives = facts.problem.objectives
    rows = []
    for c in facts.problem.space.choices:
        rows.append((c, [influence(c, o, records) for o in objectives]))
    rows.sort(key=lambda row: -max(i.strength for i in row[1]))
    known = []
    for row in rows:
        if any(i.value is not None for i in row[1]):
            known.append(row)
    if not known:
        return tag(
            "p",
            f"Too little to tell: a gene needs {LEAST_DESIGNS} measured designs with different values.",
            class_="empty",
        )
    rest = known[MOST_SHOWN:]
    if rest:
        folded = tag(
            "details", tag("summary", f"{len(rest)} weaker genes"), _table(objectives, rest)
        )
    else:
        folded = Markup()
    return join([_table(objectives, known[:MOST_SHOWN]), folded, _note()])


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
    head = tag(
        "tr",
        tag("th", "Gene", scope="col"),
        *(tag("th", spoken(o.name), scope="col") for o in objectives),
    )
    body = []
    for c, found in rows:
        body.append(
            tag(
                "tr",
                tag("th", c.name, scope="row"),
                *(tag("td", _bar(i, o)) for i, o in zip(found, objectives, strict=True)),
            )
        )
    return tag("table", tag("thead", head), tag("tbody", *body), class_="influence")


def _bar(i: Influence, objective: Objective) -> Markup:
    """From the middle to the right where both grow; blue where more of the gene is better, amber where it is worse."""
    if i.value is None:
        return tag("span", "–", class_="fine")
    if not i.ordered:
        good = "neutral"
    elif i.value * objective.sign > 0:
        good = "good"
    else:
        good = "bad"
    pale = " pale" if i.strength <= i.noise else ""
    start, width = min(50.0, 50 + 50 * i.value), abs(50 * i.value)
    tip = f"{'ρ' if i.ordered else 'η'} {i.value:.2f} over {i.n} designs; chance gives up to {i.noise:.2f}"
    bar = tag(
        "rect", x=f"{start:.1f}%", width=f"{width:.1f}%", y="3", height="10", class_=good + pale
    )
    picture = tag("svg", tag("title", f"{tip}\n{i.gap}".strip()), bar, class_="bar")
    return join(
        [
            picture,
            tag(
                "small", (f"{i.value:+.2f}" if i.ordered else f"η {i.value:.2f}").replace("-", "−")
            ),
        ]
    )
