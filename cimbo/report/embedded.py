"""What the page's script knows: the study as columns, written as JSON into the page.

The script draws from it whatever a reader asks for. It is data, never run: a script element of type application/json, in
which ``<``, ``>`` and ``&`` are written as escapes, so that no name can end it. Rows are the evaluations in order, then the
designs that the search would verify next. Numbers have DIGITS significant digits, an absent one is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cimbo.analysis.chip_view import ChipView
from cimbo.analysis.surrogate_views import AroundDesign, SurrogateViews
from cimbo.plots.markup import UNPRINTABLE_CHARACTERS, Markup, tag
from cimbo.plots.quantity import spoken, unit
from cimbo.problem.objectives import Candidate
from cimbo.problem.space import Choice
from cimbo.report.facts import Facts, Prediction, prediction, predictions
from cimbo.storage import Record

DIGITS, LITE_DIGITS = 6, 5  # significant, of a number in the page
SPARSE_SHARE = 0.25  # a column with less of its rows known holds these alone
#: A letter for each level of a gene, in order; genes of more levels have a list of numbers
LEVEL_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LITE_KEY_LENGTH = 8  # letters of a key in a small page, enough for the commands that take one
#: What a row is: on the front, dominated, infeasible, failed, or predicted and not verified
STATUS_LETTERS = {"front": "f", "dominated": "d", "infeasible": "i", "failed": "x", "next": "n"}


def element(facts: Facts) -> Markup:
    """Write the data of a page.

    Args:
        facts: The study.

    Returns:
        A script element that is never run.
    """
    written = json.dumps(
        document(facts), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    visible = UNPRINTABLE_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", written)
    return tag("script", Markup(visible), type="application/json", id="study")


def document(facts: Facts) -> dict[str, Any]:
    """Collect the data of a page, as JSON takes them.

    Args:
        facts: The study.

    Returns:
        Columns by metric and gene; what else is known of a row stands under its index.
    """
    rows: list[Record | Candidate] = [*facts.records, *facts.predicted]
    place = {r.key: i for i, r in enumerate(rows)}
    return {
        "objectives": [_objective(o) for o in facts.problem.objectives],
        "metrics": [_metric(facts, name, rows) for name in _metric_names(facts)],
        "genes": _genes(facts, rows),
        "letters": LEVEL_LETTERS,
        "key": [r.key[:LITE_KEY_LENGTH] if facts.lite else r.key for r in rows],
        "status": "".join(_statuses(facts)),
        "origins": list(dict.fromkeys(r.origin for r in rows)),
        "origin": _indices([r.origin for r in rows]),
        "seconds": _numbers((getattr(r, "seconds", None) for r in rows), digits=3),
        "reasons": {i: r.reason for i, r in enumerate(facts.records) if r.reason},
        "knees": [place[key] for key in facts.knees],
        "tested": _by_row(place, facts.tested),
        "exact": _by_row(place, facts.exact),
        "bars": {
            place[key]: {name: _numbers(ends) for name, ends in bars.items()}
            for key, bars in facts.error_bars.items()
            if key in place
        },
        "notes": {
            place[key]: [[name, value] for name, value in lines.items()]
            for key, lines in facts.extra_rows.items()
        },
        "chips": {place[key]: _chip(view) for key, view in facts.chips.items() if key in place},
        "around": _around(facts, place),
    }


def _metric_names(facts: Facts) -> list[str]:
    """Every metric that was measured or predicted."""
    said = (name for c in facts.predicted for name in predictions(c))
    return list(dict.fromkeys([*(o.name for o in facts.problem.objectives), *facts.metrics, *said]))


def _objective(o: Any) -> dict[str, Any]:
    return {"name": o.name, "goal": o.goal, "reference": _number(o.reference)}


def _metric(facts: Facts, name: str, rows: Sequence[Record | Candidate]) -> dict[str, Any]:
    """A metric's column; what was predicted of it stands beside, unless the page shall be small."""
    measured = [r.metrics.get(name) if isinstance(r, Record) else None for r in rows]
    said = [_said(r, name) for r in rows]
    if facts.lite:  # only where nothing was measured: a row has no other place
        said = [p if m is None else None for p, m in zip(said, measured, strict=True)]
    digits = LITE_DIGITS if facts.lite else DIGITS
    column: dict[str, Any] = {
        "name": name,
        "label": facts.named(name),
        "spoken": spoken(name),
        "unit": unit(name),
        "values": _numbers(measured, digits=digits),
    }
    if any(said):
        column["mean"] = _sparse(_numbers([p.mean if p else None for p in said], digits=digits))
        column["std"] = _sparse(_numbers([p.std if p else None for p in said], digits=3))
    return column


def _sparse(column: Sequence[float | None]) -> Sequence[float | None] | dict[int, float]:
    """A column; of one that is mostly empty, only the rows that have a value."""
    known = {i: value for i, value in enumerate(column) if value is not None}
    if len(known) < SPARSE_SHARE * len(column):
        return known
    return column


def _said(r: Record | Candidate, name: str) -> Prediction | None:
    if isinstance(r, Record):
        return prediction(r, name)
    return predictions(r).get(name)


def _genes(facts: Facts, rows: Sequence[Record | Candidate]) -> list[dict[str, Any]]:
    space = facts.problem.space
    sides = {c.name: "architecture" for c in space.architecture}
    return [_gene(c, sides.get(c.name, "hardware"), rows) for c in space.choices]


def _gene(choice: Choice, side: str, rows: Sequence[Record | Candidate]) -> dict[str, Any]:
    places = {value: i for i, value in enumerate(choice.values)}
    return {
        "name": choice.name,
        "side": side,
        "ordered": choice.ordered,
        "values": [str(value) for value in choice.values],
        "index": _levels([places.get(r.params.get(choice.name), -1) for r in rows]),  # type: ignore[arg-type]
    }


def _levels(levels: Sequence[int]) -> str | list[int]:
    """A letter a row, "-" where the design lacks the gene; numbers where there are not enough letters."""
    if max(levels, default=0) >= len(LEVEL_LETTERS):
        return list(levels)
    return "".join("-" if i < 0 else LEVEL_LETTERS[i] for i in levels)


def _statuses(facts: Facts) -> Iterable[str]:
    infeasible = {r.number for r in facts.infeasible}
    for record in facts.records:
        if record.number in facts.on_front:
            yield STATUS_LETTERS["front"]
        elif record.number in infeasible:
            yield STATUS_LETTERS["infeasible"]
        elif record.status == "done":
            yield STATUS_LETTERS["dominated"]
        else:
            yield STATUS_LETTERS["failed"]
    for _ in facts.predicted:
        yield STATUS_LETTERS["next"]


def _indices(values: Sequence[str]) -> list[int]:
    places = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return [places[value] for value in values]


def _by_row(place: Mapping[str, int], found: Mapping[str, float]) -> dict[int, float | None]:
    by_row = {}
    for key, value in found.items():
        if key in place:
            by_row[place[key]] = _number(value)
    return by_row


def _chip(view: ChipView) -> dict[str, Any]:
    """A chip, its layers as columns."""
    layers = view.layers
    return {
        "peak": _number(view.peak_tops),
        "dram": _number(view.dram_gb_s),
        "energy": {part: _number(value) for part, value in view.energy_by_part_uj.items()},
        "area": {part: _number(value) for part, value in view.area_by_part_mm2.items()},
        "name": [layer.name for layer in layers],
        "bound": [layer.bound for layer in layers],
        "time": _numbers(layer.latency_ms for layer in layers),
        "joules": _numbers(layer.energy_uj for layer in layers),
        "tops": _numbers(layer.tops for layer in layers),
        "intensity": _numbers(layer.operations_per_byte for layer in layers),
    }


def _around(facts: Facts, place: Mapping[str, int]) -> dict[str, Any] | None:
    found = facts.around
    if found is None:
        return None
    rows, views = [], []
    for around in found.designs:
        row = place.get(facts.problem.space.key(around.design))
        if row is not None:  # a file that was edited may have another key in its row
            rows.append(row)
            views.append(_views(found, around))
    if not rows:
        return None
    return {
        "rows": rows,
        "computed": sorted(found.computed),
        "doubted": sorted(found.doubted),
        "designs": views,
    }


def _views(found: SurrogateViews, around: AroundDesign) -> dict[str, Any]:
    curves = {}
    for metric, by_gene in around.curves.items():
        curves[metric] = {
            gene: [_numbers(c.mean)]
            if metric in found.computed
            else [_numbers(c.mean), _numbers(c.low), _numbers(c.high)]
            for gene, c in by_gene.items()
        }
    surfaces = {
        metric: [
            {"across": s.across, "down": s.down, "mean": [_numbers(line) for line in s.mean]}
            for s in every
        ]
        for metric, every in around.surfaces.items()
    }
    return {"curves": curves, "surfaces": surfaces}


def _number(value: Any, digits: int = DIGITS) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _numbers(values: Iterable[Any], *, digits: int = DIGITS) -> list[float | None]:
    """Rounded numbers, whole ones without a point."""
    found: list[float | None] = []
    for value in values:
        rounded = _number(value, digits)
        if rounded is not None and abs(rounded) < 1e15 and rounded == int(rounded):
            rounded = int(rounded)
        found.append(rounded)
    return found
