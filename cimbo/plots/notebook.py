"""Pictures of a study for notebooks, as Plotly figures: they zoom, tell what is under the pointer, and can be changed further.

>>> import cimbo
>>> cimbo.plots.front(cimbo.Study.open("demo.db")).show()                      # doctest: +SKIP

They need Plotly: ``pip install 'cimbo[plots]'``. What is drawn is what ``cimbo report`` draws; each function returns a
``plotly.graph_objects.Figure``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cimbo.analysis.hypervolume_history import feasible, hypervolume_history
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.plots.notebook_figures import finish, plotly, told
from cimbo.plots.quantity import label
from cimbo.problem.objectives import Objective
from cimbo.problem.preferences import knees
from cimbo.problem.space import Choice
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.study import Study

RANDOM_ORIGINS = ("sobol", "random", "explored")  # drawn without asking a model
LOG_SPAN = 10.0  # a positive metric over more than this factor gets a logarithmic axis
MARK_COLOURS = {
    "front": "#2258c9",
    "dominated": "#8fa3bd",
    "infeasible": "#a85a12",
    "knee": "#1d2329",
}
MARK_SYMBOLS = {"front": "circle", "dominated": "circle", "infeasible": "diamond-open"}
MARK_SIZES = {"front": 9, "dominated": 6, "infeasible": 8}


def front(study: Study, x: str | None = None, y: str | None = None, z: str | None = None) -> Any:
    """Draw designs by two or three metrics: the front, what it dominates, what broke a limit, and knees.

    Args:
        study: The study.
        x: Metric across; by default the second objective, or the number of the evaluation where
            there is one.
        y: Metric upwards; by default the first objective.
        z: A third metric, for a picture in space that can be turned.

    Returns:
        A Plotly figure.

    Raises:
        BadInput: A metric that nothing measured, or no Plotly.
    """
    go = plotly()
    objectives = [o.name for o in study.problem.objectives]
    y = _known(study, y or objectives[0])
    if x is not None or len(objectives) > 1:
        x = _known(study, x or objectives[1])
    if z is not None:
        z = _known(study, z)
    axes = (x, y, z)
    names = [name for name in axes if name]
    groups = {kind: _having(records, names) for kind, records in _groups(study).items()}
    figure = go.Figure()
    for kind in ("dominated", "infeasible", "front"):
        if groups[kind]:
            figure.add_trace(_marks(go, study, kind, groups[kind], axes))
    sharpest = _knees(study, groups["front"])
    if sharpest:
        figure.add_trace(_marks(go, study, "knee", sharpest, axes))
    across = label(x) if x else "evaluation"
    if z:
        scene = {
            "xaxis": {"title": across},
            "yaxis": {"title": label(y)},
            "zaxis": {"title": label(z)},
        }
        title = "The verified front"
        return figure.update_layout(scene=scene, title=title, template="plotly_white")
    finish(figure, "The verified front", across, label(y))
    shown = _together(groups)
    if x:
        figure.update_xaxes(type=_axis_type(shown, x))
    return figure.update_yaxes(type=_axis_type(shown, y))


def _knees(study: Study, records: Sequence[Record]) -> list[Record]:
    """Those from where every objective gets dear, the sharpest first."""
    found = knees(study.problem, [record.metrics for record in records])
    return [records[i] for i in found]


def _together(groups: Mapping[str, Sequence[Record]]) -> list[Record]:
    """The records of all groups."""
    together: list[Record] = []
    for records in groups.values():
        together.extend(records)
    return together


def _marks(
    go: Any, study: Study, kind: str, records: Sequence[Record], axes: Sequence[str | None]
) -> Any:
    x, y, z = axes
    places = {"x": _values(records, x), "y": _values(records, y)}
    trace = go.Scatter
    size: float = MARK_SIZES.get(kind, 14)
    if z:
        trace = go.Scatter3d
        size = size / 2
        places["z"] = _values(records, z)
    symbol = MARK_SYMBOLS.get(kind, "circle-open")
    marker = {"color": MARK_COLOURS[kind], "symbol": symbol, "size": size}
    return trace(
        **places,
        mode="markers",
        name=f"{kind} ({len(records)})",
        marker=marker,
        text=[told(study, r) for r in records],
        hovertemplate="%{text}<extra></extra>",
    )


def _values(records: Sequence[Record], metric: str | None) -> list[float]:
    """What was measured of a metric; without one the numbers of the evaluations."""
    if metric is None:
        return [record.number for record in records]
    return [record.metrics[metric] for record in records]


def _groups(study: Study) -> dict[str, list[Record]]:
    """Evaluations that measured something, by what they are."""
    on_front = {r.number for r in study.pareto()}
    groups: dict[str, list[Record]] = {
        "front": list(study.pareto()),
        "dominated": [],
        "infeasible": [],
    }
    for record in study.evaluations():
        if record.number in on_front:
            continue
        if feasible(study.problem, record):
            groups["dominated"].append(record)
        elif record.status == "done":
            groups["infeasible"].append(record)
    return groups


def _having(records: Sequence[Record], metrics: Sequence[str]) -> list[Record]:
    return [r for r in records if all(m in r.metrics for m in metrics)]


def _known(study: Study, metric: str) -> str:
    """The metric itself. Raises BadInput where others were measured and it was not."""
    measured: set[str] = set()
    for record in study.evaluations():
        measured |= record.metrics.keys()
    if measured and metric not in measured:
        todo = choose_from(metric, sorted(measured))
        raise BadInput("plots", f"{metric!r} was not measured", todo)
    return metric


def _axis_type(records: Sequence[Record], metric: str) -> str:
    values = _values(records, metric)
    if values and min(values) > 0 and max(values) > LOG_SPAN * min(values):
        return "log"
    return "linear"


def hypervolume(study: Study, baselines: Mapping[str, Study] | None = None) -> Any:
    """Draw how the hypervolume grew.

    Args:
        study: The study.
        baselines: Other studies of the same problem, by name.

    Returns:
        A Plotly figure: the study, its random designs alone, and the baselines.
    """
    go = plotly()
    records = study.evaluations()
    curves = {"this study": hypervolume_history(study.problem, records)}
    if any(map(_is_random, records)):
        alone = hypervolume_history(study.problem, records, _is_random)
        curves["its random designs alone"] = alone
    for name, other in (baselines or {}).items():
        curves[name] = hypervolume_history(study.problem, other.evaluations())
    figure = go.Figure()
    for name, values in curves.items():
        steps = {"shape": "hv", "dash": "solid" if name == "this study" else "dash"}
        places = list(range(1, len(values) + 1))
        figure.add_trace(go.Scatter(x=places, y=values, name=name, mode="lines", line=steps))
    return finish(figure, "Hypervolume over evaluations", "evaluation", "hypervolume")


def _is_random(record: Record) -> bool:
    """Whether no model was asked for a design."""
    return record.origin in RANDOM_ORIGINS


def parallel(study: Study, *, front_only: bool = False) -> Any:
    """Draw designs as threads over the objectives and all genes that vary; drag along an axis to select.

    Args:
        study: The study.
        front_only: Leave out what is not on the front.

    Returns:
        A Plotly figure, coloured by the first objective.
    """
    go = plotly()
    groups = _groups(study)
    records = groups["front"] if front_only else _together(groups)
    names = [objective.name for objective in study.problem.objectives]
    records = _having(records, names)
    axes = [{"label": label(name), "values": _values(records, name)} for name in names]
    for choice in study.problem.space.choices:
        levels = _levels(choice, records)
        if len(set(levels)) > 1:
            axes.append(_gene_axis(choice, levels))
    shade = {
        "color": _values(records, names[0]),
        "colorscale": "Viridis",
        "showscale": True,
    }
    figure = go.Figure(go.Parcoords(dimensions=axes, line=shade))
    return figure.update_layout(title="Designs by objectives and genes", template="plotly_white")


def _levels(choice: Choice, records: Sequence[Record]) -> list[int]:
    """The place of each design's value among those of a gene; -1 where the design lacks the gene."""
    levels = []
    for record in records:
        value = record.params.get(choice.name)
        levels.append(-1 if value is None else choice.index(value))
    return levels


def _gene_axis(choice: Choice, levels: list[int]) -> dict[str, Any]:
    """The axis of a gene, with its values as ticks."""
    ticks = list(range(min(levels), len(choice.values)))
    words = ["off" if i < 0 else str(choice.values[i]) for i in ticks]
    return {"label": choice.name, "values": levels, "tickvals": ticks, "ticktext": words}


def distribution(study: Study, metric: str | None = None) -> Any:
    """Draw the empirical distribution of an objective: which share of the designs is no better than a value.

    Args:
        study: The study.
        metric: The objective; by default the first.

    Returns:
        A Plotly figure: designs that a model chose, and designs that none chose.

    Raises:
        BadInput: ``metric`` is no objective.
    """
    go = plotly()
    objective = _objective(study, metric)
    done = [r for r in study.evaluations() if objective.name in r.metrics]
    groups = {
        "drawn without a model": [r for r in done if _is_random(r)],
        "chosen by a model, or told": [r for r in done if not _is_random(r)],
    }
    figure = go.Figure()
    for name, records in groups.items():
        values, shares = _shares_no_better(objective, records)
        line = {"shape": "hv"}
        figure.add_trace(go.Scatter(x=values, y=shares, name=name, mode="lines", line=line))
    words = "share of the designs that are no better (%)"
    figure.update_xaxes(type=_axis_type(done, objective.name))
    return finish(figure, "How designs are distributed", label(objective.name), words)


def _shares_no_better(
    objective: Objective, records: Sequence[Record]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(n,) what designs measured, from the worst to the best, and the percent of them that are no better, (n,)."""
    scores = np.sort([objective.sign * record.metrics[objective.name] for record in records])
    shares = 100 * np.arange(1, len(scores) + 1) / max(len(scores), 1)
    return objective.sign * scores, shares


def _objective(study: Study, metric: str | None) -> Objective:
    objectives = {o.name: o for o in study.problem.objectives}
    name = metric or next(iter(objectives))
    check_known(name, objectives, "plots", f"{name!r} is no objective")
    return objectives[name]


def timeline(study: Study) -> Any:
    """Draw what each evaluation took.

    Args:
        study: The study.

    Returns:
        A Plotly figure.
    """
    go = plotly()
    figure = go.Figure()
    for status, colour in (("done", MARK_COLOURS["front"]), ("failed", "#c23b3b")):
        numbers = []
        seconds = []
        for record in study.evaluations():
            if record.status == status and record.seconds > 0:
                numbers.append(record.number)
                seconds.append(record.seconds)
        mark = {"color": colour, "size": 6}
        name = f"{status}: {len(seconds)} in {sum(seconds):.4g} s"
        figure.add_trace(go.Scatter(x=numbers, y=seconds, mode="markers", name=name, marker=mark))
    return finish(figure, "What evaluations took", "evaluation", "seconds")
