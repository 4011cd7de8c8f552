"""From a front to a decision: how sure each design of it is, and one chip for several networks."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.analysis import Errors, chances, chances_by_metrics
from cimbo.analysis.mapped_design import place
from cimbo.errors import BadInput, check_positive
from cimbo.evaluation.array_forms import is_exact_as_measured
from cimbo.evaluation.joint import JointEvaluator
from cimbo.session.context import StudyContext
from cimbo.session.portfolio import (
    ChipPortfolio,
    PortfolioSettings,
    ServedNetwork,
    SharedChip,
    named_workload,
    portfolio,
    portfolio_workload,
)
from cimbo.storage import Record

__all__ = [
    "ChipPortfolio",
    "NoiseSweep",
    "PortfolioSettings",
    "RobustDesign",
    "Robustness",
    "ServedNetwork",
    "SharedChip",
    "named_workload",
    "noise_sweep",
    "portfolio",
    "portfolio_workload",
    "robustness",
]
DEFAULT_DRAWS = 200
NOISE_IMAGES = 1000  # validation images that a front is measured on at each noise of its converters
LEAST_CHANCE = 0.05  # a design off the front with less is not listed
UNKNOWN_CHIPS_NOTE = (
    "cimbo's chip model does not know these designs: their metrics are off, not their parts"
)

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
        errors = asdict(self.errors)
        return {
            "errors": {name: value for name, value in errors.items() if name in self.drawn},
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
    errors = errors or Errors()
    _check_errors(errors)
    check_positive("--draws", draws)
    records = context.study.feasible_evaluations()
    if not records:
        raise BadInput(context.path, "holds no verified design", "search first: cimbo optimize")
    if all(context.evaluator.is_placed(record.params) for record in records):
        drawn = tuple(name for name in asdict(errors) if name != "metrics")
        found = _chances_of_parts(context, records, errors, draws, seed)
    else:
        accuracy = _accuracy_metric(context)
        drawn = ("metrics",)
        if any(accuracy in record.metrics for record in records):
            drawn = ("accuracy", "metrics")
        logger.info(f"note: {UNKNOWN_CHIPS_NOTE}")
        problem = context.study.problem
        found = chances_by_metrics(
            problem, records, errors, draws=draws, seed=seed, accuracy=accuracy
        )
    return Robustness(errors, draws, seed, _listed(context, records, found.tolist()), drawn)


def _check_errors(errors: Errors) -> None:
    """Raises BadInput for an error that is no relative standard deviation."""
    for name, value in asdict(errors).items():
        if not 0 <= value < 10:
            todo = "give a relative standard deviation such as 0.2"
            raise BadInput(f"--{name.replace('_', '-')}", f"is {value}", todo)


def _accuracy_metric(context: StudyContext) -> str:
    """The metric that is off as an accuracy is: the expensive one, where the study names it."""
    expensive = context.config.tables.expensive
    if expensive is None:
        return "accuracy"
    return expensive.metric


def _chances_of_parts(
    context: StudyContext, records: list[Record], errors: Errors, draws: int, seed: int
) -> NDArray[np.float64]:
    """Chances (n,) of designs whose chips cimbo's model knows: their parts are off."""
    evaluator = context.evaluator
    problem = context.study.problem
    if evaluator.simulator != "cimbo":
        note = "costs are another simulator's; cimbo's own chip model says how they change"
        logger.info(f"note: {note}")
    placed = place(evaluator, problem.space, [record.params for record in records])
    return chances(problem, records, placed, errors, draws=draws, seed=seed)


def _listed(
    context: StudyContext, records: list[Record], found: list[float]
) -> tuple[RobustDesign, ...]:
    """The designs of the front, and those that have a chance to be on it; the surest first."""
    front = {record.key for record in context.study.pareto()}
    names = [objective.name for objective in context.study.problem.objectives]
    designs = []
    for record, chance in zip(records, found, strict=True):
        on_front = record.key in front
        if on_front or chance > LEAST_CHANCE:
            objectives = {name: record.metrics[name] for name in names}
            designs.append(RobustDesign(record.key, chance, on_front, objectives))
    designs.sort(key=lambda design: -design.chance)
    return tuple(designs)


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
            row: dict[str, Any] = {"key": key}
            for level, value in zip(self.levels, values, strict=True):
                row[f"at_{level:g}_lsb"] = value
            found.append(row)
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo robust --noise-lsb --format json``."""
        designs = []
        for key, values in self.accuracies.items():
            designs.append({"key": key, "accuracies": list(values)})
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
    evaluator = _knowing_converters(context)
    front = context.study.pareto()
    found: dict[str, tuple[float, ...]] = {}
    for number, record in enumerate(front, 1):
        by_level = _at_noises(evaluator, record.params, levels)
        found[record.key] = tuple(by_level[f"{level:g}"] for level in levels)
        context.study.record_noise_accuracies(record.key, by_level)
        logger.info(f"{number} of {len(front)} designs measured at {len(levels)} noises")
    return NoiseSweep(tuple(levels), NOISE_IMAGES, found)


def _at_noises(
    evaluator: JointEvaluator, design: Mapping[str, Any], levels: Sequence[float]
) -> dict[str, float]:
    """Accuracy of a design by the noise, written as text; a digital one is measured once, as nothing of it is noisy."""
    names = [f"{level:g}" for level in levels]
    if is_exact_as_measured(evaluator.chip_of(design)):
        return dict.fromkeys(names, evaluator.on_some_images(design, NOISE_IMAGES))
    found = {}
    for name, level in zip(names, levels, strict=True):
        noisy = evaluator.at_converter_noise(level)
        found[name] = noisy.on_some_images(design, NOISE_IMAGES)
    return found


def _knowing_converters(context: StudyContext) -> JointEvaluator:
    """The study's evaluator. Raises BadInput where its accuracy knows no converters."""
    evaluator = context.evaluator
    if not isinstance(evaluator, JointEvaluator) or not evaluator.has_bit_accurate():
        todo = "measure the accuracy of a shipped super-network"
        raise BadInput("--noise-lsb", "needs an accuracy that knows converters", todo)
    return evaluator
