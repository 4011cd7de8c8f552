"""The genes of the front, a row a gene and a thread a design. Rows, not columns: names stay level, and phones have height."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.plots import svg
from cimbo.plots.markup import Markup, join, short, tag, text
from cimbo.plots.quantity import amount, spoken
from cimbo.problem.space import Choice
from cimbo.report.facts import Facts
from cimbo.storage import Record

MOST_THREADS = 48
ROW_HEIGHT = 38  # pixels
N_SHADES = 5
LAYER_WIDTH = 999  # units across: whole numbers then are exact to half a pixel
INACTIVE_LABEL = "off"


@dataclass(frozen=True)
class Row:
    """A gene that varies on the front: where its values stand, in percent; ``INACTIVE_LABEL`` where a design lacks it."""

    name: str
    places: dict[object, float]
    gap: float


def section(facts: Facts) -> Markup:
    """Draw the genes of the front, a row a gene and a thread a design.

    Args:
        facts: The study.

    Returns:
        A picture for the architecture and one for the hardware, of at most MOST_THREADS designs
        spread over the front, and the genes on which the whole front agrees; a line where the front
        has fewer than two designs.
    """
    if len(facts.front) < 2:
        return tag(
            "p", "Two designs on the front are needed to compare their genes.", class_="empty"
        )
    pick = np.unique(np.linspace(0, len(facts.front) - 1, MOST_THREADS).round().astype(int))
    designs = [facts.front[i] for i in pick]
    space = facts.problem.space
    sides = (
        _side("Architecture", space.architecture, designs),
        _side("Hardware", space.hardware, designs),
    )
    return join(
        [
            _scale(facts, designs),
            tag("div", *sides, class_="grid"),
            _agreed(space.choices, facts.front),
        ]
    )


def _side(heading: str, choices: Sequence[Choice], designs: Sequence[Record]) -> Markup:
    rows = []
    for c in choices:
        if len({d.params.get(c.name) for d in designs}) > 1:
            rows.append(_row(c, designs))
    if not rows:
        return Markup()
    height = ROW_HEIGHT * len(rows)
    heights = [100 * (i + 0.5) / len(rows) for i in range(len(rows))]
    names = []
    for row, at in zip(rows, heights, strict=True):
        names.extend(_name(row, at))
    plates = []
    for row, at in zip(rows, heights, strict=True):
        plates.extend(_plates(row, at))
    paths = [_thread(rows, d, i, len(designs)) for i, d in enumerate(designs)]
    threads = tag("g", svg.layer(*paths, width=LAYER_WIDTH, height=2 * len(rows)), class_="threads")
    picture = tag(
        "svg", *names, threads, *plates, height=height, role="img", aria_label=f"{heading} genes"
    )
    return tag(
        "figure", tag("figcaption", heading), tag("div", picture, class_="parallel"), class_="cell"
    )


def _row(choice: Choice, designs: Sequence[Record]) -> Row:
    off = any(choice.name not in d.params for d in designs)
    values: list[object] = [*([INACTIVE_LABEL] if off else []), *choice.values]
    gap = 100 / len(values)
    # An unordered gene may itself have a value called "off"; None cannot be a value.
    keys = []
    for i, v in enumerate(values):
        keys.append(None if off and i == 0 else v)
    return Row(choice.name, {k: gap * (i + 0.5) for i, k in enumerate(keys)}, gap)


def _name(row: Row, at: float) -> list[Markup]:
    y = f"{at:.4g}%"
    rule = tag("line", x1="0", x2="100%", y1=y, y2=y)
    return [
        rule,
        tag(
            "text",
            short(row.name, 17),
            tag("title", row.name),
            x="0",
            y=y,
            dx="-10",
            dy="4",
            class_="y-tick",
        ),
    ]


def _plates(row: Row, at: float) -> list[Markup]:
    """The values, on top of the threads that run through them."""
    y = f"{at:.4g}%"
    every = max(1, round(len(row.places) / 8))
    plates = []
    for i, (v, x) in enumerate(row.places.items()):
        if i % every == 0:
            plates.append(
                tag(
                    "text",
                    short(INACTIVE_LABEL if v is None else v, 9),
                    x=f"{x:g}%",
                    y=y,
                    dy="4",
                    class_="plate",
                )
            )
    return plates


def _thread(rows: Sequence[Row], design: Record, i: int, n: int) -> Markup:
    """A smooth path through the rows; threads of one value lie side by side, the best in the first objective leftmost."""
    shift = (i / max(n - 1, 1) - 0.5) * 0.55
    xs = [row.places[design.params.get(row.name)] + shift * row.gap for row in rows]
    # Two units a row: curves meet the rows at odd units and bend at even ones; S mirrors the bend before it.
    places = [round(x * LAYER_WIDTH / 100) for x in xs]
    path = f"M{places[0]} .4V1"
    for j, (before, x) in enumerate(itertools.pairwise(places), start=1):
        path += f"C{before} 2 {x} 2 {x} 3" if j == 1 else f"S{x} {2 * j} {x} {2 * j + 1}"
    shade = min(N_SHADES - 1, i * N_SHADES // n)
    return tag(
        "path",
        tag("title", f"#{design.number} on the front"),
        d=f"{path}v.6",
        class_=f"q{shade}",
        data_d=design.number,
    )


def _scale(facts: Facts, designs: Sequence[Record]) -> Markup:
    """The legend of the shades."""
    first = facts.problem.objectives[0].name
    ends = [amount(first, d.metrics[first]) for d in (designs[0], designs[-1])]
    swatches = tag("span", *(tag("i", class_=f"q{i}") for i in range(N_SHADES)), class_="shades")
    left = ""
    if len(designs) < len(facts.front):
        left = f" {len(designs)} of {len(facts.front)} designs, evenly along the front."
    return tag("p", f"{spoken(first)} {ends[0]} ", swatches, f" {ends[1]}.{left}", class_="fine")


def _agreed(choices: Sequence[Choice], front: Sequence[Record]) -> Markup:
    """Genes with one value on the whole front: often the clearest advice a search gives."""
    same = []
    for c in choices:
        if len({r.params.get(c.name) for r in front}) == 1:
            same.append((c.name, front[0].params.get(c.name)))
    if not same:
        return Markup()
    items = []
    for name, value in same:
        items.append(
            join([text(name), "\u00a0", tag("b", INACTIVE_LABEL if value is None else value)])
        )
    return tag(
        "p",
        tag("strong", "The same in every design of the front: "),
        join(items, " "),
        class_="genes",
    )
