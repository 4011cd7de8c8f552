"""How the hypervolume grew, and how far random designs alone would have got."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, join, tag, text
from cimbo.plots.quantity import number
from cimbo.report.facts import RANDOM_ORIGINS, Facts, volumes
from cimbo.storage import Record


def section(facts: Facts) -> Markup:
    """Plot how the hypervolume grew.

    Args:
        facts: The study, with the baselines to compare it with.

    Returns:
        The curves of the study, of its own random designs alone and of the baselines, with a
        legend; a line where nothing was evaluated yet.
    """
    if not facts.records:
        return tag("p", "Nothing was evaluated yet.", class_="empty")
    study, alone = volumes(facts), volumes(facts, _random)
    every = [*study, *(v for values in facts.baselines.values() for v in values)]
    longest = max(len(study), *(len(v) for v in facts.baselines.values()), 1)
    x, y = counts("evaluation", longest), axis("hypervolume", every, zero=True)
    others = []
    for i, values in enumerate(facts.baselines.values()):
        others.append(svg.steps(values, x, y, f"other o{i % 4}"))
    drawn = sum(map(_random, facts.records))
    curves = svg.layer(
        _start(facts, x),
        *others,
        svg.steps(alone, x, y, "random") if drawn else Markup(),
        svg.steps(study, x, y, "ours"),
    )
    # The rug stands on the axis: one tick for each design that no model chose.
    rug = [
        svg.bars([(x.at(i), 100, 98) for i, r in enumerate(facts.records, 1) if _random(r)], "rug")
    ]
    picture = svg.frame(
        x,
        y,
        curves,
        svg.layer(*rug),
        _dots(study, x, y),
        about="hypervolume over evaluations",
    )
    return join(
        [picture, _legend(facts, drawn), tag("p", _reading(facts, study, alone), class_="fine")]
    )


def _random(record: Record) -> bool:
    return record.origin in RANDOM_ORIGINS


def _start(facts: Facts, x: Axis) -> Markup:
    if not 0 < facts.initial < len(facts.records):
        return Markup()
    return tag("rect", x="0", y="0", width=f"{x.at(facts.initial):g}", height="100", class_="start")


def _dots(study: Sequence[float], x: Axis, y: Axis) -> Markup:
    """A mark with a tooltip wherever the front grew."""
    grown = []
    for i in np.flatnonzero(np.diff(study, prepend=0.0) > 0).tolist():
        grown.append((i + 1, study[i]))
    dots = [svg.dot((x.at(i), y.down(v)), f"after {i}: {number(v)}") for i, v in grown]
    return tag("g", *dots, class_="grown")


def _legend(facts: Facts, drawn: int) -> Markup:
    entries = [svg.key("ours", "this study")]
    entries += [svg.key("random", f"its {drawn} random designs alone")] if drawn else []
    entries += [svg.key(f"other o{i % 4}", name) for i, name in enumerate(facts.baselines)]
    return tag("div", *entries, class_="legend")


def _reading(facts: Facts, study: Sequence[float], alone: Sequence[float]) -> Markup:
    lines = []
    if facts.problem.reference() is None:
        lines.append(
            "No reference was given for every objective, so this is measured above the worst verified values."
        )
    drawn = sum(_random(r) for r in facts.records)
    if drawn:
        lines.append(
            f"{drawn} designs were drawn without a model (ticks on the axis; the first {facts.initial} are shaded)."
        )
    if drawn and drawn < len(facts.records) and alone[-1] > 0:
        lines.append(f"The others multiplied the hypervolume by {number(study[-1] / alone[-1])}.")
    if not facts.baselines:
        lines.append(
            "Compare with an independent random search of the same budget to judge the gain."
        )
    return text(" ".join(lines))
