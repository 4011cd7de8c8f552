"""From a front to a decision: how sure each design of it is, and one chip for several networks."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.analysis import Errors, Portfolio, chances, chances_by_metrics, serve
from cimbo.analysis.mapped_design import place
from cimbo.analysis.portfolio import Served
from cimbo.errors import BadInput, choose_from
from cimbo.evaluation.joint import JointEvaluator
from cimbo.hardware import DEFAULT_GENES, chip_choices
from cimbo.session.context import StudyContext
from cimbo.session.design import find
from cimbo.session.text import genes_text
from cimbo.workloads import is_family_name, known, network
from cimbo.workloads.layers import Workload

DEFAULT_DRAWS = 200
DEFAULT_CHIP_SAMPLES = 20_000
NOISE_IMAGES = 1000  # validation images that a front is measured on at each noise of its converters
LEAST_CHANCE = 0.05  # a design off the front with less is not listed
PORTFOLIO_METRICS = ("latency_ms", "energy_uj")

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class RobustDesign:
    """A design with its chance to stay non-dominated.

    Attributes:
        key: Its name in the study.
        chance: Share of the draws in which it is on the front.
        on_front: Whether it is on the front as measured.
        objectives: What it measured.
    """

    key: str
    chance: float
    on_front: bool
    objectives: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """A line of ``cimbo robust``."""
        about = {"key": self.key, "chance": self.chance, "on_front": self.on_front}
        return about | dict(self.objectives)


@dataclass(frozen=True)
class Robustness:
    """How sure a front is under ``errors``, relative standard deviations; the most robust design first."""

    errors: Errors
    draws: int
    seed: int
    designs: tuple[RobustDesign, ...]
    #: Names of the errors that were drawn from: of metrics alone where cimbo's chip model does not know the chips.
    drawn: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo robust --format json``."""
        return {
            "errors": {
                name: value for name, value in asdict(self.errors).items() if name in self.drawn
            },
            "draws": self.draws,
            "seed": self.seed,
            "designs": [design.to_json() for design in self.designs],
        }


def robustness(
    context: StudyContext,
    errors: Errors | None = None,
    *,
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
) -> Robustness:
    """Each front design's chance to stay non-dominated when bandwidths, ADC energy and accuracy are off.

    Every verified design is simulated again with the wrong figures; nothing is measured.

    Args:
        context: The study.
        errors: Relative standard deviations.
        draws: How often to be wrong.
        seed: Of the draws.

    Returns:
        The designs with their chances, the most robust one first.

    Raises:
        BadInput: When the study holds no verified design.
    """
    errors, study = errors or Errors(), context.study
    for name, value in asdict(errors).items():
        if not 0 <= value < 10:
            todo = "give a relative standard deviation such as 0.2"
            raise BadInput(f"--{name.replace('_', '-')}", f"is {value}", todo)
    if draws < 1:
        raise BadInput("--draws", f"{draws} is not positive", "give a number of at least 1")
    evaluator, records = context.evaluator, study.feasible_evaluations()
    if not records:
        raise BadInput(context.path, "holds no verified design", "search first: cimbo optimize")
    if all(evaluator.is_placed(r.params) for r in records):
        if evaluator.simulator != "cimbo":
            note = "costs are another simulator's; cimbo's own chip model says how they change"
            logger.info(f"note: {note}")
        placed = place(evaluator, study.problem.space, [r.params for r in records])
        found = chances(study.problem, records, placed, errors, draws=draws, seed=seed)
        drawn = [name for name in asdict(errors) if name != "metrics"]
    else:
        expensive = context.config.tables.expensive
        if expensive is None:
            accuracy = "accuracy"
        else:
            accuracy = expensive.metric
        drawn = ["metrics"]
        if any(accuracy in r.metrics for r in records):
            drawn.insert(0, "accuracy")
        note = (
            "cimbo's chip model does not know these designs: their metrics are off, not their parts"
        )
        logger.info(f"note: {note}")
        found = chances_by_metrics(
            study.problem,
            records,
            errors,
            draws=draws,
            seed=seed,
            accuracy=accuracy,
        )
    front = {r.key for r in study.pareto()}
    names = [o.name for o in study.problem.objectives]
    designs = []
    for record, chance in zip(records, found.tolist(), strict=True):
        if chance > LEAST_CHANCE or record.key in front:
            objectives = {name: record.metrics[name] for name in names}
            designs.append(RobustDesign(record.key, chance, record.key in front, objectives))
    designs.sort(key=lambda design: -design.chance)
    return Robustness(errors, draws, seed, tuple(designs), tuple(drawn))


# ---- converters that are noisier than thought -----------------------------------------------------------------------


@dataclass(frozen=True)
class NoiseSweep:
    """Accuracies of a front at several noises of its converters.

    Attributes:
        levels: Standard deviations of a reading, in steps of the converter as built.
        images: Validation images that each accuracy is measured on.
        accuracies: By key, in percent, one for each level.
    """

    levels: tuple[float, ...]
    images: int
    accuracies: Mapping[str, tuple[float, ...]]

    def rows(self) -> list[dict[str, Any]]:
        """Lines of ``cimbo robust --noise-lsb``."""
        found = []
        for key, values in self.accuracies.items():
            by_level = zip(self.levels, values, strict=True)
            found.append({"key": key} | {f"at_{level:g}_lsb": value for level, value in by_level})
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo robust --noise-lsb --format json``."""
        designs = [{"key": k, "accuracies": list(v)} for k, v in self.accuracies.items()]
        return {"noise_lsb": list(self.levels), "images": self.images, "designs": designs}


def noise_sweep(context: StudyContext, levels: Sequence[float]) -> NoiseSweep:
    """Measure the front's accuracy at each noise of the converters; kept in the study, whose report draws it.

    Args:
        context: The study.
        levels: Standard deviations of a reading, in steps of the converter as built.

    Returns:
        The accuracy of each design at each noise.

    Raises:
        BadInput: Without levels, for a negative one, or where the accuracy knows no converters.
    """
    if not levels or not all(0 <= level < math.inf for level in levels):
        todo = "give numbers of at least 0, such as 0,0.5,1,2"
        raise BadInput("--noise-lsb", f"is {list(levels)}", todo)
    evaluator = context.evaluator
    if not isinstance(evaluator, JointEvaluator) or not evaluator.has_bit_accurate():
        todo = "measure the accuracy of a shipped super-network"
        raise BadInput("--noise-lsb", "needs an accuracy that knows converters", todo)
    front = context.study.pareto()
    found: dict[str, tuple[float, ...]] = {}
    for number, record in enumerate(front, 1):
        values = []
        for level in levels:
            noisy = evaluator.at_converter_noise(level)
            values.append(noisy.on_some_images(record.params, NOISE_IMAGES))
        found[record.key] = tuple(values)
        by_level = {f"{level:g}": value for level, value in zip(levels, values, strict=True)}
        context.study.record_noise_accuracies(record.key, by_level)
        logger.info(f"{number} of {len(front)} designs measured at {len(levels)} noises")
    return NoiseSweep(tuple(levels), NOISE_IMAGES, found)


# ---- one chip for several networks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ServedNetwork:
    """What one network costs on a chip, and its regret: how much more than on the chip found for it alone."""

    network: str
    cost: float
    regret: float


@dataclass(frozen=True)
class SharedChip:
    """The chip that is best by ``criterion``, and every network on it."""

    criterion: str
    chip: Mapping[str, Any]
    area_mm2: float
    networks: tuple[ServedNetwork, ...]
    metric: str

    def row(self) -> dict[str, Any]:
        """A line of the table."""
        row: dict[str, Any] = {"for": self.criterion, "area_mm2": self.area_mm2}
        row |= {f"{each.network} {self.metric}": each.cost for each in self.networks}
        row |= {f"{each.network} regret %": round(100 * each.regret, 1) for each in self.networks}
        return row | {"chip": genes_text(self.chip)}

    def to_json(self) -> dict[str, Any]:
        """An entry of ``cimbo portfolio --format json``."""
        networks = []
        for each in self.networks:
            networks.append(
                {"network": each.network, self.metric: each.cost, "regret": each.regret}
            )
        return {
            "for": self.criterion,
            "chip": dict(self.chip),
            "area_mm2": self.area_mm2,
            "networks": networks,
        }


@dataclass(frozen=True)
class ChipPortfolio:
    """Chips for several networks: best in the worst case, on the weighted mean, in regret, and for each alone."""

    chips: tuple[SharedChip, ...]

    @property
    def sharing_costs_nothing(self) -> bool:
        """Whether one chip is the best for each network alone too."""
        return all(each.chip == self.chips[0].chip for each in self.chips)

    def to_json(self) -> list[dict[str, Any]]:
        """The document of ``cimbo portfolio --format json``."""
        return [chip.to_json() for chip in self.chips]


@dataclass(frozen=True)
class PortfolioSettings:
    """Limits of a shared chip.

    Attributes:
        area_mm2: The largest chip allowed.
        metric: "latency_ms" or "energy_uj".
        weights: How often each network runs; empty for equally often.
        fixed: Genes that every chip keeps. Accuracy is not looked at, so those that shape it should be among them.
        samples: Chips to sample before the best are improved.
        seed: Of the samples.
    """

    area_mm2: float
    metric: str = "latency_ms"
    weights: Sequence[float] = ()
    fixed: Mapping[str, Any] = field(default_factory=lambda: {"adc_bits": 6})
    samples: int = DEFAULT_CHIP_SAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in PORTFOLIO_METRICS:
            todo = choose_from(self.metric, PORTFOLIO_METRICS)
            raise BadInput("metric", f"{self.metric!r} is unknown", todo)
        if self.samples < 1:
            raise BadInput("--samples", f"{self.samples} is not positive", "give at least 1")
        genes = {**{choice.name: choice for choice in chip_choices()}, **DEFAULT_GENES}
        for name in self.fixed:
            if name not in genes:
                todo = choose_from(name, genes, "the genes are")
                raise BadInput(f"--fix {name}", "is no gene of a chip", todo)


def portfolio(workloads: Mapping[str, Workload], settings: PortfolioSettings) -> ChipPortfolio:
    """Find one chip for several networks.

    Args:
        workloads: The networks by name, see `portfolio_workload`.
        settings: Limits of the chip.

    Returns:
        The chips that are best in the worst case, on the weighted mean, in regret, and for each
        network alone.

    Raises:
        BadInput: When no chip is within the area, or weights are not one positive number a network.
    """
    weights = list(settings.weights) or [1.0] * len(workloads)
    if len(weights) != len(workloads) or not all(0 < w < float("inf") for w in weights):
        what = f"{','.join(map(str, weights))!r} is not {len(workloads)} positive numbers"
        raise BadInput("--weights", what, "give one for each network, as 3,1")
    asked = Portfolio(
        list(workloads.values()),
        np.array(weights),
        chip_choices(),
        settings.fixed,
        settings.area_mm2,
        settings.metric,
    )
    found = serve(asked, samples=settings.samples, seed=settings.seed)
    return ChipPortfolio(tuple(_shared(list(workloads), each, settings.metric) for each in found))


def portfolio_workload(
    name: str, *, genes: Mapping[str, Any] | None = None, study: str | Path = "cimbo.db"
) -> Workload:
    """The network that ``name`` means in a portfolio.

    Args:
        name: A network family; an ONNX file, or another name that `cimbo.workloads.network` takes; or the key of a
            design of ``study``.
        genes: Genes of a sub-network of a family; by default its largest.
        study: The file that a key is looked up in.

    Returns:
        The network's layers.

    Raises:
        BadInput: For what is neither.
    """
    from cimbo.session.opening import open_existing

    if name in known() or not is_family_name(name):
        family = network(name)
        return family.workload(dict(genes) if genes else family.largest())
    with open_existing(study) as session:
        params = find(session, name).params
        return session.evaluator.placed(params)[0]


def named_workload(label: str, workload: Workload) -> Workload:
    """Give a workload the name that it is listed by.

    Args:
        label: The name.
        workload: The workload.

    Returns:
        The same workload with that name.
    """
    return replace(workload, name=label)


def _shared(names: Sequence[str], served: Served, metric: str) -> SharedChip:
    each = zip(names, served.costs.tolist(), served.regrets.tolist(), strict=True)
    networks = tuple(ServedNetwork(*figures) for figures in each)
    return SharedChip(served.criterion, served.chip, served.area_mm2, networks, metric)
