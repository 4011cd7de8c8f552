"""What all figures for notebooks have: Plotly, words around the axes, and tooltips."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.plots.quantity import amount, spoken
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.study import Study


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
    below = {"orientation": "h", "y": -0.2}
    figure.update_layout(title=title, template="plotly_white", legend=below)
    figure.update_layout(xaxis_title=x, yaxis_title=y)
    return figure


def told(study: Study, record: Record) -> str:
    """Write what a tooltip says of a design.

    Args:
        study: The study.
        record: An evaluation of the design.

    Returns:
        Lines of HTML; Plotly reads a few tags in it, so signs of tags are written out.
    """
    lines = [f"#{record.number} {record.key}"]
    for o in study.problem.objectives:
        if o.name in record.metrics:
            lines.append(f"{spoken(o.name)} {amount(o.name, record.metrics[o.name])}")
    for gene, value in record.params.items():
        lines.append(f"{gene} {value}")
    return "<br>".join(map(_without_tags, lines))


def _without_tags(line: str) -> str:
    """A line whose signs are no tags to Plotly."""
    return line.replace("&", "&amp;").replace("<", "&lt;")
