"""The hand-designed baseline chip of a study, and what the largest network costs on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from cimbo import hardware
from cimbo.config.evaluators import whole_evaluator
from cimbo.config.genes import takes_cimbo_chips
from cimbo.config.network_settings import inference_settings
from cimbo.config.tables import EvaluatorTable, HardwareTable, NetworkTable, Scalar
from cimbo.errors import BadInput, naming, printable
from cimbo.evaluation.batched import NETWORK_SIZES
from cimbo.evaluation.simulated_costs import with_rates
from cimbo.evaluation.simulators import ask, simulator
from cimbo.problem.scalars import finite
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads import network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload


def complete_chip(given: Mapping[str, Scalar], choices: Iterable[Choice]) -> dict[str, Any]:
    """Complete a chip: genes that it leaves out get their default values.

    Args:
        given: Gene to value, of some genes of the chip.
        choices: All genes of the study's chips.

    Returns:
        Gene to value; a gene is added where the study allows its default value and it is active.
    """
    chip = dict(given)
    for choice in choices:
        default = _default_value(choice)
        if default in choice.values and _is_active(choice, chip):
            chip.setdefault(choice.name, default)
    return chip


def _default_value(choice: Choice) -> Any:
    """The value of a gene on a usual chip; None where cimbo knows none."""
    # cimbo's default of 0 means all rows, which a study's gene lists as its greatest value
    if choice.name == "rows_active":
        return choice.values[-1]
    return hardware.DEFAULT_GENES.get(choice.name)


def _is_active(choice: Choice, chip: Mapping[str, Any]) -> bool:
    """Whether the chip has what the gene needs to exist."""
    return all(chip.get(gate) in values for gate, values in choice.active_if.items())


@dataclass(frozen=True)
class _Question:
    """A simulation of the largest sub-network of a family on one chip.

    Attributes:
        network: Name of the family.
        sizes: Free sizes of an ONNX file.
        inference: Batch, tokens and further settings of one run, as JSON.
        chip: Genes and fixed properties of the chip.
        simulator: Name of the simulator.
        options: Options of the simulator.
    """

    network: str
    sizes: dict[str, int]
    inference: dict[str, Any]
    chip: dict[str, Any]
    simulator: str
    options: dict[str, Any]


def largest_network_costs(
    network_table: NetworkTable, hardware_table: HardwareTable, chip: Mapping[str, Any]
) -> dict[str, float]:
    """Compute the costs of the largest sub-network on a chip, by the study's simulator.

    Where that fails on this chip, cimbo's own cost model is used instead, and stderr says so.

    Args:
        network_table: What the study says of its network.
        hardware_table: What the study says of its hardware.
        chip: Gene to value.

    Returns:
        Metric to cost; names end in their units.
    """
    question = _Question(
        network=network_table.name,
        sizes=network_table.sizes,
        inference=inference_settings(network_table).to_json(),
        chip={**hardware_table.fixed, **chip},
        simulator=hardware_table.simulator,
        options=hardware_table.options,
    )
    return dict(_costs(json.dumps(asdict(question))))


@lru_cache(maxsize=32)
def _costs(text: str) -> dict[str, float]:
    """Computes the costs of the largest sub-network on a chip, and caches them.

    A simulator may take minutes, so the same question is not simulated twice in a process. The
    cache needs a hashable argument: therefore the question comes as JSON.

    Args:
        text: A `_Question` as JSON.

    Returns:
        Metric to cost; names end in their units.
    """
    question = _Question(**json.loads(text))
    settings = InferenceSettings(**question.inference)
    family = with_settings(network(question.network, question.sizes), settings)
    largest = family.workload(family.largest())
    answer = _simulated(question, largest)
    if hardware.is_chip(question.chip):
        answer.setdefault("area_mm2", hardware.area_mm2([question.chip])[0])
    answer = with_rates(answer, settings.batch)
    for size in NETWORK_SIZES:
        answer.setdefault(size, getattr(largest, size))
    return _finite_costs(answer)


def _simulated(question: _Question, workload: Workload) -> dict[str, Any]:
    """Metrics of a workload by the study's simulator; by cimbo's own model, with a line on stderr, where it fails."""
    chosen = simulator(question.simulator, **question.options)
    try:
        return dict(ask(chosen, workload, question.chip))
    except RuntimeError as error:  # what simulators raise for a chip that they cannot simulate
        if not hardware.is_chip(question.chip):
            what = f"cannot be simulated by {question.simulator} ({error})"
            raise BadInput("baseline", what, "give another chip, or bounds in units") from None
        line = f"baseline: {question.simulator} cannot simulate it ({error}); its limits are by cimbo's own model"
        print(printable(line), file=sys.stderr)
        return dict(hardware.simulate(workload, question.chip))


def _finite_costs(answer: Mapping[str, Any]) -> dict[str, float]:
    """Metric to cost, of those entries of a simulator's answer that are finite numbers."""
    costs = {}
    for metric, value in answer.items():
        number = None if isinstance(value, bool) else finite(value)
        if number is not None:
            costs[metric] = number
    return costs


def check_own_chip(
    table: HardwareTable, choices: Sequence[Choice], chip: Mapping[str, Any]
) -> None:
    """Check that a baseline for another simulator than cimbo's is a chip of the study's space.

    Args:
        table: What the study says of its hardware.
        choices: The genes of its chips.
        chip: The baseline.

    Raises:
        BadInput: A gene is unknown, missing, or at a value that it cannot take.
    """
    if not takes_cimbo_chips(table):
        with naming("baseline"):
            SearchSpace((), choices).canonical(chip)


def check_own_baseline(space: SearchSpace, baseline: Mapping[str, Any]) -> None:
    """Check a baseline of a study's own genes: it is a chip, or a whole design.

    Args:
        space: The genes of the study.
        baseline: Gene to value.

    Raises:
        BadInput: A gene is unknown, missing, or at a value that it cannot take.
    """
    is_design = any(choice.name in baseline for choice in space.architecture)
    searched = space if is_design else SearchSpace((), space.hardware)
    with naming("baseline"):
        searched.canonical(baseline)


def evaluated_costs(
    table: EvaluatorTable,
    about: NetworkTable | None,
    space: SearchSpace,
    baseline: Mapping[str, Any],
) -> dict[str, float]:
    """Compute what a study's own evaluator says of its baseline.

    Args:
        table: What the study says of its evaluator.
        about: What it says of its network, if it has one.
        space: Its genes.
        baseline: Gene to value.

    Returns:
        Metric to value, of what is a finite number.

    Raises:
        BadInput: The baseline is no design of the space, or the evaluator cannot run here or fails
            on it.
    """
    with naming("baseline"):
        design = space.canonical(baseline)
    evaluator = whole_evaluator(table, [choice.name for choice in space.architecture], about)
    evaluator.check()
    try:
        metrics = evaluator(design)
    except BadInput:
        raise
    except Exception as error:  # it comes from code of the user, so it may be of any kind
        what = f"cannot be evaluated ({str(error) or type(error).__name__})"
        raise BadInput("baseline", what, "give another design, or bounds in units") from None
    return _finite_costs(metrics)
