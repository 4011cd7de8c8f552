"""The chip that stands before any search, and what the largest network costs on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from cimbo import hardware
from cimbo.config.network_settings import inference_settings
from cimbo.config.tables import HardwareTable, NetworkTable, Scalar
from cimbo.errors import printable
from cimbo.evaluation.batched import NETWORK_SIZES
from cimbo.evaluation.simulated_costs import COST_METRICS, MORE_COSTS, with_rates
from cimbo.evaluation.simulators import ask, simulator
from cimbo.problem.scalars import finite
from cimbo.problem.space import Choice
from cimbo.workloads import network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload


def complete_chip(given: Mapping[str, Scalar], choices: Iterable[Choice]) -> dict[str, Any]:
    """Give a chip the usual values of the genes that it leaves out.

    Args:
        given: Genes of the chip, by name.
        choices: All genes of the study's chips.

    Returns:
        The genes of the chip, by name; a usual value where the study allows it and the gene is
        active.
    """
    chip = dict(given)
    for choice in choices:
        usual = _usual_value(choice)
        if usual in choice.values and _is_active(choice, chip):
            chip.setdefault(choice.name, usual)
    return chip


def _usual_value(choice: Choice) -> Any:
    if choice.name == "rows_active":  # the default, 0, means all rows
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
        inference: What one run is asked for, as JSON.
        chip: Genes and fixed properties of the chip.
        simulator: Name of the simulator.
        options: What the simulator is set up with.
    """

    network: str
    sizes: dict[str, int]
    inference: dict[str, Any]
    chip: dict[str, Any]
    simulator: str
    options: dict[str, Any]


def largest_network_costs(
    about: NetworkTable, table: HardwareTable, chip: Mapping[str, Any]
) -> dict[str, float]:
    """Compute the costs of the largest sub-network on a chip.

    The simulator of the study says them. Where that fails on this chip, cimbo's own model takes its
    place, and stderr says so.

    Args:
        about: What the study says of its network.
        table: What the study says of its hardware.
        chip: Genes of the chip, by name.

    Returns:
        Costs by name of the metric.
    """
    question = _Question(
        network=about.name,
        sizes=about.sizes,
        inference=inference_settings(about).to_json(),
        chip={**table.fixed, **chip},
        simulator=table.simulator,
        options=table.options,
    )
    return dict(_costs(json.dumps(asdict(question))))


@lru_cache(maxsize=32)
def _costs(text: str) -> dict[str, float]:
    """Computes the costs of the largest sub-network on a chip; each answer is kept.

    A simulator may take minutes, so the same question is not simulated twice in a process. The
    cache needs a hashable argument: therefore the question comes as JSON.

    Args:
        text: A `_Question` as JSON.

    Returns:
        Costs by name of the metric; names end in their units.
    """
    question = _Question(**json.loads(text))
    settings = InferenceSettings(**question.inference)
    family = with_settings(network(question.network, question.sizes), settings)
    largest = family.workload(family.largest())
    answer = _simulated(question, largest)
    answer.setdefault("area_mm2", hardware.area_mm2([question.chip])[0])
    answer = with_rates(answer, settings.batch)
    for size in NETWORK_SIZES:
        answer.setdefault(size, getattr(largest, size))
    return _finite_costs(answer)


def _simulated(question: _Question, workload: Workload) -> dict[str, Any]:
    """What the study's simulator says, or cimbo's own model where that one cannot."""
    chosen = simulator(question.simulator, **question.options)
    try:
        return dict(ask(chosen, workload, question.chip))
    except RuntimeError as error:  # how simulators say that they cannot
        told = f"baseline: {question.simulator} cannot simulate it ({error}); its limits are by cimbo's own model"
        print(printable(told), file=sys.stderr)
        return dict(hardware.simulate(workload, question.chip))


def _finite_costs(answer: Mapping[str, Any]) -> dict[str, float]:
    """The costs among what a simulator answered, without those that are no finite number."""
    costs = {}
    for metric in (*COST_METRICS, *MORE_COSTS):
        value = finite(answer.get(metric))
        if value is not None:
            costs[metric] = value
    return costs
