"""How far the absolute costs of a study's designs may be off, as published chips say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.problem.objectives import Candidate
from cimbo.session.context import StudyContext
from cimbo.storage import Record

Bars = Mapping[str, tuple[float, float]]


def of_designs(context: StudyContext, designs: Sequence[Record | Candidate]) -> dict[str, Bars]:
    """Finds what the costs of designs are if the arrays are off by one standard deviation to either side.

    Args:
        context: The study.
        designs: Some of its designs, each with its measured costs, or candidates that nobody measured.

    Returns:
        By key of a design, least and most of each cost: by the factors that hold for the design today, around what was
        recorded where something was. Nothing for a study whose costs are not of cimbo's chip model.
    """
    evaluator = own_evaluator(context)
    if evaluator is None:
        return {}
    found: dict[str, Bars] = {}
    for design in designs:
        if not context.is_placed(design.params):
            continue
        workload, chip = evaluator.placed(design.params)
        try:
            bars = hardware.error_bars(workload, chip)
        except BadInput:  # a chip of an earlier release, whose genes mean something else today
            continue
        found[design.key] = _around(bars, hardware.simulate(workload, chip), _recorded(design))
    return found


def told(bars: Bars, metric: str) -> str:
    """Say the error bar of a metric in words.

    Args:
        bars: Least and most of each cost of a design, by metric, in the metric's unit.
        metric: The metric.

    Returns:
        Words such as "0.2 to 0.5 by published chips"; empty where the metric has no bar.
    """
    if metric not in bars:
        return ""
    low, high = bars[metric]
    return f"{low:.3g} to {high:.3g} by published chips"


def own_evaluator(context: StudyContext) -> JointEvaluator | None:
    """Find the evaluator of a study whose costs are of cimbo's own chip model.

    Args:
        context: The study.

    Returns:
        The evaluator; None where the costs are another simulator's or nobody's.
    """
    try:
        evaluator = context.evaluator
    except BadInput:  # made in Python, where genes may mean anything
        return None
    if isinstance(evaluator, JointEvaluator) and evaluator.simulator == "cimbo":
        return evaluator
    return None


def _recorded(design: Record | Candidate) -> Mapping[str, float]:
    if isinstance(design, Record):
        return design.metrics
    return {}


def _around(
    bars: Bars, simulated: Mapping[str, float], recorded: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    found = {}
    for metric, (low, high) in bars.items():
        factor = recorded.get(metric, simulated[metric]) / simulated[metric]
        found[metric] = (low * factor, high * factor)
    return found
