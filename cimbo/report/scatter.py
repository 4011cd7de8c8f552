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

    def axis_of(objective: Objective) -> Axis:
        """Make an axis around what was measured and predicted of an objective."""
        name = objective.name
        shown = [r.metrics[name] for r in facts.records if name in r.metrics]
        shown += [p.mean for c in facts.predicted if (p := facts_.predictions(c).get(name))]
        arrow = "↑" if objective.goal == "max" else "↓"
        return axis(f"{facts.named(name)} {arrow}", shown)

    if x:
        across = axis_of(x)
    else:
        across = counts("evaluation", len(facts.records))
    return View(facts, y, x, across, axis_of(y))


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
    words = {"verified": "verified, dominated", "infeasible": "infeasible", "best": "front"}
    keys = []
    for kind, records in kinds.items():
        if records:
            keys.append(
                tag(
                    "span",
                    tag("i", class_=f"mark-dot {kind}"),
                    f"{words[kind]} {len(records)}",
                    class_="entry",
                )
            )
    return join([picture, tag("div", *keys, class_="legend")])


def _places(seen: View, records: Sequence[Record]) -> list[svg.Place]:
    places = (seen.place(r.number, r.metrics) for r in records)
    return [place for place in places if place]


def _area(view: View) -> Iterator[Markup]:
    """The staircase of what is non-dominated in these two objectives, and what it dominates above the references."""
    records = [r for r in view.facts.verified if view.x]
    if not view.x or not records:
        return
    signs = np.array([view.x.sign, view.y.sign])
    values = np.array([[r.metrics[view.x.name], r.metrics[view.y.name]] for r in records])
    best = values[non_dominated(values * signs)]
    best = best[
        np.argsort(-best[:, 0] * signs[0], kind="stable")
    ]  # from the best in x to the worst
    places = [(view.x_axis.at(x), view.y_axis.down(y)) for x, y in best]
    floor, wall = _corner(view)
    # A front that lies beyond a reference is not tied back to it.
    if (floor - places[0][1]) * signs[1] > 0:
        start = floor
    else:
        start = places[0][1]
    if (wall - places[-1][0]) * signs[0] < 0:
        end = wall
    else:
        end = places[-1][0]
    path = (
        f"M{places[0][0]:g} {start:g}" + "".join(f"H{x:g}V{y:g}" for x, y in places) + f"H{end:g}"
    )
    if (
        view.x.reference is not None
        and view.y.reference is not None
        and len(view.facts.problem.objectives) == 2
    ):
        inside = []
        for x, y in places:
            if (wall - x) * signs[0] < 0 and (floor - y) * signs[1] > 0:
                inside.append((x, y))
        area = f"M{wall:g} {floor:g}" + "".join(f"H{x:g}V{y:g}" for x, y in inside) + f"H{wall:g}Z"
        yield tag("path", d=area, class_="dominated")
    yield tag("path", d=path, class_="stairs")


def _corner(view: View) -> svg.Place:
    """(y, x) where the staircase ends: at the references, else at the plot's worst corner."""
    assert view.x is not None
    if view.y.goal == "max":
        worst_y = view.y_axis.low
    else:
        worst_y = view.y_axis.high
    if view.x.goal == "max":
        worst_x = view.x_axis.low
    else:
        worst_x = view.x_axis.high
    if view.y.reference is not None:
        y = view.y.reference
    else:
        y = worst_y
    if view.x.reference is not None:
        x = view.x.reference
    else:
        x = worst_x
    return view.y_axis.down(y), view.x_axis.at(x)


def _references(view: View) -> Iterator[Markup]:
    """The references as lines; one beyond the picture is named at the side where it lies."""
    if view.y.reference is not None:
        name, at = (
            f"reference {amount(view.y.name, view.y.reference)}",
            f"{view.y_axis.down(view.y.reference):g}%",
        )
        beyond = view.y_axis.beyond(view.y.reference)
        if beyond == 0:
            yield tag("line", x1="0", x2="100%", y1=at, y2=at, class_="reference")
        dy = "12" if beyond > 0 else "-5"
        yield tag(
            "text",
            {0: "", 1: "↑ ", -1: "↓ "}[beyond] + name,
            x="100%",
            y=at,
            dx="-4",
            dy=dy,
            class_="note end",
        )
    if view.x and view.x.reference is not None:
        name, at = (
            f"reference {amount(view.x.name, view.x.reference)}",
            f"{view.x_axis.at(view.x.reference):g}%",
        )
        beyond, right = view.x_axis.beyond(view.x.reference), view.x_axis.at(view.x.reference) > 50
        if beyond == 0:
            yield tag("line", x1=at, x2=at, y1="0", y2="100%", class_="reference")
        name = {0: name, 1: f"{name} →", -1: f"← {name}"}[beyond]
        yield tag(
            "text",
            name,
            x=at,
            y="0",
            dx="-6" if right else "6",
            dy="12",
            class_="note end" if right else "note",
        )
