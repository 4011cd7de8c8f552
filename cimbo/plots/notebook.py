"""Pictures of a study for notebooks, as Plotly figures: they zoom, tell what is under the pointer, and can be changed further.

>>> import cimbo
>>> cimbo.plots.front(cimbo.Study.open("demo.db")).show()                      # doctest: +SKIP

They need Plotly: ``pip install 'cimbo[plots]'``. What is drawn is what ``cimbo report`` draws; each function returns a
``plotly.graph_objects.Figure``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from cimbo.analysis.hypervolume_history import feasible, hypervolume_history
from cimbo.errors import BadInput, choose_from
from cimbo.plots.quantity import amount, label, spoken
from cimbo.problem.objectives import Objective
from cimbo.problem.preferences import knees
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.study import Study

RANDOM_ORIGINS = ("sobol", "random", "explored")  # drawn without asking a model
LOG_SPAN = 10.0  # a positive metric over more than this factor gets a logarithmic axis
NORMAL_QUANTILE_95 = 1.6448536269514722
COLOURS = {"front": "#2258c9", "dominated": "#8fa3bd", "infeasible": "#a85a12", "knee": "#1d2329"}
SYMBOLS = {"front": "circle", "dominated": "circle", "infeasible": "diamond-open"}
SIZES = {"front": 9, "dominated": 6, "infeasible": 8}


def plotly() -> Any:
    """Load Plotly's figures.

    Returns:
        The module ``plotly.graph_objects``.

    Raises:
        BadInput: Plotly is not installed.
    """
    if find_spec("plotly") is None:
        raise BadInput("plots", "plotly is not installed", "pip install 'cimbo[plots]'")
    import plotly.graph_objects

    return plotly.graph_objects


def finish(figure: Any, title: str, x: str, y: str) -> Any:
    """Give a figure its words.

    Args:
        figure: A Plotly figure.
        title: Above it.
        x: Beside the axis across.
        y: Beside the axis upwards.

    Returns:
        The figure.
    """
    figure.update_layout(
        title=title, template="plotly_white", legend={"orientation": "h", "y": -0.2}
    )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    return figure


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
    names = [n for n in (x, y) if n] + ([_known(study, z)] if z else [])
    groups = {kind: _having(records, names) for kind, records in _groups(study).items()}
    best = groups["front"]
    sharpest = []
    for i in knees(study.problem, [r.metrics for r in best]):
        sharpest.append(best[i])
    figure = go.Figure()
    for kind in ("dominated", "infeasible", "front"):
        if groups[kind]:
            figure.add_trace(_marks(go, study, kind, groups[kind], (x, y, z)))
    if sharpest:
        figure.add_trace(_marks(go, study, "knee", sharpest, (x, y, z)))
    across = label(x) if x else "evaluation"
    if z:
        axes = {
            "xaxis": {"title": across},
            "yaxis": {"title": label(y)},
            "zaxis": {"title": label(z)},
        }
        return figure.update_layout(scene=axes, title="The verified front", template="plotly_white")
    finish(figure, "The verified front", across, label(y))
    shown = []
    for records in groups.values():
        shown.extend(records)
    if x:
        figure.update_xaxes(type=_axis_type(shown, x))
    return figure.update_yaxes(type=_axis_type(shown, y))


def _marks(
    go: Any, study: Study, kind: str, records: Sequence[Record], axes: Sequence[str | None]
) -> Any:
    x, y, z = axes
    places: dict[str, Any] = {"x": [r.metrics[x] if x else r.number for r in records]}
    places["y"] = [r.metrics[y] for r in records if y]
    trace = go.Scatter
    if z:
        trace = go.Scatter3d
        places["z"] = [r.metrics[z] for r in records]
    colour = COLOURS[kind]
    size: float = SIZES.get(kind, 14)
    if z:
        size = size / 2
    marker = {"color": colour, "symbol": SYMBOLS.get(kind, "circle-open"), "size": size}
    return trace(
        **places,
        mode="markers",
        name=f"{kind} ({len(records)})",
        marker=marker,
        text=[_told(study, r) for r in records],
        hovertemplate="%{text}<extra></extra>",
    )


def _told(study: Study, record: Record) -> str:
    """What a tooltip says of a design; Plotly reads a few tags in it, so signs of tags are written out."""
    lines = [f"#{record.number} {record.key}"]
    for o in study.problem.objectives:
        if o.name in record.metrics:
            lines.append(f"{spoken(o.name)} {amount(o.name, record.metrics[o.name])}")
    lines += [f"{gene} {value}" for gene, value in record.params.items()]
    return "<br>".join(line.replace("&", "&amp;").replace("<", "&lt;") for line in lines)


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
    measured = sorted({name for r in study.evaluations() for name in r.metrics})
    if measured and metric not in measured:
        raise BadInput("plots", f"{metric!r} was not measured", choose_from(metric, measured))
    return metric


def _axis_type(records: Sequence[Record], metric: str) -> str:
    values = [r.metrics[metric] for r in records]
    is_wide = bool(values) and min(values) > 0 and max(values) > LOG_SPAN * min(values)
    return "log" if is_wide else "linear"


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
    alone = hypervolume_history(study.problem, records, lambda r: r.origin in RANDOM_ORIGINS)
    curves = {"this study": hypervolume_history(study.problem, records)}
    if any(r.origin in RANDOM_ORIGINS for r in records):
        curves["its random designs alone"] = alone
    for name, other in (baselines or {}).items():
        curves[name] = hypervolume_history(study.problem, other.evaluations())
    figure = go.Figure()
    for name, values in curves.items():
        steps = {"shape": "hv", "dash": "solid" if name == "this study" else "dash"}
        places = list(range(1, len(values) + 1))
        figure.add_trace(go.Scatter(x=places, y=values, name=name, mode="lines", line=steps))
    return finish(figure, "Hypervolume over evaluations", "evaluation", "hypervolume")


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
    if front_only:
        records = groups["front"]
    else:
        records = []
        for group in groups.values():
            records.extend(group)
    names = [o.name for o in study.problem.objectives]
    records = _having(records, names)
    axes = []
    for n in names:
        axes.append({"label": label(n), "values": [r.metrics[n] for r in records]})
    for choice in study.problem.space.choices:
        levels = []
        for record in records:
            value = record.params.get(choice.name)
            if value is None:
                levels.append(-1)
            else:
                levels.append(choice.index(value))
        if len(set(levels)) < 2:
            continue
        first = min(levels)
        ticks = list(range(first, len(choice.values)))
        words = ["off" if i < 0 else str(choice.values[i]) for i in ticks]
        axes.append({"label": choice.name, "values": levels, "tickvals": ticks, "ticktext": words})
    shade = {
        "color": [r.metrics[names[0]] for r in records],
        "colorscale": "Viridis",
        "showscale": True,
    }
    figure = go.Figure(go.Parcoords(dimensions=axes, line=shade))
    return figure.update_layout(title="Designs by objectives and genes", template="plotly_white")


def predictions(study: Study, metric: str | None = None) -> Any:
    """Draw what was predicted of designs before they were measured, against what was measured.

    Args:
        study: The study.
        metric: The metric; by default the first that was predicted with a doubt.

    Returns:
        A Plotly figure; bars hold 90 %.

    Raises:
        BadInput: No prediction of the metric was verified yet.
    """
    go = plotly()
    found: dict[str, list[tuple[Record, float, float]]] = {}
    for record in study.evaluations():
        for name, pair in (record.extra.get("predicted") or {}).items():
            if name in record.metrics and pair[1] > 0:
                found.setdefault(name, []).append((record, pair[0], pair[1]))
    metric = metric or next(iter(found), None)
    if metric is None or metric not in found:
        todo = "search beyond the initial designs"
        raise BadInput("plots", f"no prediction of {metric or 'anything'} was verified yet", todo)
    rows = found[metric]
    measured = [r.metrics[metric] for r, _, _ in rows]
    reach = [NORMAL_QUANTILE_95 * std for _, _, std in rows]
    figure = go.Figure(
        go.Scatter(
            x=measured,
            y=[mean for _, mean, _ in rows],
            error_y={"array": reach, "thickness": 0.8, "width": 0},
            mode="markers",
            name=f"{len(rows)} predictions",
            text=[_told(study, r) for r, _, _ in rows],
        )
    )
    ends = [min(measured), max(measured)]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="as measured"))
    return finish(
        figure,
        "Predicted against verified",
        f"verified {label(metric)}",
        f"predicted {label(metric)}",
    )


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
        "drawn without a model": [r for r in done if r.origin in RANDOM_ORIGINS],
        "chosen by a model, or told": [r for r in done if r.origin not in RANDOM_ORIGINS],
    }
    figure = go.Figure()
    for name, records in groups.items():
        values = np.sort([objective.sign * r.metrics[objective.name] for r in records])
        shares = 100 * np.arange(1, len(values) + 1) / max(len(values), 1)
        line = {"shape": "hv"}
        places = objective.sign * values
        figure.add_trace(go.Scatter(x=places, y=shares, name=name, mode="lines", line=line))
    words = "share of the designs that are no better (%)"
    figure.update_xaxes(type=_axis_type(done, objective.name))
    return finish(figure, "How designs are distributed", label(objective.name), words)


def _objective(study: Study, metric: str | None) -> Objective:
    objectives = {o.name: o for o in study.problem.objectives}
    name = metric or next(iter(objectives))
    if name not in objectives:
        raise BadInput("plots", f"{name!r} is no objective", choose_from(name, list(objectives)))
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
    for status, colour in (("done", COLOURS["front"]), ("failed", "#c23b3b")):
        records = []
        for r in study.evaluations():
            if r.status == status and r.seconds > 0:
                records.append(r)
        numbers, seconds = [r.number for r in records], [r.seconds for r in records]
        mark = {"color": colour, "size": 6}
        name = f"{status}: {len(records)} in {sum(seconds):.4g} s"
        figure.add_trace(go.Scatter(x=numbers, y=seconds, mode="markers", name=name, marker=mark))
    return finish(figure, "What evaluations took", "evaluation", "seconds")
