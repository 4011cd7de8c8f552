"""Predicted against verified: every prediction was written down before its design was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.plots import svg
from cimbo.plots.axes import axis
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, number, rough, spoken
from cimbo.report import facts as facts_
from cimbo.report import statistics
from cimbo.report.facts import Facts

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
        pairs = [
            (r, p)
            for r in facts.records
            if metric in r.metrics and (p := facts_.prediction(r, metric))
        ]
        if pairs:
            mean, std = np.array([[p.mean, p.std] for _, p in pairs]).T
            measured = np.array([r.metrics[metric] for r, _ in pairs])
            found.append(Checked(metric, tuple(r.number for r, _ in pairs), mean, std, measured))
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
        return tag(
            "p",
            "No evaluation carries a prediction: nothing was proposed by a model yet.",
            class_="empty",
        )
    learned = [c for c in metrics if not _exact(c)]
    computed = []
    for c in metrics:
        if _exact(c):
            computed.append(f"{spoken(c.metric)} ({len(c.mean)} times)")
    note = f"Computed beforehand, and measured to be just that: {', '.join(computed)}."
    plotted = tag("div", *map(_metric, learned), class_="grid")
    return join([plotted, tag("p", note, class_="fine") if computed else Markup()])


def _exact(c: Checked) -> bool:
    """Whether this was computed, not guessed; a logarithm and back may have moved the last digits."""
    return not (c.std > 0).any() and bool(np.allclose(c.mean, c.measured, rtol=1e-6, atol=0))


def _metric(c: Checked) -> Markup:
    figure = tag(
        "figure", tag("figcaption", spoken(c.metric).capitalize()), _picture(c), _measures(c)
    )
    return tag("div", figure, class_="cell")


def _picture(c: Checked) -> Markup:
    both = [*c.mean, *c.measured]
    x, y = axis(f"verified {label(c.metric)}", both), axis(f"predicted {label(c.metric)}", both)
    half = statistics.NORMAL_QUANTILE_95 * c.std
    spans = []
    for m, high, low in zip(c.measured, c.mean + half, c.mean - half, strict=True):
        if high > low:
            spans.append((x.at(m), y.down(high), y.down(low)))
    diagonal = svg.line([(0, 100), (100, 0)], "diagonal")
    about = f"predicted against verified {c.metric}"
    if len(c.mean) > MOST_TOLD:
        places = [(x.at(m), y.down(p)) for m, p in zip(c.measured, c.mean, strict=True)]
        drawn = [diagonal, svg.bars(spans, "interval"), svg.points(places, "checked")]
        return svg.frame(x, y, svg.layer(*drawn), about=about, class_="square")
    dots = []
    for m, p, tip in zip(c.measured, c.mean, _tips(c), strict=True):
        dots.append(svg.dot((x.at(m), y.down(p)), tip))
    lines = svg.layer(diagonal, svg.bars(spans, "interval"))
    return svg.frame(x, y, lines, tag("g", *dots, class_="checked"), about=about, class_="square")


def _tips(c: Checked) -> Sequence[str]:
    tips = []
    half = statistics.NORMAL_QUANTILE_95 * c.std
    for n, p, reach, m in zip(c.numbers, c.mean, half, c.measured, strict=True):
        doubt = f" ± {rough(reach)}" if reach > 0 else ""
        tips.append(f"#{n}\n{number(p)}{doubt} → {amount(c.metric, m)}")
    return tips


def _measures(c: Checked) -> Markup:
    held = statistics.coverage(c.mean, c.std, c.measured)
    tau = statistics.kendall(c.mean, c.measured)
    entries = [
        ("n", str(len(c.measured))),
        ("RMSE", amount(c.metric, statistics.rmse(c.mean, c.measured))),
        ("Kendall τ", "–" if tau is None else f"{tau:.2f}".replace("-", "−")),
        ("90 % interval held", "none given" if held is None else f"{100 * held:.0f} %"),
    ]
    return tag(
        "dl",
        *(join([tag("dt", name), tag("dd", value)]) for name, value in entries),
        class_="measures",
    )
