"""How the hypervolume grew, and how far random designs alone would have got."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, join, tag, text
from cimbo.plots.quantity import number
from cimbo.report.facts import RANDOM_ORIGINS, Facts, volumes
from cimbo.storage import Record

LARGEST_TOLD_GAIN = 10.0  # a larger factor says only that the random designs found hardly any


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
    study = volumes(facts)
    alone = volumes(facts, _random)
    x, y = _axes(facts, study)
    drawn = sum(map(_random, facts.records))
    curves = [_start(facts, x)]
    for i, values in enumerate(facts.baselines.values()):
        curves.append(svg.steps(values, x, y, _other_kind(i)))
    if drawn:
        curves.append(svg.steps(alone, x, y, "random"))
    curves.append(svg.steps(study, x, y, "ours"))
    picture = svg.frame(
        x,
        y,
        svg.layer(*curves),
        svg.layer(_rug(facts, x)),
        _dots(study, x, y),
        about="hypervolume over evaluations",
    )
    reading = tag("p", _reading(facts, study, alone), class_="fine")
    return join([picture, _legend(facts, drawn), reading])


def _axes(facts: Facts, study: Sequence[float]) -> tuple[Axis, Axis]:
    """Axes around all curves: evaluations, and hypervolume."""
    longest = max(len(study), 1)
    every = list(study)
    for values in facts.baselines.values():
        longest = max(longest, len(values))
        every += values
    return counts("evaluation", longest), axis("hypervolume", every, zero=True)


def _other_kind(i: int) -> str:
    """The style class of a baseline's curve."""
    return f"other o{i % 4}"


def _rug(facts: Facts, x: Axis) -> Markup:
    """One tick on the axis for each design that no model chose."""
    ticks = []
    for i, record in enumerate(facts.records, 1):
        if _random(record):
            ticks.append((x.at(i), 100.0, 98.0))
    return svg.bars(ticks, "rug")


def _random(record: Record) -> bool:
    return record.origin in RANDOM_ORIGINS


def _start(facts: Facts, x: Axis) -> Markup:
    if not 0 < facts.initial < len(facts.records):
        return Markup()
    return tag("rect", x="0", y="0", width=f"{x.at(facts.initial):g}", height="100", class_="start")


def _dots(study: Sequence[float], x: Axis, y: Axis) -> Markup:
    """A mark with a tooltip wherever the front grew."""
    dots = []
    for i in np.flatnonzero(np.diff(study, prepend=0.0) > 0).tolist():
        place = (x.at(i + 1), y.down(study[i]))
        dots.append(svg.dot(place, f"after {i + 1}: {number(study[i])}"))
    return tag("g", *dots, class_="grown")


def _legend(facts: Facts, drawn: int) -> Markup:
    entries = [svg.key("ours", "this study")]
    if drawn:
        entries.append(svg.key("random", f"its {drawn} random designs alone"))
    for i, name in enumerate(facts.baselines):
        entries.append(svg.key(_other_kind(i), name))
    return tag("div", *entries, class_="legend")


def _reading(facts: Facts, study: Sequence[float], alone: Sequence[float]) -> Markup:
    lines = []
    if facts.problem.reference() is None:
        lines.append(
            "No reference was given for every objective, so this is measured above the worst verified values."
        )
    drawn = sum(map(_random, facts.records))
    if drawn:
        lines.append(
            f"{drawn} designs were drawn without a model (ticks on the axis; the first {facts.initial} are shaded)."
        )
    if drawn and drawn < len(facts.records):
        gain = study[-1] / alone[-1] if alone[-1] > 0 else math.inf
        if gain < LARGEST_TOLD_GAIN:
            lines.append(f"The others multiplied the hypervolume by {number(gain)}.")
        elif study[-1] > 0:
            lines.append("Almost all of the hypervolume comes from the others.")
    if not facts.baselines:
        lines.append(
            "Compare with an independent random search of the same budget to judge the gain."
        )
    return text(" ".join(lines))
