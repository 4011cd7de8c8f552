"""The front as a still picture, for readers whose browser runs no script: the script draws its own in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount
from cimbo.problem.objectives import Objective
from cimbo.problem.pareto import non_dominated
from cimbo.report import facts as facts_
from cimbo.report.facts import Facts
from cimbo.storage import Record

KINDS_IN_WORDS = {
    "verified": "verified, dominated",
    "infeasible": "infeasible",
    "best": "front",
}


@dataclass(frozen=True)
class View:
    """``y`` against ``x``; without ``x`` against the number of the evaluation."""

    facts: Facts
    y: Objective
    x: Objective | None
    x_axis: Axis
    y_axis: Axis

    def place(self, number: int, metrics: dict[str, float]) -> svg.Place | None:
        """Find where a design lies in the picture.

        Args:
            number: Number of its evaluation, which is its x where one objective is drawn alone.
            metrics: Its metrics, measured or predicted.

        Returns:
            Percent from the left and from the top; None when it lacks one of the two objectives.
        """
        if any(o.name not in metrics for o in (self.y, self.x) if o):
            return None
        across = self.x_axis.at(metrics[self.x.name] if self.x else number)
        return across, self.y_axis.down(metrics[self.y.name])


def view(facts: Facts, y: Objective, x: Objective | None) -> View:
    """Set up the picture of one objective against another.

    Args:
        facts: The study.
        y: The objective that goes upwards.
        x: The objective that goes to the right; None for the number of the evaluation.

    Returns:
        The picture, with axes around all designs that it shows; a reference may lie beyond.
    """
    if x:
        across = _axis_of(facts, x)
    else:
        across = counts("evaluation", len(facts.records))
    return View(facts, y, x, across, _axis_of(facts, y))


def _axis_of(facts: Facts, objective: Objective) -> Axis:
    """An axis around what was measured and predicted of an objective."""
    arrow = "↑" if objective.goal == "max" else "↓"
    return axis(f"{facts.named(objective.name)} {arrow}", _values(facts, objective.name))


def _values(facts: Facts, metric: str) -> list[float]:
    """What was measured of a metric, and what is predicted of it."""
    values = [record.metrics[metric] for record in facts.records if metric in record.metrics]
    for c in facts.predicted:
        said = facts_.predictions(c).get(metric)
        if said is not None:
            values.append(said.mean)
    return values


def section(facts: Facts) -> Markup:
    """Draw the first objective against the second.

    Args:
        facts: The study.

    Returns:
        The picture with its legend.
    """
    y, *others = facts.problem.objectives
    seen = view(facts, y, others[0] if others else None)
    kinds = {
        "verified": [r for r in facts.verified if r.number not in facts.on_front],
        "infeasible": list(facts.infeasible),
        "best": list(facts.front),
    }
    if facts.lite:  # the script has all of them
        kinds = {"best": kinds["best"]}
    layers = [svg.points(_places(seen, records), kind) for kind, records in kinds.items()]
    picture = svg.frame(
        seen.x_axis,
        seen.y_axis,
        tag("g", svg.layer(*_area(seen)), class_="staircase"),
        svg.layer(*layers),
        tag("g", *_references(seen)),
        about=f"{seen.y_axis.label} against {seen.x_axis.label}",
    )
    keys = [_key(kind, len(records)) for kind, records in kinds.items() if records]
    return join([picture, tag("div", *keys, class_="legend")])


def _key(kind: str, n: int) -> Markup:
    """An entry of the legend."""
    dot = tag("i", class_=f"mark-dot {kind}")
    return tag("span", dot, f"{KINDS_IN_WORDS[kind]} {n}", class_="entry")


def _places(seen: View, records: Sequence[Record]) -> list[svg.Place]:
    places = []
    for record in records:
        place = seen.place(record.number, record.metrics)
        if place:
            places.append(place)
    return places


def _area(view: View) -> Iterator[Markup]:
    """The staircase of what is non-dominated in these two objectives, and what it dominates above the references."""
    if view.x is None or not view.facts.verified:
        return
    places = _stairs(view, view.x)
    floor, wall = _corner(view, view.x)
    steps = "".join(f"H{x:g}V{y:g}" for x, y in places)
    # A front that lies beyond a reference is not tied back to it.
    start = floor if _is_below(view.y, floor, places[0][1]) else places[0][1]
    end = wall if _is_left(view.x, wall, places[-1][0]) else places[-1][0]
    two = len(view.facts.problem.objectives) == 2
    if two and view.x.reference is not None and view.y.reference is not None:
        inside = []
        for x, y in places:
            if _is_left(view.x, wall, x) and _is_below(view.y, floor, y):
                inside.append(f"H{x:g}V{y:g}")
        area = f"M{wall:g} {floor:g}{''.join(inside)}H{wall:g}Z"
        yield tag("path", d=area, class_="dominated")
    yield tag("path", d=f"M{places[0][0]:g} {start:g}{steps}H{end:g}", class_="stairs")


def _stairs(view: View, across: Objective) -> list[svg.Place]:
    """Places of what is non-dominated in these two objectives, from the best across to the worst."""
    signs = np.array([across.sign, view.y.sign])
    pairs = [[r.metrics[across.name], r.metrics[view.y.name]] for r in view.facts.verified]
    values = np.array(pairs)
    best = values[non_dominated(values * signs)]
    order = np.argsort(-best[:, 0] * signs[0], kind="stable")
    return [(view.x_axis.at(x), view.y_axis.down(y)) for x, y in best[order]]


def _is_below(objective: Objective, place: float, other: float) -> bool:
    """Whether a place is on the worse side of another, upwards; places are counted from the top."""
    return (place - other) * objective.sign > 0


def _is_left(objective: Objective, place: float, other: float) -> bool:
    """Whether a place is on the worse side of another, across."""
    return (place - other) * objective.sign < 0


def _corner(view: View, across: Objective) -> svg.Place:
    """(y, x) where the staircase ends: at the references, else at the plot's worst corner."""
    worst_y = _worst(view.y, view.y_axis)
    worst_x = _worst(across, view.x_axis)
    return view.y_axis.down(worst_y), view.x_axis.at(worst_x)


def _worst(objective: Objective, axis: Axis) -> float:
    """The reference of an objective, or else the worse end of its axis."""
    if objective.reference is not None:
        return objective.reference
    if objective.goal == "max":
        return axis.low
    return axis.high


def _references(view: View) -> Iterator[Markup]:
    """The references as lines; one beyond the picture is named at the side where it lies."""
    if view.y.reference is not None:
        yield from _reference_line(view.y, view.y.reference, view.y_axis)
    if view.x is not None and view.x.reference is not None:
        yield from _reference_column(view.x, view.x.reference, view.x_axis)


def _reference_line(objective: Objective, reference: float, axis: Axis) -> Iterator[Markup]:
    """The reference of what goes upwards."""
    at = f"{axis.down(reference):g}%"
    beyond = axis.beyond(reference)
    if beyond == 0:
        yield tag("line", x1="0", x2="100%", y1=at, y2=at, class_="reference")
    arrow = {0: "", 1: "↑ ", -1: "↓ "}[beyond]
    name = f"{arrow}reference {amount(objective.name, reference)}"
    dy = "12" if beyond > 0 else "-5"
    yield tag("text", name, x="100%", y=at, dx="-4", dy=dy, class_="note end")


def _reference_column(objective: Objective, reference: float, axis: Axis) -> Iterator[Markup]:
    """The reference of what goes to the right."""
    at = f"{axis.at(reference):g}%"
    beyond = axis.beyond(reference)
    if beyond == 0:
        yield tag("line", x1=at, x2=at, y1="0", y2="100%", class_="reference")
    name = f"reference {amount(objective.name, reference)}"
    if beyond > 0:
        name = f"{name} →"
    elif beyond < 0:
        name = f"← {name}"
    if axis.at(reference) > 50:
        yield tag("text", name, x=at, y="0", dx="-6", dy="12", class_="note end")
    else:
        yield tag("text", name, x=at, y="0", dx="6", dy="12", class_="note")
