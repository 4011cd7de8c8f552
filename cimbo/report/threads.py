"""The place of the picture of all designs by all variables, and in words what the front agrees on."""

from __future__ import annotations

from collections.abc import Sequence

from cimbo.plots.markup import Markup, join, tag, text
from cimbo.problem.space import Choice
from cimbo.report.facts import Facts
from cimbo.storage import Record

INACTIVE_LABEL = "off"


def section(facts: Facts) -> Markup:
    """Make the place that the script draws all designs into.

    Args:
        facts: The study.

    Returns:
        The place, and the genes on which the front agrees.
    """
    if not facts.records:
        return tag("p", "Nothing was evaluated yet.", class_="empty")
    agreed = Markup()
    if facts.front:
        agreed = _agreed(facts.problem.space.choices, facts.front)
    return join([tag("div", id="threads"), agreed])


def _agreed(choices: Sequence[Choice], front: Sequence[Record]) -> Markup:
    """Genes with one value on the whole front: often the clearest advice a search gives."""
    items = []
    for choice in choices:
        values = {r.params.get(choice.name) for r in front}
        if len(values) == 1:
            value = values.pop()
            shown = INACTIVE_LABEL if value is None else value
            items.append(join([text(choice.name), "\u00a0", tag("b", shown)]))
    if not items:
        return Markup()
    words = tag("strong", "The same in every design of the front: ")
    return tag("p", words, join(items, " "), class_="genes")
