"""Why a design costs what it costs, what to buy next, and whom it beat."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cimbo import hardware
from cimbo.analysis import Neighbour, Price, beaten, bottleneck, one_step, prices
from cimbo.analysis.mapped_design import Placed, place
from cimbo.analysis.neighbours import BETTER, TRADE, UNDECIDED
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.simulators.zigzag import is_installed
from cimbo.problem.objectives import Constraint
from cimbo.session.bounds import zigzag_costs
from cimbo.session.context import StudyContext
from cimbo.session.design import find
from cimbo.session.predicted_steps import predicted_steps
from cimbo.session.schedule_words import schedule_told
from cimbo.session.simulated_layers import simulated_layers
from cimbo.session.simulation import layer_row, layer_rows_said
from cimbo.storage import Record

Rows = list[dict[str, Any]]

INTERVAL_ENDING = ", 90 %"  # of the column that says between what a margin lies

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class PricedDesign:
    """A design of the front: what it measured of the objectives, and what one more unit of each resource changes."""

    key: str
    objectives: Mapping[str, float]
    prices: tuple[Price, ...]

    def to_json(self) -> dict[str, Any]:
        """A line: the objectives, then each resource's price in latency and energy."""
        row: dict[str, Any] = {"key": self.key, **self.objectives}
        for price in self.prices:
            row.setdefault(f"ms per {price.resource}", price.latency_ms)
            row.setdefault(f"uJ per {price.resource}", price.energy_uj)
        return row


@dataclass(frozen=True)
class Explanation:
    """All that can be said of one design on cimbo's chip model.

    Attributes:
        key: The design.
        breakdown: Costs, layers, time by bound and energy by part, as `cimbo.hardware.explain` gives them, and error bars.
        bottleneck: The layer and the interface that most time is spent on, and the genes that widen it.
        prices: What one more unit of each resource changes.
        front: The same for each design of the front.
        neighbours: Designs next to it in genes, and by how much it is better.
        lacking: Why there are no rows, where there are none: for layers, prices and front.
        accuracy: What its accuracy loses to which cause, and in which layer, where that was asked for; else empty.
    """

    key: str
    breakdown: Mapping[str, Any]
    bottleneck: Mapping[str, Any]
    prices: tuple[Price, ...]
    front: tuple[PricedDesign, ...]
    neighbours: tuple[Neighbour, ...]
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)

    def layer_rows(self) -> Rows:
        """A line a layer."""
        if not self.bottleneck:
            return layer_rows_said(self.breakdown["layers"])
        return [layer_row(layer) for layer in self.breakdown["layers"]]

    def price_rows(self) -> Rows:
        """A line a resource."""
        return [_price_row(price) for price in self.prices]

    def front_rows(self) -> Rows:
        """A line a design of the front."""
        return [design.to_json() for design in self.front]

    def neighbour_rows(self) -> Rows:
        """A line a neighbour."""
        return [_neighbour_row(neighbour) for neighbour in self.neighbours]

    def step_to_evaluate(self) -> Neighbour | None:
        """The predicted neighbour that is most worth to be measured; None where none is predicted."""
        steps = [neighbour for neighbour in self.neighbours if neighbour.how == "predicted"]
        for verdict in (BETTER, UNDECIDED, TRADE):
            for step in steps:
                if step.verdict == verdict:
                    return step
        return next(iter(steps), None)

    def accuracy_rows(self) -> Rows:
        """A line for each cause, each layer, and each cause in the worst layers."""
        return list(map(_loss_row, self.accuracy.get("losses", ())))

    def picture(self) -> str:
        """Time by layer and energy by part, as SVG."""
        from cimbo.report import breakdown

        return breakdown.picture(self.breakdown)

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo explain --format json``."""
        document = {
            "key": self.key,
            **self.breakdown,
            "bottleneck": self.bottleneck,
            "prices": [price.to_json() for price in self.prices],
            "front": self.front_rows(),
            "neighbours": self.neighbour_rows(),
        }
        if self.accuracy:
            document["accuracy_losses"] = dict(self.accuracy)
        return document


def _loss_row(loss: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "layer": loss["layer"],
        "cause": loss["cause"],
        "loses, points": round(loss["points"], 2),
        "sampling error": round(loss["error"], 2),
    }


def explain(context: StudyContext, key: str, *, accuracy: bool = False) -> Explanation:
    """What bounds an evaluated design layer by layer, what the next mm2, GB/s or ADC bit buys, and whom it beat.

    Args:
        context: The study.
        key: The design's key, which may be shortened.
        accuracy: Also measure what its accuracy loses to which cause and in which layer; takes a
            minute or two.

    Returns:
        Its costs by layer and part, its bottleneck, prices and neighbours.

    Raises:
        BadInput: When no design has this key, or several; or the causes are asked for and the
            accuracy knows none.
    """
    record = find(context, key)
    found = _explained(context, record)
    if accuracy:
        return replace(found, accuracy=_error_losses(context, record))
    return found


def _error_losses(context: StudyContext, record: Record) -> Mapping[str, Any]:
    """What a design's accuracy loses to which cause and in which layer. Raises BadInput where nobody knows."""
    if not isinstance(context.evaluator, JointEvaluator):
        todo = "ask it of a study that measures a shipped super-network"
        raise BadInput("--rows accuracy", "needs an accuracy that knows arrays", todo)
    context.evaluator.check_knows_errors()
    logger.info("measuring with each cause and each layer switched off takes a minute or two")
    return context.evaluator.error_losses(record.params)


def _explained(context: StudyContext, record: Record) -> Explanation:
    study = context.study
    if not context.is_placed(record.params):
        return _without_chip_model(context, record)
    own_simulator = context.evaluator.simulator == "cimbo"
    if not own_simulator:
        note = "this study's costs are another simulator's; cimbo's own chip model explains them"
        logger.info(f"note: {note}")
    here = _placed(context, [record])[0]
    breakdown = _breakdown(context, record.key, here)
    neighbours = list(beaten(study.problem, record, study.evaluations()))
    if own_simulator:  # costs of two simulators do not compare
        neighbours += one_step(study.problem, record, here)
    return Explanation(
        record.key,
        breakdown,
        bottleneck(breakdown, here.full, here.choices),
        tuple(prices(here)),
        _priced_front(context),
        tuple(neighbours),
    )


def _breakdown(context: StudyContext, key: str, here: Placed) -> dict[str, Any]:
    """Costs of a design in parts and layers, with error bars, and by ZigZag where ours are bounds."""
    breakdown = hardware.explain(here.workload, here.chip)
    bars = hardware.error_bars(here.workload, here.chip)
    breakdown["schedule"] = schedule_told(here.chip, is_resident=breakdown["resident"])
    breakdown["error_bars"] = {metric: list(bar) for metric, bar in bars.items()}
    if breakdown["is_bound"]:
        breakdown |= _by_zigzag(context, key, here)
    return breakdown


def _by_zigzag(context: StudyContext, key: str, here: Placed) -> dict[str, Any]:
    """What ZigZag's search for a schedule says of a design that our closed form only bounds.

    Returns:
        ``zigzag`` with latency_ms and energy_uj, or with the reason why it cannot simulate this chip; empty where it is not
        installed and the study does not know.
    """
    known = context.study.zigzag_costs().get(key)
    if known is not None:
        return {"zigzag": known}
    if not is_installed():
        return {}
    logger.info("its costs are an interval: ZigZag looks for a schedule, which may take a minute")
    try:
        return {"zigzag": zigzag_costs(here.workload, here.chip)}
    except (BadInput, RuntimeError) as error:
        return {"zigzag": {"reason": str(error)}}


def _without_chip_model(context: StudyContext, record: Record) -> Explanation:
    """What the study's own evaluations say of a design whose chip or layers cimbo's model does not know."""
    problem = context.study.problem
    neighbours = beaten(problem, record, context.study.evaluations())
    listed = {neighbour.key for neighbour in neighbours}
    for step in predicted_steps(context, record):
        if not step.key or step.key not in listed:
            neighbours.append(step)
    found = simulated_layers(context, record)
    layers = [dict(layer) for layer in found.layers]
    breakdown: dict[str, Any] = {"layers": layers, "time_by_bound_ms": {}, "energy_by_part_uj": {}}
    unknown = (
        "cimbo's chip model does not know this design's chip or layers, and prices are its own"
    )
    lacking = {"prices": unknown, "front": unknown}
    if found.lacking:
        lacking["layers"] = found.lacking
    return Explanation(record.key, breakdown, {}, (), (), tuple(neighbours), lacking=lacking)


def _placed(context: StudyContext, records: Sequence[Record]) -> Sequence[Placed]:
    designs = [record.params for record in records]
    return place(context.evaluator, context.study.problem.space, designs)


def _priced_front(context: StudyContext) -> tuple[PricedDesign, ...]:
    records = context.study.pareto()
    names = [objective.name for objective in context.study.problem.objectives]
    found = []
    for record, placed in zip(records, _placed(context, records), strict=True):
        objectives = {name: record.metrics[name] for name in names}
        found.append(PricedDesign(record.key, objectives, tuple(prices(placed))))
    return tuple(found)


def _price_row(price: Price) -> dict[str, Any]:
    return {
        "resource": price.resource,
        "step": f"{price.gene} {_value(price.start)}->{_value(price.to)}",
        "units": price.amount,
        "ms a unit": price.latency_ms,
        "uJ a unit": price.energy_uj,
        "mm2 a unit": price.area_mm2,
        "beyond the list": price.beyond,
    }


def _neighbour_row(neighbour: Neighbour) -> dict[str, Any]:
    row: dict[str, Any] = {
        "how": neighbour.how,
        "key": neighbour.key,
        "verdict": neighbour.verdict,
    }
    for name, margin in neighbour.margins.items():
        row[f"{name} better by"] = margin
        if name in neighbour.intervals:
            row[f"{name}{INTERVAL_ENDING}"] = list(neighbour.intervals[name])
    row["changes"] = _changes(neighbour)
    if neighbour.broken:
        row["breaks"] = [_broken(each, neighbour.metrics) for each in neighbour.broken]
    return row


def _changes(neighbour: Neighbour) -> list[str]:
    """Each gene in which a neighbour differs, with both values."""
    changes = []
    for gene, (here, there) in neighbour.changes.items():
        changes.append(f"{gene} {_value(here)}->{_value(there)}")
    return changes


def _broken(constraint: Constraint, metrics: Mapping[str, float]) -> str:
    measured = "not measured"
    if constraint.metric in metrics:
        measured = f"{metrics[constraint.metric]:.4g}"
    return f"{constraint.metric} {measured}, not {constraint.relation} {constraint.bound:.4g}"


def _value(value: Any) -> str:
    return "off" if value is None else str(value)
