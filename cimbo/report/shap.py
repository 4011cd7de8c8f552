"""SHAP values of boosted trees: by how much each gene moves the prediction of each design, as swarms of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cimbo.analysis.gene_importance import GeneImportance
from cimbo.plots.markup import Markup, join, short, tag
from cimbo.plots.quantity import label, number, spoken
from cimbo.report.facts import Facts

MOST_GENES = 12
# Points drawn for a gene; if there are more, some are taken evenly over the search.
MOST_POINTS = 250
LITE_POINTS = 60  # the same on a small page
N_SHADES = 5
ROW_HEIGHT = 26  # pixels
PILE_BINS = 60  # places across within which points are piled on one another
LONGEST_NAME = 17  # letters


def section(facts: Facts) -> Markup:
    """Draw the SHAP values of every objective.

    Args:
        facts: The study, with ``importances``.

    Returns:
        A swarm an objective; nothing where there are none.
    """
    if not facts.importances:
        return Markup()
    most = LITE_POINTS if facts.lite else MOST_POINTS
    swarms = [_swarm(found, most) for found in facts.importances]
    samples = [tag("i", class_=f"s{i}") for i in range(N_SHADES)]
    shades = tag("span", *samples, class_="shades")
    note = tag(
        "p",
        "A point is an evaluated design: to the right where the gene's value raises the prediction of boosted trees "
        "that were fitted to the search, to the left where it lowers it (exact SHAP values). Low values of the gene ",
        shades,
        " high; grey where the design lacks the gene. The number is the mean size of the effect.",
        class_="fine",
    )
    return join([tag("div", *swarms, class_="grid"), note])


def _swarm(found: GeneImportance, most: int) -> Markup:
    order = found.order[:MOST_GENES]
    order = order[found.strength[order] > 0]
    reach = 1.0
    if len(order):
        reach = float(np.abs(found.values[:, order]).max())
    n = len(found.values)
    kept = np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
    rows = []
    for i in order.tolist():
        points = _gene(found.values[kept, i] / reach, found.levels[kept, i])
        rows.append(_row(found, i, points))
    trust = f"{100 * max(found.explained, 0.0):.0f} %"
    words = f"{spoken(found.metric).capitalize()}: the trees explain {trust} of designs that they were not fitted to"
    table = tag("table", tag("tbody", *rows), class_="swarms")
    return tag("figure", tag("figcaption", words), table, class_="cell")


def _row(found: GeneImportance, i: int, points: list[Markup]) -> Markup:
    """A gene: its name, its points, and the mean size of its effect."""
    strength = _effect(found, float(found.strength[i]))
    swarm = tag(
        "svg",
        *points,
        viewBox="-100 -50 200 100",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    middle = tag("line", x1="50%", x2="50%", y1="0", y2="100%", class_="middle")
    about = f"{found.names[i]}: mean effect {strength}"
    picture = tag("svg", middle, swarm, class_="swarm", role="img", aria_label=about)
    name = tag("th", short(found.names[i], LONGEST_NAME), scope="row", title=found.names[i])
    return tag("tr", name, tag("td", picture), tag("td", strength, class_="n"))


def _effect(found: GeneImportance, strength: float) -> str:
    """The mean size of an effect: a factor where logarithms were learned."""
    if found.log:
        return f"× {np.exp(min(strength, 50.0)):.2f}"
    return number(float(f"{strength:.3g}")) + label(found.metric).removeprefix(spoken(found.metric))


def _gene(places: NDArray[np.float64], levels: NDArray[np.intp]) -> list[Markup]:
    """One path a shade; points at one place are piled around the middle."""
    heights = _piled(places)
    shades = _shades(levels)
    drawn = []
    for shade in range(N_SHADES + 1):
        here = shades == shade
        if here.any():
            path = _points(places[here], heights[here])
            drawn.append(tag("path", d=path, class_=f"points s{shade}"))
    return drawn


def _points(across: NDArray[np.float64], heights: NDArray[np.float64]) -> str:
    """A path of points."""
    places = zip(across, heights, strict=True)
    return "".join(f"M{98 * x:.1f} {height:.0f}h.1" for x, height in places)


def _piled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """How high each point lies, so that points at one place are piled around the middle."""
    bins = np.round((places + 1) * PILE_BINS / 2).astype(int)
    heights = np.zeros(len(places))
    for bin_ in np.unique(bins):
        here = np.flatnonzero(bins == bin_)
        rank = np.arange(len(here)) - (len(here) - 1) / 2
        heights[here] = rank * min(12.0, 80.0 / max(len(here), 1))
    return heights


def _shades(levels: NDArray[np.intp]) -> NDArray[np.intp]:
    """The shade of each point by the level of its gene; the last one where the gene is inactive."""
    top = max(int(levels.max()), 1)
    shades = np.minimum(levels * N_SHADES // (top + 1), N_SHADES - 1)
    return np.where(levels < 0, N_SHADES, shades)
