"""The front as a picture: two objectives at a time, what was verified, what broke a limit, what failed, what is a guess."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, spoken
from cimbo.problem.objectives import Objective
from cimbo.problem.pareto import non_dominated
from cimbo.report import facts as facts_
from cimbo.report.facts import Facts, Prediction
from cimbo.storage import Record

MOST_VIEWS = 6  # pairs of objectives drawn; each costs some 20 kB


@dataclass(frozen=True)
class View:
    """One picture: ``y`` against ``x``; without ``x`` against the number of the evaluation.

    All pictures show the same designs in the same order, so only the ``first`` carries tooltips; a script lends them.
    """

    facts: Facts
    y: Objective
    x: Objective | None
    x_axis: Axis
    y_axis: Axis
    first: bool = True

    def place(self, number: int, metrics: dict[str, float]) -> svg.Place | None:
        """Find where a design lies in the picture.

        Args:
            number: Number of its evaluation, which is its x where one objective is drawn alone.
            metrics: Its metrics, measured or predicted.

        Returns:
            Percent from the left and from the top; None when it lacks an objective, be it one of
            another picture.
        """
        if any(o.name not in metrics for o in self.facts.problem.objectives):
            return None
        return self.x_axis.at(metrics[self.x.name] if self.x else number), self.y_axis.down(
            metrics[self.y.name]
        )

    @property
    def metrics(self) -> list[str]:
        """Name the objectives that the picture shows, y first."""
        return [o.name for o in (self.y, self.x) if o]

    def tip(self, start: str, metrics: dict[str, float]) -> str:
        """Write the tooltip of a design.

        Args:
            start: Its first line.
            metrics: The design's metrics, every objective among them.

        Returns:
            That line and one for each objective; empty in every picture but the first.
        """
        if not self.first:
            return ""
        values = (
            f"{spoken(o.name)} {amount(o.name, metrics[o.name])}"
            for o in self.facts.problem.objectives
        )
        return "\n".join([start, *values])


def pairs(objectives: Sequence[Objective]) -> list[tuple[Objective, Objective | None]]:
    """Choose the pairs of objectives that are drawn.

    Args:
        objectives: The study's objectives.

    Returns:
        (y, x) of every picture; x is None where there is one objective. Of more than MOST_VIEWS
        pairs, only those with the first objective, MOST_VIEWS at most.
    """
    if len(objectives) == 1:
        return [(objectives[0], None)]
    every: list[tuple[Objective, Objective | None]] = list(itertools.combinations(objectives, 2))
    if len(every) <= MOST_VIEWS:
        return every
    return [p for p in every if p[0] is objectives[0]][:MOST_VIEWS]


def view(facts: Facts, y: Objective, x: Objective | None, *, first: bool = True) -> View:
    """Set up the picture of one objective against another.

    Args:
        facts: The study.
        y: The objective that goes upwards.
        x: The objective that goes to the right; None for the number of the evaluation.
        first: Whether this is the picture that carries the tooltips.

    Returns:
        The picture, with axes around all designs that it shows; a reference may lie beyond.
    """

    def axis_of(objective: Objective) -> Axis:
        """Make an axis around what was measured and predicted of an objective."""
        name = objective.name
        shown = [r.metrics[name] for r in facts.records if name in r.metrics]
        guesses = [v for g in _guesses(facts) if (p := g.get(name)) for v in _span(p)]
        return axis(
            f"{facts.named(name)} {'↑' if objective.goal == 'max' else '↓'}", [*shown, *guesses]
        )

    return View(
        facts,
        y,
        x,
        axis_of(x) if x else counts("evaluation", len(facts.records)),
        axis_of(y),
        first,
    )


def _guesses(facts: Facts) -> Iterator[dict[str, facts_.Prediction]]:
    """Predictions that the picture shows: of failures, of the front, and of designs nobody verified."""
    names = [o.name for o in facts.problem.objectives]
    for record in (*facts.failed, *facts.front):
        yield {m: Prediction(p.mean, 0.0) for m in names if (p := facts_.prediction(record, m))}
    yield from map(facts_.predictions, facts.predicted)


def _span(p: Prediction) -> tuple[float, float]:
    """The interval that holds 90 %, cut where it would turn the sign of what is predicted."""
    half = min(p.half, 0.9 * abs(p.mean))
    return p.mean - half, p.mean + half


def picture(view: View, class_: str) -> Markup:
    """Draw one picture of the front.

    Args:
        view: What it shows.
        class_: CSS class of the picture.

    Returns:
        The whole plot: every kind of design, the references, and the area that the front dominates.
    """
    groups = [
        tag("g", svg.layer(*_area(view)), class_="staircase"),
        tag("g", *_verified(view), class_="verified"),
        tag(
            "g", *_marks(view, view.facts.infeasible, "triangle", "infeasible"), class_="infeasible"
        ),
        tag("g", *_failures(view), class_="failed"),
        tag("g", *_predicted(view), class_="predicted"),
        tag("g", *_upcoming(view), class_="upcoming"),
        tag("g", *_references(view)),
        tag("g", *_best(view), class_="best"),
    ]
    x = view.x_axis.label
    return svg.frame(
        view.x_axis, view.y_axis, *groups, about=f"{view.y_axis.label} against {x}", class_=class_
    )


def _name(record: Record) -> str:
    return f"#{record.number}"


def _verified(view: View) -> Iterator[Markup]:
    for r in view.facts.verified:
        place = view.place(r.number, r.metrics)
        if place and r.number not in view.facts.on_front:
            yield svg.dot(place, view.tip(_name(r), r.metrics))


def _best(view: View) -> Iterator[Markup]:
    for r in view.facts.front:
        place = view.place(r.number, r.metrics)
        if place:
            point = svg.dot(place, view.tip(f"{_name(r)} on the front", r.metrics))
            yield tag("a", point, href=f"#d{r.number}", data_d=r.number)


def _marks(view: View, records: Sequence[Record], shape: str, why: str) -> Iterator[Markup]:
    for r in records:
        place = view.place(r.number, r.metrics)
        if place:
            yield svg.mark(shape, place, view.tip(f"{_name(r)} {why}", r.metrics))


def _failures(view: View) -> Iterator[Markup]:
    """A failure has no measurement; it stands where it was predicted to be."""
    for r in view.facts.failed:
        means = _means(view, r)
        place = view.place(r.number, means)
        if place:
            yield svg.mark("cross", place, view.tip(f"{_name(r)} failed; predicted", means))


def _predicted(view: View) -> Iterator[Markup]:
    """Where designs of the front were predicted to be, tied to where they are."""
    ties = []
    for r in view.facts.front:
        means = _means(view, r)
        was, now = view.place(r.number, means), view.place(r.number, r.metrics)
        if was and now:
            ties.append([was, now])
            yield svg.mark("diamond", was, view.tip(f"{_name(r)} as predicted", means))
    yield svg.layer(svg.lines(ties, "tie"))


def _upcoming(view: View) -> Iterator[Markup]:
    """Designs that nobody verified yet, where they are predicted to be, with the interval that holds 90 %."""
    bars: list[list[svg.Place]] = []
    for c in view.facts.predicted:
        known = facts_.predictions(c)
        means = {name: p.mean for name, p in known.items()}
        place = view.place(len(view.facts.records), means)
        if not place:
            continue
        bars += _whiskers(view, known, place)
        point = svg.mark("square", place, view.tip(f"{c.key} predicted, not verified", means))
        yield tag("a", point, href=f"#d{c.key}", data_d=c.key)
    yield svg.layer(svg.lines(bars, "whisker"))


def _whiskers(
    view: View, known: dict[str, Prediction], place: svg.Place
) -> Iterator[list[svg.Place]]:
    x, y = place
    if view.x and known[view.x.name].std > 0:
        yield [(view.x_axis.at(v), y) for v in _span(known[view.x.name])]
    if known[view.y.name].std > 0:
        yield [(x, view.y_axis.down(v)) for v in _span(known[view.y.name])]


def _means(view: View, r: Record) -> dict[str, float]:
    return {
        o.name: p.mean for o in view.facts.problem.objectives if (p := facts_.prediction(r, o.name))
    }


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


def section(facts: Facts) -> Markup:
    """Draw the front for every pair of objectives, one shown at a time.

    Args:
        facts: The study.

    Returns:
        The pictures, with switches for what they show.
    """
    views = []
    for i, (y, x) in enumerate(pairs(facts.problem.objectives)):
        views.append(view(facts, y, x, first=i == 0))
    pictures = [picture(v, f"view view-{i}") for i, v in enumerate(views)]
    return tag("div", _chooser(views), *pictures, _legend(facts, views), class_="front-plot")


def _chooser(views: Sequence[View]) -> Markup:
    if len(views) < 2:
        return Markup()
    buttons = []
    for i, v in enumerate(views):
        buttons.append(
            tag(
                "label",
                tag("input", type="radio", name="view", id=f"view-{i}", checked=i == 0),
                tag("span", " · ".join(label(m) for m in v.metrics)),
            )
        )
    return tag("div", *buttons, class_="chooser", role="radiogroup", aria_label="objectives shown")


def _legend(facts: Facts, views: Sequence[View]) -> Markup:
    drawn = sum(1 for _ in _failures(views[0]))
    hidden = (
        len(facts.failed)
        - drawn
        + sum(views[0].place(r.number, r.metrics) is None for r in facts.infeasible)
    )
    predicted, upcoming = (sum(1 for _ in marks(views[0])) - 1 for marks in (_predicted, _upcoming))
    entries = [
        ("best", "front", len(facts.front)),
        ("verified", "verified, dominated", len(facts.verified) - len(facts.front)),
        ("infeasible", "infeasible", len(facts.infeasible)),
        ("failed", "failed, where predicted" if facts.failed else "failed", len(facts.failed)),
        ("predicted", "the front as it was predicted", predicted),
        ("upcoming", "next, predicted, not verified", upcoming),
    ]
    switches = [_switch(*entry) for entry in entries if entry[2]]
    note = f"Without a place here: {hidden}, with neither a measurement nor a prediction of every objective."
    return join(
        [
            tag("div", *switches, class_="legend"),
            tag("p", note, class_="fine") if hidden else Markup(),
        ]
    )


def _switch(kind: str, name: str, n: int) -> Markup:
    box = tag("input", type="checkbox", id=f"show-{kind}", checked=True)
    return tag("label", box, svg.swatch(kind), f"{name} ", tag("b", n))
