"""Figures for a paper, by matplotlib: one column wide, fonts embedded, readable in grey."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.errors import BadInput, check_known
from cimbo.plots.text_size import wrapped
from cimbo.problem.intervals import interval_90
from cimbo.report import calibration
from cimbo.report.facts import (
    RANDOM_ORIGINS,
    Facts,
    Prediction,
    prediction,
    predictions,
    volumes,
)
from cimbo.storage import Record

COLUMN_INCHES = (3.4, 2.6)  # inches
FIGURE_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
    "savefig.bbox": "tight",
    "savefig.dpi": 300,
    "legend.frameon": False,
    "svg.hashsalt": "cimbo",
}

LABEL_SPACE = (190.0, 150.0)  # points of a line of words beside the axes: across, and upwards
KEY_SPACE = 220.0  # points of a line of the legend
CURVE_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")
CURVE_STYLES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
# The legend has this many columns if no key has more letters than that
LEGEND_COLUMNS, LONGEST_SHORT_KEY = 2, 24
LEGEND_LINE_INCHES = 0.15

#: No date inside, so that the same study gives the same file.
UNDATED_METADATA = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def available() -> None:
    """Raises BadInput when matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise BadInput("plot", "matplotlib is not installed", "pip install 'cimbo[plot]'")


def write(path: Path, what: str, facts: Facts, over: FrontAxes | None = None) -> None:
    """Draw a figure into a file.

    Args:
        path: The file; its ending says the format.
        what: "front", "hypervolume" or "calibration".
        facts: The study.
        over: Which metrics the front is drawn over; by default the first two objectives.

    Raises:
        BadInput: A metric is not measured, matplotlib is missing, there is nothing to draw, or the file cannot be written.
    """
    available()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=COLUMN_INCHES, layout="constrained")
        axes = figure.subplots()
        if what == "front":
            _front(axes, facts, over or FrontAxes())
        else:
            FIGURE_FUNCTIONS[what](axes, facts)
        if "recorded" in facts.started_as:
            axes.set_title("recorded search, replayed", loc="left", fontsize=7, color="0.4")
        _finish(axes)
        try:
            figure.savefig(path, metadata=UNDATED_METADATA.get(path.suffix))
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise BadInput(path, what, "choose another place") from None


@dataclass(frozen=True)
class FrontAxes:
    """Which metrics a front is drawn over.

    Attributes:
        x: The metric across; None for the second objective.
        y: The metric upwards; None for the first objective.
    """

    x: str | None = None
    y: str | None = None


def _front(axes: Any, facts: Facts, over: FrontAxes) -> None:
    """One metric against another: verified designs, the front, what was forecast of it, and what comes next.

    An objective that is on neither axis is the colour of the front's points.
    """
    if not facts.front or len(facts.problem.objectives) < 2:
        todo = "search first, or plot the hypervolume"
        raise BadInput("plot front", "needs a front of two objectives", todo)
    x, y = _metrics_of_axes(facts, over)
    dominated = [record for record in facts.verified if record.number not in facts.on_front]
    others = _having(dominated, x, y)
    axes.plot(*_columns(others, x, y), "o", ms=2.5, color="0.7", label="verified, dominated")
    following = _means(map(predictions, facts.predicted), x, y)
    if following:
        style = {"ms": 3, "color": "tab:purple", "gid": "next"}
        axes.plot(*zip(*following, strict=True), "s", label="next, not verified", **style)
    guesses = _means(map(_predicted, facts.front), x, y)
    if guesses:
        style = {"ms": 3, "mfc": "none", "mew": 0.7, "color": "tab:orange"}
        axes.plot(*zip(*guesses, strict=True), "D", label="front, before measuring", **style)
    _draw_front(axes, facts, x, y)
    spread = [record.metrics[x] for record in _having(facts.verified, x, y)]
    if min(spread) > 0 and max(spread) > 10 * min(spread):
        axes.set_xscale("log")
    axes.set(xlabel=facts.named(x), ylabel=facts.named(y))


def _metrics_of_axes(facts: Facts, over: FrontAxes) -> tuple[str, str]:
    """The metrics across and upwards. Raises BadInput for one that no design of the front has, and for the same twice."""
    objectives = [objective.name for objective in facts.problem.objectives]
    measured: dict[str, None] = dict.fromkeys(objectives)
    for record in facts.front:
        measured |= dict.fromkeys(record.metrics)
    for option, name in (("--x", over.x), ("--y", over.y)):
        if name is not None:
            check_known(name, measured, f"{option} {name}", "is measured of no design of the front")
    y = over.y or next(name for name in objectives if name != over.x)
    x = over.x or next(name for name in [*objectives[1:], objectives[0]] if name != y)
    if x == y:
        raise BadInput(f"--x {x}", "is the metric upwards too", "give two metrics")
    return x, y


def _having(records: Iterable[Record], x: str, y: str) -> list[Record]:
    """The records that measured both metrics."""
    return [record for record in records if x in record.metrics and y in record.metrics]


def _draw_front(axes: Any, facts: Facts, x: str, y: str) -> None:
    """The front as points; with steps between them where there are two objectives, for what lies there is not known."""
    front = sorted(_having(facts.front, x, y), key=lambda record: record.metrics[x])
    goals = {objective.name: objective.goal for objective in facts.problem.objectives}
    style = {"ms": 3.5, "lw": 0.8, "color": "tab:blue"}
    line = "o"
    if set(goals) == {x, y}:
        line = "o-"
        style["ds"] = "steps-post" if goals[x] == "min" else "steps-pre"
    axes.plot(*_columns(front, x, y), line, label="verified front", **style)
    hidden = [name for name in goals if name not in (x, y)]
    if hidden:
        shades = [record.metrics[hidden[0]] for record in front]
        dots = axes.scatter(*_columns(front, x, y), c=shades, s=14, cmap="viridis", zorder=3)
        axes.figure.colorbar(dots, ax=axes, label=facts.named(hidden[0]))


def _predicted(record: Record) -> dict[str, Prediction]:
    """What was predicted of a design before it was measured, by metric."""
    found = {}
    for metric in record.metrics:
        said = prediction(record, metric)
        if said is not None:
            found[metric] = said
    return found


def _means(every: Iterable[Mapping[str, Prediction]], x: str, y: str) -> list[tuple[float, float]]:
    """Where designs were predicted to lie, of those that both metrics were predicted of."""
    places = []
    for said in every:
        if x in said and y in said:
            places.append((said[x].mean, said[y].mean))
    return places


def _hypervolume(axes: Any, facts: Facts) -> None:
    if not facts.records:
        raise BadInput("plot hypervolume", "needs evaluations", "search first")
    curves = {"this search": volumes(facts)}
    for name, baseline in facts.baselines.items():
        curves[name] = list(baseline)
    if any(map(_is_random, facts.records)) and not facts.baselines:
        curves["its random designs alone"] = volumes(facts, _is_random)
    for i, (name, values) in enumerate(curves.items()):
        # Colours and dashes have no common divisor: thirty curves differ, in grey by their dashes.
        colour = CURVE_COLOURS[i % len(CURVE_COLOURS)]
        dashes = CURVE_STYLES[i % len(CURVE_STYLES)]
        places = range(1, len(values) + 1)
        axes.step(places, values, where="post", label=name, ls=dashes, color=colour, lw=1.2)
        if len(values) == 1:  # a curve of one point is no line
            axes.plot(places, values, "o", ms=3, color=colour)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="evaluations", ylabel="hypervolume")


def _is_random(record: Record) -> bool:
    return record.origin in RANDOM_ORIGINS


def _calibration(axes: Any, facts: Facts) -> None:
    """The first metric that was guessed, not computed: each prediction with its 90 % interval."""
    learned = [c for c in calibration.checked(facts) if (c.std > 0).any()]
    if not learned:
        what = "no prediction was verified yet"
        raise BadInput("plot calibration", what, "search beyond the initial designs")
    c = learned[0]
    low, high = interval_90(c.metric, c.mean, c.std)
    reach = np.stack([np.maximum(c.mean - low, 0.0), np.maximum(high - c.mean, 0.0)])
    style = {"fmt": "o", "ms": 2.5, "lw": 0.5, "color": "tab:blue", "ecolor": "0.7"}
    axes.errorbar(c.measured, c.mean, reach, **style)
    ends = [min(c.measured.min(), c.mean.min()), max(c.measured.max(), c.mean.max())]
    axes.plot(ends, ends, lw=0.8, color="0.4")
    name = facts.named(c.metric)
    axes.set(xlabel=f"verified {name}", ylabel=f"predicted {name}")


def _columns(records: Any, x: str, y: str) -> Any:
    pairs = [[record.metrics[x], record.metrics[y]] for record in records]
    return np.array(pairs, float).reshape(-1, 2).T


def _finish(axes: Any) -> None:
    """Break long words into lines, thin out ticks that meet, and put the legend below the axes, where it hides nothing."""
    _thin_ticks(axes)
    axes.set_xlabel(_lines(axes.get_xlabel() + _power_of(axes.xaxis), LABEL_SPACE[0]))
    axes.set_ylabel(_lines(axes.get_ylabel() + _power_of(axes.yaxis), LABEL_SPACE[1]))
    handles, names = axes.get_legend_handles_labels()
    if handles:
        _draw_legend(axes.figure, handles, [_lines(name, KEY_SPACE) for name in names])


def _draw_legend(figure: Any, handles: Sequence[Any], keys: Sequence[str]) -> None:
    """The legend below the axes, in a figure that is higher by its lines."""
    columns = 1
    if max(map(len, keys)) <= LONGEST_SHORT_KEY:
        columns = LEGEND_COLUMNS
    lines = sum(key.count("\n") + 1 for key in keys) / columns
    figure.set_size_inches(COLUMN_INCHES[0], COLUMN_INCHES[1] + LEGEND_LINE_INCHES * lines)
    figure.legend(handles, keys, ncols=columns, fontsize=7, loc="outside lower center")


def _lines(words: str, width: float) -> str:
    """Words in lines of at most ``width`` points."""
    return "\n".join(wrapped(words, width, FIGURE_STYLE["font.size"]))


def _thin_ticks(axes: Any) -> None:
    """Fewer ticks across where their values would meet; a logarithmic axis places few by itself."""
    for axis, scale in (("x", axes.get_xscale()), ("y", axes.get_yscale())):
        if scale == "linear":
            axes.ticklabel_format(axis=axis, useOffset=False)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=5)


def _power_of(axis: Any) -> str:
    """The power of ten that an axis' ticks are in, for its label: by itself it would stand in the label's way."""
    axis.axes.figure.draw_without_rendering()
    power = axis.get_offset_text().get_text()
    axis.get_offset_text().set_visible(False)
    return f" (in {power})" if power else ""


FIGURE_FUNCTIONS: dict[str, Callable[[Any, Facts], None]] = {
    "hypervolume": _hypervolume,
    "calibration": _calibration,
}
