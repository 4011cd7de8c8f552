"""Predicted against verified: every prediction was written down before its design was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.plots import svg
from cimbo.plots.axes import Axis, axis
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, number, spoken
from cimbo.problem.intervals import interval_90
from cimbo.report import facts as facts_
from cimbo.report import statistics
from cimbo.report.facts import Facts, Prediction

Array = NDArray[np.float64]
MOST_TOLD = 400  # predictions that have a tooltip each; more are drawn as one path


@dataclass(frozen=True)
class Checked:
    """Predictions of one metric that were verified: each (n,), in the metric's unit."""

    metric: str
    numbers: tuple[int, ...]
    mean: Array
    std: Array
    measured: Array


def checked(facts: Facts) -> list[Checked]:
    """Pair the predictions that were verified with what was measured.

    Args:
        facts: The study.

    Returns:
        Every metric with at least one such prediction, in the order of ``facts.metrics``.
    """
    found = []
    for metric in facts.metrics:
        numbers = []
        predicted = []
        measured = []
        for record in facts.records:
            said = facts_.prediction(record, metric)
            if said is not None and metric in record.metrics:
                numbers.append(record.number)
                predicted.append([said.mean, said.std])
                measured.append(record.metrics[metric])
        if numbers:
            mean, std = np.array(predicted).T
            found.append(Checked(metric, tuple(numbers), mean, std, np.array(measured)))
    return found


def section(facts: Facts) -> Markup:
    """Plot predicted against verified values.

    Args:
        facts: The study.

    Returns:
        A plot with its error measures for each metric that a model guessed, and a line on those
        that were computed; a line where nothing was predicted.
    """
    metrics = checked(facts)
    if not metrics:
        told = "No evaluation carries a prediction: nothing was proposed by a model yet."
        return tag("p", told, class_="empty")
    learned = []
    computed = []
    for c in metrics:
        if _exact(c):
            computed.append(f"{spoken(c.metric)} ({len(c.mean)} times)")
        else:
            learned.append(_metric(c))
    plotted = tag("div", *learned, class_="grid")
    if not computed:
        return plotted
    note = f"Computed beforehand, and measured to be just that: {', '.join(computed)}."
    return join([plotted, tag("p", note, class_="fine")])


def _exact(c: Checked) -> bool:
    """Whether this was computed, not guessed; a logarithm and back may have moved the last digits."""
    return not (c.std > 0).any() and bool(np.allclose(c.mean, c.measured, rtol=1e-6, atol=0))


def _metric(c: Checked) -> Markup:
    caption = tag("figcaption", spoken(c.metric).capitalize())
    return tag("div", tag("figure", caption, _picture(c), _measures(c)), class_="cell")


def _picture(c: Checked) -> Markup:
    both = [*c.mean, *c.measured]
    x = axis(f"verified {label(c.metric)}", both)
    y = axis(f"predicted {label(c.metric)}", both)
    diagonal = svg.line([(0, 100), (100, 0)], "diagonal")
    spans = svg.bars(_spans(c, x, y), "interval")
    about = f"predicted against verified {c.metric}"
    places = [(x.at(m), y.down(p)) for m, p in zip(c.measured, c.mean, strict=True)]
    if len(places) > MOST_TOLD:
        drawn = svg.layer(diagonal, spans, svg.points(places, "checked"))
        return svg.frame(x, y, drawn, about=about, class_="square")
    dots = [svg.dot(place, tip) for place, tip in zip(places, _tips(c), strict=True)]
    lines = svg.layer(diagonal, spans)
    return svg.frame(x, y, lines, tag("g", *dots, class_="checked"), about=about, class_="square")


def _spans(c: Checked, x: Axis, y: Axis) -> list[tuple[float, float, float]]:
    """The predicted 90 % intervals as bars; none of what was computed."""
    spans = []
    for m, low, high in zip(c.measured, *interval_90(c.metric, c.mean, c.std), strict=True):
        if high > low:
            spans.append((x.at(m), y.down(high), y.down(low)))
    return spans


def _tips(c: Checked) -> Sequence[str]:
    tips = []
    for n, p, std, m in zip(c.numbers, c.mean, c.std, c.measured, strict=True):
        doubt = Prediction(float(p), float(std)).doubt(c.metric)
        tips.append(f"#{n}\n{number(p)}{doubt} → {amount(c.metric, m)}")
    return tips


def _measures(c: Checked) -> Markup:
    entries = {
        "n": str(len(c.measured)),
        "RMSE": amount(c.metric, statistics.rmse(c.mean, c.measured)),
        "Kendall τ": _correlation(statistics.kendall(c.mean, c.measured)),
        "90 % interval held": _percent(statistics.coverage(c.mean, c.std, c.measured, c.metric)),
    }
    lines = [join([tag("dt", name), tag("dd", value)]) for name, value in entries.items()]
    return tag("dl", *lines, class_="measures")


def _correlation(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}".replace("-", "−")


def _percent(share: float | None) -> str:
    """How many of the intervals held, in percent."""
    if share is None:
        return "none given"
    return f"{100 * share:.0f} %"
