"""A running study as a page: what `cimbo status --watch` shows, the front, and how the hypervolume grew."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import label, number
from cimbo.session.front import Front
from cimbo.session.opening import open_existing
from cimbo.session.reporting import hypervolume_curves
from cimbo.session.session import Session
from cimbo.session.watching import Snapshot, snapshot

MOST_DESIGNS_SHOWN = 100
MOST_CURVE_POINTS = 500
CURVE_WIDTH, CURVE_HEIGHT = 640, 160
REST_FACTOR = 10.0  # a study that takes long to read is read at most a tenth of the time


@dataclass(frozen=True)
class LiveState:
    """What a page shows of a study at one moment.

    Attributes:
        title: What the study is called.
        seen: How far it is.
        seconds_each: From one evaluation to the next since the page's server began; None where
            none was recorded since.
        seconds_left: Until the budget is spent; None where that cannot be said.
        front: Its front.
        curve: Hypervolume after each evaluation.
    """

    title: str
    seen: Snapshot
    seconds_each: float | None
    seconds_left: float | None
    front: Front
    curve: Sequence[float]

    def to_json(self) -> dict[str, Any]:
        """The state as ``/live.json`` serves it."""
        seen = self.seen
        return {
            "title": self.title,
            "evaluations": seen.evaluations,
            "budget": seen.budget,
            "hypervolume": seen.hypervolume,
            "seconds_each": self.seconds_each,
            "seconds_left": self.seconds_left,
            "last": _last(seen),
            "failures": dict(seen.failures),
            "at_work": [lease.to_json() for lease in seen.at_work],
            "front": self.front.to_json(),
        }


def _last(seen: Snapshot) -> dict[str, Any] | None:
    """The newest evaluation; None where there is none."""
    record = seen.last
    if record is None:
        return None
    return {"key": record.key, "status": record.status, "metrics": dict(record.metrics)}


class LiveStudy:
    """Reads a study's file again and again for whoever looks; nothing is written.

    Any number of threads may ask. A study that takes long to read is read less often.
    """

    def __init__(self, file: str | Path) -> None:
        """Look at a study for the first time.

        Args:
            file: The study's file.

        Raises:
            BadInput: There is no such file, or it is no study.
        """
        self._file = file
        self._lock = threading.Lock()
        self._first: Snapshot | None = None
        self._state: LiveState | None = None
        self._next_reading_s = 0.0
        self.state()

    def state(self) -> LiveState:
        """Return what the study holds now, or a moment ago.

        Raises:
            BadInput: The file has gone, or is damaged.
        """
        with self._lock:
            start = time.monotonic()
            if self._state is None or start >= self._next_reading_s:
                with open_existing(self._file) as session:
                    self._state = self._read(session)
                end = time.monotonic()
                self._next_reading_s = end + REST_FACTOR * (end - start)
            return self._state

    def _read(self, session: Session) -> LiveState:
        seen = snapshot(session)
        if self._first is None:
            self._first = seen
        first = self._first
        before = self._state
        if before is not None and before.seen.evaluations == seen.evaluations:
            front, curve = before.front, before.curve
        else:
            front = session.pareto()
            (curve,) = hypervolume_curves(session, [self._file]).values()
        each = seen.seconds_per_evaluation(first)
        left = seen.seconds_left(first)
        return LiveState(session.title, seen, each, left, front, curve)

    def report(self) -> bytes:
        """Write the study's report without layers and next designs.

        Returns:
            The page, in UTF-8.

        Raises:
            BadInput: The file has gone, or is damaged.
        """
        with (
            self._lock,
            open_existing(self._file) as session,
            tempfile.TemporaryDirectory() as folder,
        ):
            written = session.report(Path(folder) / "report.html", following=0, lite=True)
            return written.read_bytes()


def page(state: LiveState) -> str:
    """Write the page that asks for `fragment` again and again.

    Args:
        state: What it shows at first.

    Returns:
        The page. Its style and script are ``/live.css`` and ``/live.js``.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", state.title),
        tag("link", rel="stylesheet", href="/live.css"),
    )
    noscript = tag("noscript", tag("p", "Without scripts: load the page again to see more."))
    body = tag(
        "body",
        tag("main", fragment(state), id="live"),
        tag("p", id="state", role="status"),
        noscript,
        tag("script", src="/live.js"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def fragment(state: LiveState) -> Markup:
    """Write what changes of a page.

    Args:
        state: What it shows.

    Returns:
        HTML; every text of the study is escaped.
    """
    seen = state.seen
    sections = [
        tag("h1", state.title),
        _progress(seen),
        tag("dl", *_facts(state)),
        _curve(state.curve),
    ]
    if seen.failures:
        sections.append(_listed("Failures", _failures(seen)))
    if seen.at_work:
        at_work = [f"{lease.by} on {lease.key}" for lease in seen.at_work]
        sections.append(_listed("At work", at_work))
    sections.append(_front(state.front))
    sections.append(tag("p", tag("a", "The whole report of this moment", href="/report.html")))
    return join(sections)


def _progress(seen: Snapshot) -> Markup:
    if seen.budget is None:
        return tag("p", f"{seen.evaluations} evaluations")
    told = f"{seen.evaluations} of {seen.budget} evaluations"
    done = min(seen.evaluations, seen.budget)
    bar = tag("progress", value=done, max=max(seen.budget, 1), aria_label=told)
    return tag("p", told, " ", bar)


def _facts(state: LiveState) -> Iterable[Markup]:
    """Pairs of a name and a value."""
    seen = state.seen
    facts = [("hypervolume", number(seen.hypervolume))]
    if state.seconds_each:
        facts.append(("evaluations a minute", f"{60 / state.seconds_each:.3g}"))
    if state.seconds_left:
        facts.append(("minutes left", f"{state.seconds_left / 60:.0f}"))
    if seen.last is not None:
        measured = ", ".join(f"{n} {number(value)}" for n, value in seen.last.metrics.items())
        facts.append(("last evaluation", f"{seen.last.key} {seen.last.status} {measured}".strip()))
    for name, value in facts:
        yield tag("dt", name)
        yield tag("dd", value)


def _failures(seen: Snapshot) -> Iterable[str]:
    for reason, count in sorted(seen.failures.items(), key=lambda found: -found[1]):
        yield f"{count}: {reason}"


def _listed(heading: str, lines: Iterable[str]) -> Markup:
    return join([tag("h2", heading), tag("ul", *(tag("li", line) for line in lines))])


def _curve(curve: Sequence[float]) -> Markup:
    """The hypervolume over evaluations, as a line."""
    largest = max(curve, default=0.0)
    if largest <= 0:
        return tag("p", "No hypervolume yet.")
    line = tag("polyline", points=" ".join(_points(curve, largest)))
    told = f"Hypervolume over {len(curve)} evaluations, from 0 to {number(largest)}"
    box = f"-2 -4 {CURVE_WIDTH + 4} {CURVE_HEIGHT + 8}"
    picture = tag("svg", line, viewBox=box, role="img", aria_label=told)
    return tag("figure", picture, tag("figcaption", told))


def _points(curve: Sequence[float], largest: float) -> Iterable[str]:
    """Coordinates of some points of a curve, the last one among them."""
    step = max(1, len(curve) // MOST_CURVE_POINTS)
    for i in [*range(0, len(curve), step), len(curve) - 1]:
        x = CURVE_WIDTH * i / max(len(curve) - 1, 1)
        y = CURVE_HEIGHT * (1 - curve[i] / largest)
        yield f"{x:.1f},{y:.1f}"


def _front(front: Front) -> Markup:
    """The designs of the front, a row each."""
    if not front.designs:
        return tag("p", "No feasible design yet.")
    metrics = list(front.designs[0].metrics)
    names = ["design", *map(label, metrics)]
    heads = [tag("th", name, scope="col") for name in names]
    rows = [tag("tr", *heads)]
    for design in front.designs[:MOST_DESIGNS_SHOWN]:
        cells = [tag("th", design.key, scope="row")]
        for metric in metrics:
            cells.append(tag("td", number(design.metrics.get(metric))))
        rows.append(tag("tr", *cells))
    caption = tag("caption", f"Front: {len(front.designs)} designs")
    return tag("div", tag("table", caption, *rows), class_="wide", tabindex="0")
