"""Predictions against what was measured later, for notebooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.plots.notebook_figures import finish, plotly, told
from cimbo.plots.quantity import label
from cimbo.problem.intervals import interval_90
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.study import Study


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
    found = _verified_predictions(study)
    metric = metric or next(iter(found), None)
    if metric is None or metric not in found:
        todo = "search beyond the initial designs"
        raise BadInput("plots", f"no prediction of {metric or 'anything'} was verified yet", todo)
    verified = found[metric]
    measured = [record.metrics[metric] for record in verified.records]
    low, high = interval_90(metric, verified.means, verified.stds)
    reach = {
        "array": (high - verified.means).tolist(),
        "arrayminus": (verified.means - low).tolist(),
    }
    dots = go.Scatter(
        x=measured,
        y=verified.means,
        error_y={**reach, "thickness": 0.8, "width": 0},
        mode="markers",
        name=f"{len(measured)} predictions",
        text=[told(study, record) for record in verified.records],
    )
    figure = go.Figure(dots)
    ends = [min(measured), max(measured)]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="as measured"))
    across, upwards = f"verified {label(metric)}", f"predicted {label(metric)}"
    return finish(figure, "Predicted against verified", across, upwards)


@dataclass
class _Verified:
    """Designs that were measured after a metric of them was predicted, with the predictions."""

    records: list[Record] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    stds: list[float] = field(default_factory=list)


def _verified_predictions(study: Study) -> dict[str, _Verified]:
    """By metric, the designs of which it was measured after it had been predicted, not computed: with a deviation above 0."""
    found: dict[str, _Verified] = {}
    for record in study.evaluations():
        for metric, (mean, std) in (record.extra.get("predicted") or {}).items():
            if metric in record.metrics and std > 0:
                verified = found.setdefault(metric, _Verified())
                verified.records.append(record)
                verified.means.append(mean)
                verified.stds.append(std)
    return found
