"""The costs of designs by a simulator: the chip's side of a joint evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from cimbo import hardware
from cimbo.evaluation.batched import (
    NETWORK_SIZES,
    AnalyticCost,
    Array,
    CostFeatures,
    RoleFeatures,
    simulated_costs,
)
from cimbo.evaluation.encoded import DesignParts
from cimbo.evaluation.programs.answers import refuse_texts
from cimbo.evaluation.programs.trying import try_until_one_works
from cimbo.evaluation.simulators import (
    SHIPPED_SIMULATORS,
    Simulator,
    ask,
    is_told_chip_bits,
    simulator,
)
from cimbo.hardware.generation import GENERATION_METRICS
from cimbo.problem.scalars import finite
from cimbo.problem.space import Params, SearchSpace, canonical_key
from cimbo.workloads import Described, Network, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload
from cimbo.workloads.precision import with_stage_bits

COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")
RATE_METRICS = ("inferences_per_s", "energy_per_inference_uj")
"""Costs of one inference in a batch, which follow from those of the run whatever the simulator."""
# Metrics that only cimbo's own simulator gives
SIMULATED_METRICS = ("cycles", "clock_ns", "utilisation", "leakage_mw")
MORE_COSTS = (*RATE_METRICS, "dram_bytes", *GENERATION_METRICS, *NETWORK_SIZES, *SIMULATED_METRICS)
"""Costs that are kept of a design where the study asks for them."""
MOST_KEPT_WORKLOADS = 20_000  # workloads kept in memory


class SimulatedCosts:
    """The part of a joint evaluator that simulates costs; its attributes are described there (`JointEvaluator`)."""

    network: str
    simulator: str
    options: Mapping[str, Any]
    fixed: Mapping[str, Any]
    sizes_of_file: Mapping[str, int]
    inference: InferenceSettings
    more_costs: tuple[str, ...]
    prepared: dict[str, Mapping[str, float]]
    prepared_seconds: dict[str, float]
    wanted: tuple[str, ...]
    stage_bits: tuple[int, ...]
    roles: Mapping[str, str]

    def simulated(self, design: Params) -> dict[str, float]:
        """Compute the costs of a design by the study's simulator, or look them up if they are prepared.

        Args:
            design: Each active gene to its value.

        Returns:
            ``costs_kept``; of another simulator than cimbo's every number that it gives.
        """
        if self.prepared:  # a key takes time to compute
            known = self.prepared.get(canonical_key(design))
            if known is not None:
                return dict(known)
        return self._simulated(design)

    def _simulated(self, design: Params) -> dict[str, float]:
        """The costs of a design, simulated now."""
        return self._kept_costs(design, self._simulator_answer(design))

    def with_layers(self, design: Params) -> tuple[dict[str, float], list[Any]]:
        """Simulates a design now, whatever is known of it.

        Args:
            design: Each active gene to its value.

        Returns:
            The costs as `simulated` gives them, and what the simulator says of each layer; an empty
            list where it says nothing.
        """
        answer = self._simulator_answer(design)
        layers = answer.get("layers")
        if not isinstance(layers, list | tuple):
            layers = ()
        return self._kept_costs(design, answer), list(layers)

    def _simulator_answer(self, design: Params) -> dict[str, Any]:
        """Everything that the simulator answers for a design."""
        return dict(ask(self._simulator, self.workload_of(design), self.chip_of(design)))

    def _kept_costs(self, design: Params, answer: Mapping[str, Any]) -> dict[str, float]:
        """Select the costs that are kept of a simulator's answer, and add those that follow from them.

        Args:
            design: The design that was simulated.
            answer: What the simulator answered.

        Returns:
            Costs by name. Raises WrongAnswer where one of them is a text.
        """
        refuse_texts(answer, (*self.costs_kept, *self.wanted), f"simulator {self.simulator}")
        workload, chip = self.workload_of(design), self.chip_of(design)
        metrics = {name: getattr(workload, name) for name in NETWORK_SIZES} | dict(answer)
        # Area is a property of the chip alone. If the simulator does not give it, it is
        # that of cimbo's model.
        if "area_mm2" not in metrics and hardware.is_chip(chip):
            metrics["area_mm2"] = hardware.area_mm2([chip])[0]
        metrics = with_rates(metrics, self.inference.batch)
        costs = {name: float(metrics[name]) for name in self.costs_kept if name in metrics}
        if self.simulator != "cimbo":
            _add_numbers(costs, answer)
        return costs

    @property
    def costs_kept(self) -> tuple[str, ...]:
        """Names of the costs that are kept of each design."""
        return (*COST_METRICS, *(name for name in self.more_costs if name in MORE_COSTS))

    def try_first(self, designs: Sequence[Params]) -> None:
        """Simulate designs until one succeeds, so that a program that always fails is found out.

        Nothing happens where the simulator is one of cimbo's own.

        Args:
            designs: What is tried, in order.

        Raises:
            BadInput: When all of them fail.
        """
        is_foreign = self.simulator not in SHIPPED_SIMULATORS
        if getattr(self._simulator, "is_tried_first", is_foreign):
            where = f"simulator {self.simulator}"
            try_until_one_works(
                self._simulated, designs, where, self.prepared, self.prepared_seconds
            )

    def is_placed(self, design: Mapping[str, Any]) -> bool:
        """Tell whether a design's chip is one of cimbo's chip model.

        Args:
            design: Each active gene to its value.

        Returns:
            True where it does.
        """
        return hardware.is_chip(self.chip_of(design))

    def placed(self, design: Mapping[str, Any]) -> tuple[Workload, dict[str, Any]]:
        """Split a design into its network and its chip.

        Args:
            design: Each active gene to its value.

        Returns:
            The network's layers, and the chip as a simulator takes it, fixed properties included.

        Raises:
            BadInput: When a gene of the network is missing or wrong.
        """
        return self.workload_of(design), self.chip_of(design)

    @property
    def tells_chip_bits(self) -> bool:
        """Whether the simulator is told layers at the bits of the chip, not at those that a file states."""
        largest = self._family.workload(self._family.largest())
        return is_told_chip_bits(self.simulator, largest)

    @property
    def features(self) -> CostFeatures:
        """Physical features from which a surrogate predicts costs."""
        return CostFeatures(self)

    @property
    def role_features(self) -> RoleFeatures | None:
        """Features from the roles of another simulator's chip properties; None where there are no roles."""
        if not self.roles:
            return None
        return RoleFeatures(self)

    def analytic_costs(self) -> dict[str, AnalyticCost]:
        """Costs that can be computed rather than modelled; none when another simulator than ours is asked."""
        if self.simulator != "cimbo":
            return {}
        return {name: AnalyticCost(self, name) for name in self.costs_kept}

    exact = analytic_costs  # its name until 0.2

    def costs(self, designs: list[Params]) -> dict[str, Array]:
        """Computes the costs of designs by cimbo's own simulator, in one batch.

        Args:
            designs: n designs, each active gene to its value.

        Returns:
            Each cost that is kept to an array (n,).
        """
        workloads = [self.workload_of(d) for d in designs]
        return simulated_costs(workloads, [self.chip_of(d) for d in designs], self.costs_kept)

    def parts_of(self, space: SearchSpace) -> DesignParts:
        """Make what decodes the networks and chips of a space's rows, or the one made for it before.

        Args:
            space: The space.

        Returns:
            The decoder.
        """
        parts = self.__dict__.get("_parts")
        if parts is None or parts.space is not space:
            is_architecture = np.array([name in self._architecture for name in space.names])
            parts = DesignParts(
                space, is_architecture, self.workload_of, self.fixed, self.descriptors_of
            )
            self.__dict__["_parts"] = parts
        return parts

    def chip_of(self, design: Mapping[str, Any]) -> dict[str, Any]:
        """Take the chip out of a design.

        Args:
            design: Each active gene to its value.

        Returns:
            The genes that do not belong to the network, and the properties that every chip has.
        """
        return {**self.fixed, **{k: v for k, v in design.items() if k not in self._architecture}}

    def workload_of(self, design: Mapping[str, Any]) -> Workload:
        """Make the layers of a design's network; designs with the same network share them.

        Args:
            design: Each active gene to its value.

        Returns:
            The layers, with counts of the whole batch.

        Raises:
            BadInput: When a gene of the network is missing or wrong.
        """
        key = tuple(design.get(name) for name in self._architecture)
        workload = self._workloads.get(key)
        if workload is None:
            if len(self._workloads) >= MOST_KEPT_WORKLOADS:
                self._workloads.clear()
            workload = self._workloads[key] = self._family.workload(design)
        return workload

    def descriptors_of(self, design: Mapping[str, Any]) -> dict[str, float]:
        """Describe a design's network by what its family knows of it beside its genes and sizes.

        Args:
            design: Each active gene to its value; of an empty one the largest network is described.

        Returns:
            Numbers by name, always the same names; none where the family describes nothing.

        Raises:
            BadInput: When a gene of the network is missing or wrong.
        """
        family = self._plain_family
        if not isinstance(family, Described):
            return {}
        return family.descriptors(design or family.largest())

    @cached_property
    def _workloads(self) -> dict[tuple[Any, ...], Workload]:
        """Networks that were made, by the values of the architecture genes."""
        return {}

    @cached_property
    def _architecture(self) -> dict[str, None]:
        """Names of the network's genes: a dictionary serves as a set that keeps its order."""
        return dict.fromkeys(choice.name for choice in self._family.choices())

    @cached_property
    def _plain_family(self) -> Network:
        """The network family, without the settings of a run and the bits of stages."""
        return network(self.network, self.sizes_of_file)

    @cached_property
    def _family(self) -> Network:
        """The network family, with the settings of a run and the bits of stages."""
        family = with_settings(self._plain_family, self.inference)
        return with_stage_bits(family, self.stage_bits)

    @cached_property
    def _simulator(self) -> Simulator:
        """The simulator, set up with its options."""
        return simulator(self.simulator, **self.options)


def _add_numbers(costs: dict[str, float], answer: Mapping[str, Any]) -> None:
    """Add every finite number of an answer to ``costs``, unless there is one of that name."""
    for name, value in answer.items():
        if isinstance(value, bool):
            continue
        number = finite(value)
        if name not in costs and number is not None:
            costs[name] = number


def with_rates(costs: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """Add throughput and energy per inference to costs, unless the simulator gave them.

    Args:
        costs: Costs of one run, which computes a whole batch; latency in ms, energy in uJ.
        batch: Inferences in a run.

    Returns:
        A new dict: the costs, with ``inferences_per_s`` if they have a latency above 0, and with
        ``energy_per_inference_uj`` if they have an energy.
    """
    completed = dict(costs)
    if costs.get("latency_ms"):
        completed.setdefault("inferences_per_s", 1e3 * batch / costs["latency_ms"])
    if "energy_uj" in costs:
        completed.setdefault("energy_per_inference_uj", costs["energy_uj"] / batch)
    return completed
