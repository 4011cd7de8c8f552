"""How a search went besides its hypervolume: how its designs spread over each objective, and what each evaluation took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import number, spoken
from cimbo.problem.objectives import Objective
from cimbo.report.facts import RANDOM_ORIGINS, Facts, finite
from cimbo.storage import Record

LEAST_DESIGNS = 3  # below, a distribution says nothing
MOST_STEPS = 300  # steps of a curve; with more designs, a step stands for several
TIMES_IN_WORDS = {"took": "evaluated", "broke": "failed", "chose": "chosen by the search"}
PERCENT_AXIS = Axis("share of the designs that are no better (%)", 0.0, 100.0)


def distributions(facts: Facts) -> Markup:
    """Plot the empirical distribution of each objective, of designs by chance and by the model.

    Args:
        facts: The study.

    Returns:
        A plot an objective: the share of the designs that are no better than a value; a line where
        too little was measured.
    """
    if len(facts.verified) + len(facts.infeasible) < LEAST_DESIGNS:
        return tag("p", "Too few designs were measured.", class_="empty")
    groups: dict[str, list[Record]] = {"random": [], "ours": []}
    for record in (*facts.verified, *facts.infeasible):
        kind = "random" if record.origin in RANDOM_ORIGINS else "ours"
        groups[kind].append(record)
    plots = [_distribution(facts, o, groups) for o in facts.problem.objectives]
    names = {"ours": "chosen by a model, or told", "random": "drawn without a model"}
    keys = []
    for kind, records in groups.items():
        if records:
            keys.append(svg.key(kind, f"{names[kind]}: {len(records)}"))
    return join([tag("div", *plots, class_="grid"), tag("div", *keys, class_="legend")])


def _distribution(
    facts: Facts, objective: Objective, groups: Mapping[str, Sequence[Record]]
) -> Markup:
    name = objective.name
    values = {}
    for kind, records in groups.items():
        values[kind] = [r.metrics[name] for r in records if name in r.metrics]
    every = [*values["random"], *values["ours"]]
    x = axis(facts.named(name), every)
    curves = []
    for kind, group in values.items():
        if group:
            curves.append(_steps(group, objective, x, kind))
    about = f"distribution of {name} over the designs of the search"
    picture = svg.frame(x, PERCENT_AXIS, svg.layer(*curves), about=about, class_="square")
    figure = tag("figure", tag("figcaption", spoken(name).capitalize()), picture)
    return tag("div", figure, class_="cell")


def _steps(values: Sequence[float], objective: Objective, x: Axis, kind: str) -> Markup:
    """A staircase over the share of designs that are no better than a value."""
    ordered = sorted(values, reverse=objective.goal == "min")  # from the worst to the best
    places = [f"M{x.at(ordered[0]):.4g} 100"]
    steps = min(len(ordered), MOST_STEPS)
    for k in range(1, steps + 1):
        i = round(k * len(ordered) / steps)
        share = PERCENT_AXIS.down(100.0 * i / len(ordered))
        places.append(f"H{x.at(ordered[i - 1]):.4g}V{share:.4g}")
    return tag("path", d="".join(places), class_=kind)


def timeline(facts: Facts) -> Markup:
    """Plot what each evaluation took, and what it took to choose it.

    Args:
        facts: The study.

    Returns:
        The plot, with totals; a line where no time was recorded.
    """
    kinds = _seconds(facts)
    if not kinds["took"] and not kinds["broke"]:
        return tag("p", "No evaluation says how long it took.", class_="empty")
    x = counts("evaluation", len(facts.records))
    y = axis("seconds", [seconds for found in kinds.values() for seconds in found.values()])
    marks = []
    for kind, found in kinds.items():
        places = [(x.at(n), y.down(seconds)) for n, seconds in found.items()]
        marks.append(svg.points(places, kind))
    picture = svg.frame(x, y, svg.layer(*marks), about="seconds of each evaluation", class_="low")
    keys = []
    for kind, found in kinds.items():
        if found:
            total = number(sum(found.values()))
            entry = f"{TIMES_IN_WORDS[kind]}: {len(found)} in {total} s"
            keys.append(tag("span", tag("i", class_=f"mark-dot {kind}"), entry, class_="entry"))
    return join([picture, tag("div", *keys, class_="legend")])


def _seconds(facts: Facts) -> dict[str, dict[int, float]]:
    """By kind and number of the evaluation: what it took, what it took until it failed, what choosing it took."""
    kinds: dict[str, dict[int, float]] = {"took": {}, "broke": {}, "chose": {}}
    for record in facts.records:
        if record.seconds > 0:
            kind = "took" if record.status == "done" else "broke"
            kinds[kind][record.number] = record.seconds
        overhead = finite(record.extra.get("overhead_s"))
        if overhead is not None and overhead > 0:
            kinds["chose"][record.number] = overhead
    return kinds
