"""What models say of a study, for notebooks: importances of genes, slices and contours of surrogates, and a chip's roofline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cimbo.analysis.chip_view import ChipView
from cimbo.analysis.gene_importance import importance
from cimbo.analysis.surrogate_views import AroundDesign, views
from cimbo.errors import BadInput, choose_from
from cimbo.plots.notebook import finish, plotly
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
    done = [r for r in study.evaluations() if r.status == "done"]
    every = [importance(study.problem.space, o, done) for o in study.problem.objectives]
    found = [i for i in every if i is not None]
    if not found:
        raise BadInput("plots", "too few designs were measured", "evaluate 20 or more")
    shares = {i.metric: i.strength / max(i.strength.sum(), 1e-300) for i in found}
    order = np.argsort(np.max(list(shares.values()), axis=0), kind="stable")
    figure = go.Figure()
    for each in found:
        name = f"{each.metric} (trees explain {max(each.explained, 0):.0%})"
        bars = shares[each.metric][order]
        genes = [each.names[k] for k in order]
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
    return finish(
        figure, "What one gene changes", "first value of the gene to its last", label(metric)
    )


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
    space, surface = study.problem.space, surfaces[0]
    words = {}
    for g in (across, down):
        words[g] = [str(v) for v in space.choices[space.column[g]].values]
    figure = go.Figure(
        go.Heatmap(x=words[across], y=words[down], z=surface.mean, colorscale="Viridis")
    )
    ticks = {"type": "category"}
    figure.update_xaxes(**ticks)
    figure.update_yaxes(**ticks)
    return finish(figure, f"{label(metric)} over two genes", across, down)


def _around(
    study: Study,
    metric: str | None,
    design: Params | None,
    guidance: OptimizerOptions | None,
    paired: tuple[str, ...] = (),
) -> tuple[str, AroundDesign]:
    surrogates = study.surrogates(guidance)
    front = list(study.pareto())
    if not surrogates or not (front or design):
        raise BadInput("plots", "too few designs are measured for a surrogate", "evaluate more")
    name = metric or study.problem.objectives[0].name
    if name not in surrogates:
        raise BadInput(
            "plots", f"no surrogate predicts {name!r}", choose_from(name, list(surrogates))
        )
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
    ridge = view.peak_tops * 1e3 / view.dram_gb_s  # operations a byte at which both roofs meet
    placed = [layer for layer in view.layers if layer.tops is not None]
    known = [i for layer in placed if (i := layer.operations_per_byte) is not None]
    low, high = min([*known, ridge / 4]), 2 * max([*known, ridge * 4])
    slowest = max((layer.latency_ms for layer in placed), default=1.0)
    figure = go.Figure()
    roofs = {
        "x": [low, ridge, high],
        "y": [low * view.dram_gb_s / 1e3, view.peak_tops, view.peak_tops],
    }
    figure.add_trace(go.Scatter(**roofs, mode="lines", name="roofs of DRAM and arrays"))
    for bound in dict.fromkeys(layer.bound for layer in placed):
        here = [layer for layer in placed if layer.bound == bound]
        sizes = [6 + 18 * (layer.latency_ms / slowest) ** 0.5 for layer in here]
        figure.add_trace(
            go.Scatter(
                x=[layer.operations_per_byte or high for layer in here],
                y=[layer.tops for layer in here],
                mode="markers",
                name=bound,
                marker={"size": sizes, "opacity": 0.75},
                text=[f"{layer.name}: {layer.latency_ms:.4g} ms" for layer in here],
            )
        )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return finish(figure, "Roofline by layer", "operations a byte of DRAM", "attained (TOPS)")


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
