"""What the page's script knows: the study as columns, written as JSON into the page.

The script draws from it whatever a reader asks for. It is data, never run: a script element of type application/json, in
which ``<``, ``>`` and ``&`` are written as escapes, so that no name can end it. Rows are the evaluations in order, then the
designs that the search would verify next. Numbers have SIGNIFICANT_DIGITS digits, an absent one is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from cimbo.analysis.chip_view import ChipView
from cimbo.analysis.surrogate_views import AroundDesign, SurrogateViews
from cimbo.plots.markup import UNPRINTABLE_CHARACTERS, Markup, tag
from cimbo.plots.quantity import spoken, unit
from cimbo.problem.objectives import Candidate
from cimbo.problem.space import Choice
from cimbo.report.facts import Facts, Prediction, prediction, predictions
from cimbo.storage import Record

SIGNIFICANT_DIGITS = 6  # significant, of a number in the page
LITE_DIGITS = 5  # likewise, in a small page
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
    return tag("script", Markup(_escaped(written)), type="application/json", id="study")


def _escaped(written: str) -> str:
    """JSON without signs of HTML and characters that cannot be printed, which it can write as numbers."""
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return UNPRINTABLE_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def document(facts: Facts) -> dict[str, Any]:
    """Collect the data of a page, as JSON takes them.

    Args:
        facts: The study.

    Returns:
        Columns by metric and gene; what else is known of a row stands under its index.
    """
    rows: list[Record | Candidate] = [*facts.records, *facts.predicted]
    place = {row.key: i for i, row in enumerate(rows)}
    origins = [row.origin for row in rows]
    return {
        "objectives": [_objective(objective) for objective in facts.problem.objectives],
        "metrics": [_metric(facts, name, rows) for name in _metric_names(facts)],
        "genes": _genes(facts, rows),
        "letters": LEVEL_LETTERS,
        "key": _keys(rows, lite=facts.lite),
        "status": "".join(_statuses(facts)),
        "origins": list(dict.fromkeys(origins)),
        "origin": _indices(origins),
        "seconds": _numbers([getattr(row, "seconds", None) for row in rows], digits=3),
        "reasons": _reasons(facts),
        "knees": [place[key] for key in facts.knees],
        "tested": _by_row(place, facts.tested),
        "exact": _by_row(place, facts.exact),
        "bars": _bars(facts, place),
        "notes": _notes(facts, place),
        "chips": _chips(facts, place),
        "around": _around(facts, place),
    }


def _keys(rows: Sequence[Record | Candidate], *, lite: bool) -> list[str]:
    """The key of each row; in a small page as much of it as commands need."""
    if lite:
        return [row.key[:LITE_KEY_LENGTH] for row in rows]
    return [row.key for row in rows]


def _reasons(facts: Facts) -> dict[int, str]:
    """Why evaluations failed, by row."""
    reasons = {}
    for i, record in enumerate(facts.records):
        if record.reason:
            reasons[i] = record.reason
    return reasons


def _bars(facts: Facts, place: Mapping[str, int]) -> dict[int, dict[str, list[float | None]]]:
    """Error bars of costs, by row."""
    found = {}
    for key, bars in facts.error_bars.items():
        if key in place:
            found[place[key]] = {name: _numbers(ends) for name, ends in bars.items()}
    return found


def _notes(facts: Facts, place: Mapping[str, int]) -> dict[int, list[list[str]]]:
    """Further lines for the details of a design, by row."""
    notes = {}
    for key, lines in facts.extra_rows.items():
        notes[place[key]] = [[name, value] for name, value in lines.items()]
    return notes


def _chips(facts: Facts, place: Mapping[str, int]) -> dict[int, dict[str, Any]]:
    """Designs on their chips, by row."""
    chips = {}
    for key, view in facts.chips.items():
        if key in place:
            chips[place[key]] = _chip(view)
    return chips


def _metric_names(facts: Facts) -> list[str]:
    """Every metric that was measured or predicted."""
    names = [objective.name for objective in facts.problem.objectives]
    names += facts.metrics
    for c in facts.predicted:
        names += predictions(c)
    return list(dict.fromkeys(names))


def _objective(o: Any) -> dict[str, Any]:
    return {"name": o.name, "goal": o.goal, "reference": _number(o.reference)}


def _metric(facts: Facts, name: str, rows: Sequence[Record | Candidate]) -> dict[str, Any]:
    """A metric's column; what was predicted of it stands beside, unless the page shall be small."""
    measured: list[float | None] = []
    means: list[float | None] = []
    stds: list[float | None] = []
    for row in rows:
        value = row.metrics.get(name) if isinstance(row, Record) else None
        said = _said(row, name)
        if facts.lite and value is not None:
            said = None  # a small page has predictions only of what was not measured
        measured.append(value)
        means.append(None if said is None else said.mean)
        stds.append(None if said is None else said.std)
    digits = LITE_DIGITS if facts.lite else SIGNIFICANT_DIGITS
    column: dict[str, Any] = {
        "name": name,
        "label": facts.named(name),
        "spoken": spoken(name),
        "unit": unit(name),
        "values": _numbers(measured, digits=digits),
    }
    if any(mean is not None for mean in means):
        column["mean"] = _sparse(_numbers(means, digits=digits))
        column["std"] = _sparse(_numbers(stds, digits=3))
    return column


def _sparse(column: Sequence[float | None]) -> Sequence[float | None] | dict[int, float]:
    """A column; of one that is mostly empty, only the rows that have a value."""
    known = {}
    for i, value in enumerate(column):
        if value is not None:
            known[i] = value
    if len(known) < SPARSE_SHARE * len(column):
        return known
    return column


def _said(r: Record | Candidate, name: str) -> Prediction | None:
    if isinstance(r, Record):
        return prediction(r, name)
    return predictions(r).get(name)


def _genes(facts: Facts, rows: Sequence[Record | Candidate]) -> list[dict[str, Any]]:
    space = facts.problem.space
    genes = [_gene(choice, "architecture", rows) for choice in space.architecture]
    return genes + [_gene(choice, "hardware", rows) for choice in space.hardware]


def _gene(choice: Choice, side: str, rows: Sequence[Record | Candidate]) -> dict[str, Any]:
    places = {value: i for i, value in enumerate(choice.values)}
    levels = []
    for row in rows:
        value = row.params.get(choice.name)
        levels.append(-1 if value is None else places.get(value, -1))
    return {
        "name": choice.name,
        "side": side,
        "ordered": choice.ordered,
        "values": [str(value) for value in choice.values],
        "index": _levels(levels),
    }


def _levels(levels: Sequence[int]) -> str | list[int]:
    """A letter a row, "-" where the design lacks the gene; numbers where there are not enough letters."""
    if max(levels, default=0) >= len(LEVEL_LETTERS):
        return list(levels)
    return "".join("-" if i < 0 else LEVEL_LETTERS[i] for i in levels)


def _statuses(facts: Facts) -> Iterable[str]:
    infeasible = {r.number for r in facts.infeasible}
    for record in facts.records:
        yield STATUS_LETTERS[_status(facts, record, infeasible)]
    for _ in facts.predicted:
        yield STATUS_LETTERS["next"]


def _status(facts: Facts, record: Record, infeasible: Container[int]) -> str:
    if record.number in facts.on_front:
        return "front"
    if record.number in infeasible:
        return "infeasible"
    if record.status == "done":
        return "dominated"
    return "failed"


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
        "energy": _rounded(view.energy_by_part_uj),
        "area": _rounded(view.area_by_part_mm2),
        "name": [layer.name for layer in layers],
        "bound": [layer.bound for layer in layers],
        "time": _numbers(layer.latency_ms for layer in layers),
        "joules": _numbers(layer.energy_uj for layer in layers),
        "tops": _numbers(layer.tops for layer in layers),
        "intensity": _numbers(layer.operations_per_byte for layer in layers),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


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
    curves: dict[str, dict[str, Any]] = {}
    for metric, by_gene in around.curves.items():
        curves[metric] = {}
        for gene, curve in by_gene.items():
            lines = [_numbers(curve.mean)]
            if metric not in found.computed:  # which have no doubt
                lines += [_numbers(curve.low), _numbers(curve.high)]
            curves[metric][gene] = lines
    surfaces: dict[str, list[dict[str, Any]]] = {}
    for metric, every in around.surfaces.items():
        surfaces[metric] = []
        for surface in every:
            mean = [_numbers(line) for line in surface.mean]
            entry = {"across": surface.across, "down": surface.down, "mean": mean}
            surfaces[metric].append(entry)
    return {"curves": curves, "surfaces": surfaces}


def _number(value: Any, digits: int = SIGNIFICANT_DIGITS) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _numbers(values: Iterable[Any], *, digits: int = SIGNIFICANT_DIGITS) -> list[float | None]:
    """Rounded numbers, whole ones without a point."""
    found: list[float | None] = []
    for value in values:
        rounded = _number(value, digits)
        if rounded is not None and abs(rounded) < 1e15 and rounded == int(rounded):
            rounded = int(rounded)
        found.append(rounded)
    return found
