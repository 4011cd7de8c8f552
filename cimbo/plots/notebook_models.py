"""What models say of a study, for notebooks: importances of genes, slices and contours of surrogates, and a chip's roofline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cimbo.analysis.chip_view import ChipView, LayerView
from cimbo.analysis.gene_importance import importances
from cimbo.analysis.surrogate_views import AroundDesign, views
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.plots.notebook_figures import finish, plotly
from cimbo.plots.quantity import label
from cimbo.problem.preferences import knees
from cimbo.problem.space import Params

if TYPE_CHECKING:
    from cimbo.optimizer.options import OptimizerOptions
    from cimbo.study.study import Study


def gene_importances(study: Study) -> Any:
    """Draw the mean size of each gene's effect on each objective: SHAP values of boosted trees.

    Args:
        study: The study.

    Returns:
        A Plotly figure: a bar a gene and objective, in shares of an objective's sum.

    Raises:
        BadInput: Too few designs were measured.
    """
    go = plotly()
    found = importances(study.problem, study.evaluations())
    if not found:
        raise BadInput("plots", "too few designs were measured", "evaluate 20 or more")
    shares = {each.metric: each.strength / max(each.strength.sum(), 1e-300) for each in found}
    largest = np.max(list(shares.values()), axis=0)
    order = np.argsort(largest, kind="stable")
    figure = go.Figure()
    for each in found:
        name = f"{each.metric} (trees explain {max(each.explained, 0):.0%})"
        bars = shares[each.metric][order]
        genes = [each.names[i] for i in order]
        figure.add_trace(go.Bar(x=bars, y=genes, orientation="h", name=name))
    return finish(figure, "Which genes matter", "share of all effects (mean |SHAP|)", "gene")


def slices(
    study: Study,
    metric: str | None = None,
    design: Params | None = None,
    guidance: OptimizerOptions | None = None,
) -> Any:
    """Draw a metric along each gene around a design, as the search's surrogate predicts it.

    Args:
        study: The study.
        metric: The metric; by default the first objective.
        design: The design; by default the sharpest knee of the front, or the front's first.
        guidance: What the optimizer knows, as `Study.ask` takes it.

    Returns:
        A Plotly figure: a curve a gene over the position of its values, with a band that holds 90 %
        under the pointer.

    Raises:
        BadInput: Too few designs are measured for a surrogate, or none predicts the metric.
    """
    go = plotly()
    metric, around = _around(study, metric, design, guidance)
    space = study.problem.space
    figure = go.Figure()
    for gene, curve in around.curves[metric].items():
        values = space.choices[space.column[gene]].values
        words = []
        for value, m, low, high in zip(values, curve.mean, curve.low, curve.high, strict=True):
            words.append(f"{gene} {value}: {m:.4g} ({low:.4g} to {high:.4g})".replace("<", "&lt;"))
        places = np.linspace(0, 1, len(values))
        trace = {"name": gene, "text": words, "hovertemplate": "%{text}<extra></extra>"}
        figure.add_trace(go.Scatter(x=places, y=curve.mean, mode="lines+markers", **trace))
    across = "first value of the gene to its last"
    return finish(figure, "What one gene changes", across, label(metric))


def contour(
    study: Study,
    across: str,
    down: str,
    metric: str | None = None,
    design: Params | None = None,
    guidance: OptimizerOptions | None = None,
) -> Any:
    """Draw a metric over two genes around a design, as the search's surrogate predicts it.

    Args:
        study: The study.
        across: A gene that is active in the design.
        down: Another.
        metric: The metric; by default the first objective.
        design: The design; by default the sharpest knee of the front, or the front's first.
        guidance: What the optimizer knows, as `Study.ask` takes it.

    Returns:
        A Plotly figure: a cell a pair of values, with lines of equal value.

    Raises:
        BadInput: A gene is not active in the design, or as `slices` does.
    """
    go = plotly()
    metric, around = _around(study, metric, design, guidance, (across, down))
    surfaces = around.surfaces[metric]
    if not surfaces:
        active = list(around.curves[metric])
        wrong = across if across not in active else down
        raise BadInput("plots", f"gene {wrong!r} is not active there", choose_from(wrong, active))
    columns = _values_in_words(study, across)
    rows = _values_in_words(study, down)
    mean = surfaces[0].mean
    figure = go.Figure(go.Heatmap(x=columns, y=rows, z=mean, colorscale="Viridis"))
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    return finish(figure, f"{label(metric)} over two genes", across, down)


def _values_in_words(study: Study, gene: str) -> list[str]:
    space = study.problem.space
    return list(map(str, space.choices[space.column[gene]].values))


def _around(
    study: Study,
    metric: str | None,
    design: Params | None,
    guidance: OptimizerOptions | None,
    paired: tuple[str, ...] = (),
) -> tuple[str, AroundDesign]:
    """The metric that is drawn, and what its surrogate says around a design."""
    surrogates = study.surrogates(guidance)
    front = list(study.pareto())
    if not surrogates or not (front or design):
        raise BadInput("plots", "too few designs are measured for a surrogate", "evaluate more")
    name = metric or study.problem.objectives[0].name
    check_known(name, surrogates, "plots", f"no surrogate predicts {name!r}")
    if design is None:
        sharpest = knees(study.problem, [r.metrics for r in front])
        design = front[sharpest[0] if sharpest else 0].params
    kept = {name: surrogates[name]}
    return name, views(study.problem.space, kept, [design], paired).designs[0]


def roofline(view: ChipView) -> Any:
    """Draw the layers of a design under the roofs of its chip.

    Args:
        view: A design on its chip, as `cimbo.analysis.chip_view.chip_view` makes it.

    Returns:
        A Plotly figure on logarithmic axes; a dot's area goes with the layer's time. Layers that
        move nothing over the DRAM stand at the right edge.
    """
    go = plotly()
    placed = [layer for layer in view.layers if layer.tops is not None]
    ridge, low, high = _reach(view, placed)
    figure = go.Figure()
    x = [low, ridge, high]
    y = [low * view.dram_gb_s / 1e3, view.peak_tops, view.peak_tops]
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name="roofs of DRAM and arrays"))
    slowest = max((layer.latency_ms for layer in placed), default=1.0)
    for bound in dict.fromkeys(layer.bound for layer in placed):
        here = [layer for layer in placed if layer.bound == bound]
        figure.add_trace(_layers(go, bound, here, high, slowest))
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return finish(figure, "Roofline by layer", "operations a byte of DRAM", "attained (TOPS)")


def _reach(view: ChipView, layers: Sequence[LayerView]) -> tuple[float, float, float]:
    """Operations a byte of DRAM at which both roofs meet, and at both ends of the picture."""
    ridge = view.peak_tops * 1e3 / view.dram_gb_s
    known = []
    for layer in layers:
        if layer.operations_per_byte is not None:
            known.append(layer.operations_per_byte)
    return ridge, min([*known, ridge / 4]), 2 * max([*known, ridge * 4])


def _layers(go: Any, bound: str, layers: Sequence[LayerView], edge: float, slowest: float) -> Any:
    """The layers that one thing bounds, as dots; those that move nothing over the DRAM at the ``edge``."""
    x = []
    y = []
    sizes = []
    words = []
    for layer in layers:
        x.append(layer.operations_per_byte or edge)
        y.append(layer.tops)
        sizes.append(6 + 18 * (layer.latency_ms / slowest) ** 0.5)
        words.append(f"{layer.name}: {layer.latency_ms:.4g} ms")
    marker = {"size": sizes, "opacity": 0.75}
    return go.Scatter(x=x, y=y, mode="markers", name=bound, marker=marker, text=words)


def parts(view: ChipView) -> Any:
    """Draw energy and area of a design by part of its chip.

    Args:
        view: A design on its chip.

    Returns:
        A Plotly figure: bars in shares of all energy and all area.
    """
    go = plotly()
    figure = go.Figure()
    for name, unit, values in (
        ("energy", "µJ", view.energy_by_part_uj),
        ("area", "mm²", view.area_by_part_mm2),
    ):
        total = sum(values.values()) or 1.0
        shares = [100 * value / total for value in values.values()]
        words = [f"{value:.4g} {unit}" for value in values.values()]
        legend = f"{name}: {total:.4g} {unit}"
        names = [part.replace("_", " ") for part in values]
        figure.add_trace(go.Bar(x=shares, y=names, orientation="h", name=legend, text=words))
    return finish(figure, "Energy and area by part", "share (%)", "part of the chip")
