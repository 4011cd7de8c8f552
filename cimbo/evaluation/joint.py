"""The real evaluation of a joint design: its accuracy measured, its chip simulated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.evaluation import array_forms
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import accuracy_source
from cimbo.evaluation.array_forms import FormDifference
from cimbo.evaluation.batched import (
    NETWORK_SIZES,
    AnalyticCost,
    Array,
    CostFeatures,
    NetworkSizes,
    simulated_costs,
)
from cimbo.evaluation.encoded import DesignParts
from cimbo.evaluation.fingerprint import Fingerprint, fingerprint
from cimbo.evaluation.programs import logs
from cimbo.evaluation.programs.trying import try_until_one_works
from cimbo.evaluation.racing import counted, raced
from cimbo.evaluation.simulators import Simulator, simulator
from cimbo.hardware.generation import GENERATION_METRICS
from cimbo.plugins import Accuracy
from cimbo.problem.fidelity import Race
from cimbo.problem.objectives import at_target_fidelity
from cimbo.problem.scalars import finite
from cimbo.problem.space import Params, SearchSpace, canonical_key
from cimbo.workloads import Network, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload
from cimbo.workloads.precision import with_stage_bits

COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")
RATE_METRICS = ("inferences_per_s", "energy_per_inference_uj")
"""Costs of one inference in a batch, which follow from those of the run whatever the simulator."""
SIMULATED_METRICS = ("cycles", "clock_ns", "utilisation", "leakage_mw")  # of cimbo's own simulator
MORE_COSTS = (*RATE_METRICS, "dram_bytes", *GENERATION_METRICS, *NETWORK_SIZES, *SIMULATED_METRICS)
"""Costs that are kept of a design where the study asks for them."""
BLIND_TO_STAGE_BITS = ("accelforge",)  # simulators that count every layer at the bits of the chip
DIE_ACCURACY = "accuracy_p05"
"""The accuracy that 95 % of the dies of a design reach, measured where a study asks for it."""
JOINT_METRICS = ("accuracy", *COST_METRICS, *MORE_COSTS, DIE_ACCURACY)
NO_ACCURACY = "none"  # the source of accuracy of a study that measures costs alone
MOST_KEPT_WORKLOADS = 20_000  # workloads kept in memory


@dataclass
class JointEvaluator:
    """accuracy ⊕ simulator: a flat dict of genes -> accuracy, latency_ms, energy_uj, area_mm2.

    An accuracy serves every chip that shares the genes which shape it, so ``known`` accuracies are not measured again.
    ``options`` set up the simulator; ``fixed`` are properties of every chip that are no genes of the search.
    ``sizes_of_file`` are free sizes of a network that is an ONNX file. With the accuracy "none" costs alone are measured.
    ``stage_bits``: what the bits of a stage or block may be where they are genes.
    ``inference`` is what a run is asked for, ``more_costs`` are kept of each design besides ``COSTS``.
    Of another simulator than cimbo's every number is kept.
    ``prepared`` are costs of designs that were simulated ahead of their turn, by key; what programs print is kept in
    ``log_folder``.
    ``stages`` are numbers of images after which the measurement of an accuracy that is not worth it is stopped, see
    `cimbo.evaluation.racing`; ``race`` says what it is worth, and comes from the study.
    """

    network: str
    accuracy: str
    simulator: str = "cimbo"
    options: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    accuracy_options: Mapping[str, Any] = field(default_factory=dict)
    sizes_of_file: Mapping[str, int] = field(default_factory=dict)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    more_costs: tuple[str, ...] = ()
    prepared: dict[str, Mapping[str, float]] = field(default_factory=dict)
    log_folder: str | None = None
    stage_bits: tuple[int, ...] = ()
    stages: tuple[int, ...] = ()
    race: Race | None = None
    known_of_dies: dict[str, float] = field(default_factory=dict)

    def __call__(self, design: Params) -> dict[str, float]:
        """Measures a design: what the study asks of its network on its chip."""
        with logs.log_of(self.log_folder, design):
            return self._evaluate(design)

    def _evaluate(self, design: Params) -> dict[str, float]:
        costs = self.simulated(design)  # before the accuracy, which takes longer
        if not self.has_accuracy:
            return costs
        value = self.known.get(self._accuracy_key(design))
        if value is None and self.stages and self.race is not None:
            source = counted(self._accuracy, self.accuracy)
            measured = raced(source, design, self.fixed, self.stages, self.race, costs)
            return {**measured, **self._of_dies(design), **costs}
        if value is None:
            value = self._accuracy.measure({**self.fixed, **design})
        return {
            self.quality_metric: value,
            **self._interval(value),
            **self._of_dies(design),
            **costs,
        }

    def _of_dies(self, design: Params) -> dict[str, float]:
        """The accuracy that 95 % of dies reach, where the study asks for it."""
        if DIE_ACCURACY not in self.more_costs:
            return {}
        key = self._accuracy_key(design)
        if key not in self.known_of_dies:
            measure: Callable[..., float] = getattr(self._accuracy, DIE_ACCURACY)
            self.known_of_dies[key] = measure({**self.fixed, **design})
        return {DIE_ACCURACY: self.known_of_dies[key]}

    def race_against(self, race: Race) -> None:
        """Takes in what a measurement has to beat from now on.

        Args:
            race: The best designs so far; ignored where the accuracy is not measured in stages.
        """
        self.race = race if self.stages else None

    @property
    def has_accuracy(self) -> bool:
        """Whether an accuracy is measured at all."""
        return self.accuracy != NO_ACCURACY

    @property
    def quality_metric(self) -> str:
        """What the source of accuracy says of a network: ``accuracy``, or of language models ``perplexity``."""
        return published.metric_of(self.accuracy)

    def simulated(self, design: Params) -> dict[str, float]:
        """Computes the costs of a design by the study's simulator.

        Args:
            design: Each active gene to its value.

        Returns:
            The costs that are kept, and of another simulator than cimbo's every number.
        """
        known = None
        if self.prepared:
            known = self.prepared.get(canonical_key(design))
        if known is not None:
            return dict(known)
        return self._simulated(design)

    def _simulated(self, design: Params) -> dict[str, float]:
        """The costs of ``design``, simulated now."""
        workload, chip = self.workload_of(design), self.chip_of(design)
        said = dict(self._simulator.simulate(workload, chip))
        answer = {name: getattr(workload, name) for name in NETWORK_SIZES} | said
        # A property of the chip alone; ours where the simulator gives none.
        if "area_mm2" not in answer and hardware.is_chip(chip):
            answer["area_mm2"] = hardware.area_mm2([chip])[0]
        answer = with_rates(answer, self.inference.batch)
        costs = {name: float(answer[name]) for name in self.costs_kept if name in answer}
        if self.simulator == "cimbo":
            return costs
        for name, value in said.items():
            number = None
            if not isinstance(value, bool):
                number = finite(value)
            if name not in costs and number is not None:
                costs[name] = number
        return costs

    @property
    def costs_kept(self) -> tuple[str, ...]:
        """Names of the costs that are kept of each design."""
        return (*COST_METRICS, *self.more_costs)

    def _interval(self, accuracy: float) -> dict[str, float]:
        """95 % confidence interval of an accuracy that was measured on a subset of the images, where the source gives one."""
        interval = getattr(self._accuracy, "interval", None)
        if interval:
            return dict(zip(("accuracy_low", "accuracy_high"), interval(accuracy), strict=True))
        return {}

    def check(self) -> None:
        """Raises BadInput when the network, the accuracy or the simulator is unknown or set up wrongly.

        An accuracy or a simulator that has a method ``check`` is asked: weights, classes, images, programs.
        """
        family = self._family
        if self.simulator != "cimbo" and family.workload(family.largest()).loop is not None:
            what = f"counts single runs, and {self.network} generates tokens"
            raise BadInput(f"simulator {self.simulator}", what, "use cimbo")
        self._check_stage_bits()
        parts: list[Any] = [self._simulator]
        if self.has_accuracy:
            parts.append(self._accuracy)  # which may load a learning library
            if self.stages:
                counted(self._accuracy, self.accuracy)
            if DIE_ACCURACY in self.more_costs and not hasattr(self._accuracy, DIE_ACCURACY):
                todo = "leave it out, or measure a shipped super-network"
                raise BadInput(DIE_ACCURACY, f"is not measured by {self.accuracy}", todo)
        for part in parts:
            check = getattr(part, "check", None)
            if callable(check):
                check()

    def keep_logs(self, folder: str) -> None:
        """Keeps what programs print from now on.

        Args:
            folder: Where, a file for each design.
        """
        self.log_folder = folder

    @property
    def measured_later(self) -> tuple[str, ...]:
        """Metrics that a search measures or computes besides what is tried before it."""
        if self.has_accuracy:
            return (self.quality_metric, DIE_ACCURACY, *RATE_METRICS, *NETWORK_SIZES)
        return (*RATE_METRICS, *NETWORK_SIZES)

    def try_first(self, designs: Sequence[Params]) -> None:
        """Simulates designs until one succeeds, so that a program that always fails is found out.

        Nothing happens where the simulator is no such program.

        Args:
            designs: What is tried, in order.

        Raises:
            BadInput: When all of them fail.
        """
        if getattr(self._simulator, "is_tried_first", False):
            where = f"simulator {self.simulator}"
            try_until_one_works(self._simulated, designs, where, self.prepared)

    def _check_stage_bits(self) -> None:
        """Raises BadInput where bits of stages are genes that the accuracy or the simulator would not see."""
        if not self.stage_bits:
            return
        what, todo = "knows nothing of bits that stages have of their own", "leave out precision"
        if self.has_accuracy and not getattr(self._accuracy, "rounds_stages", False):
            raise BadInput(f"accuracy {self.accuracy}", what, todo)
        if self.simulator in BLIND_TO_STAGE_BITS:
            raise BadInput(f"simulator {self.simulator}", what, todo)

    def fingerprint(self) -> Fingerprint:
        """Return what decides the numbers of this evaluator, as JSON: settings, content of files, versions."""
        return fingerprint(self)

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Takes in accuracies that were measured before, by whichever process.

        Args:
            design: Each active gene to its value.
            metrics: What was measured of it; an accuracy counts only where it was measured in full.
        """
        quality = self.quality_metric
        if quality in metrics and at_target_fidelity(metrics, quality):
            self.known[self._accuracy_key(design)] = metrics[quality]
        if DIE_ACCURACY in metrics:
            self.known_of_dies[self._accuracy_key(design)] = metrics[DIE_ACCURACY]

    def has_test(self) -> bool:
        """Whether there are images that the search never sees."""
        if not self.has_accuracy:
            return False
        return "test" in getattr(self._accuracy, "parts", ("validation", "test"))

    def is_placed(self, design: Mapping[str, Any]) -> bool:
        """Tells whether cimbo's chip model understands a design's chip.

        Args:
            design: Each active gene to its value.

        Returns:
            True where it does.
        """
        return hardware.is_chip(self.chip_of(design))

    def placed(self, design: Mapping[str, Any]) -> tuple[Workload, dict[str, Any]]:
        """Splits a design into its network and its chip.

        Args:
            design: Each active gene to its value.

        Returns:
            The network's layers, and the chip as a simulator takes it, fixed properties included.

        Raises:
            BadInput: When a gene of the network is missing or wrong.
        """
        return self.workload_of(design), self.chip_of(design)

    def on_test(self, design: Mapping[str, Any]) -> float:
        """Measures the accuracy on the test images, which the search never sees.

        Args:
            design: Each active gene to its value.

        Returns:
            Percent.
        """
        return self._accuracy.measure({**self.fixed, **design}, "test")

    def has_bit_accurate(self) -> bool:
        """Whether the accuracy can be measured with the errors of the arrays in their exact form."""
        if not self.has_accuracy:
            return False
        return array_forms.has_bit_accurate(self._accuracy.measure)

    def compare_forms(self, design: Mapping[str, Any], images: int) -> FormDifference:
        """Measures what bit-accurate arrays change in the accuracy on the first test images.

        Only an accuracy that `has_bit_accurate` can be asked.

        Args:
            design: Each active gene to its value.
            images: How many images both forms see.

        Returns:
            The difference; none, without measuring, where the arrays are digital.
        """
        if array_forms.is_exact_as_measured(self.chip_of(design)):
            return FormDifference(0.0, 0.0, images)
        return array_forms.compare_forms(self._accuracy, {**self.fixed, **design}, images)

    def bit_accurate_seconds(self, design: Mapping[str, Any], images: int) -> float:
        """Estimates how long the bit-accurate form of a design takes on one core.

        Args:
            design: Each active gene to its value.
            images: Images that are measured.

        Returns:
            Seconds; 0 where the arrays are digital.
        """
        workload, chip = self.placed(design)
        one_image = array_forms.bit_accurate_seconds(workload, chip, images)
        return one_image / self.inference.batch

    def bit_accurate_difference(self, design: Mapping[str, Any], images: int) -> float:
        """Measures how bit-accurate arrays change the accuracy, compared with equivalent noise.

        Only an accuracy that `has_bit_accurate` can be asked.

        Args:
            design: Each active gene to its value.
            images: How many test images are looked at, from the first.

        Returns:
            Points of percent; negative where bit-accurate arrays are worse.
        """
        return self.compare_forms(design, images).points

    def on_bit_accurate_arrays(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Measures the accuracy with the errors of the arrays in their exact form.

        Args:
            design: Each active gene to its value.
            part: "validation" or "test".

        Returns:
            Percent.

        Raises:
            BadInput: When the accuracy knows no such form.
        """
        if not self.has_bit_accurate():
            raise BadInput(
                f"accuracy {self.accuracy!r}",
                "has no exact form of the arrays' errors",
                "leave out --bit-accurate",
            )
        measure: Callable[..., float] = self._accuracy.measure
        return measure({**self.fixed, **design}, part, exact=True)

    def at_converter_noise(self, noise_lsb: float) -> JointEvaluator:
        """Makes the same evaluation with another noise of the converters.

        Args:
            noise_lsb: How much a converter's readings vary, in its steps.

        Returns:
            A new evaluator, which knows none of this one's accuracies.
        """
        options = {**self.accuracy_options, "converters": "described", "noise_lsb": noise_lsb}
        return replace(self, accuracy_options=options, known={}, known_of_dies={})

    def on_some_images(self, design: Mapping[str, Any], images: int) -> float:
        """Measures the accuracy on a part of the validation images.

        Only a source whose ``measure`` takes a number of images can be asked.

        Args:
            design: Each active gene to its value.
            images: How many, from the first.

        Returns:
            Percent.
        """
        measure: Callable[..., float] = self._accuracy.measure
        return measure({**self.fixed, **design}, images=images)

    @property
    def features(self) -> CostFeatures:
        """What is known of designs' costs without simulating them."""
        return CostFeatures(self)

    @property
    def sizes(self) -> NetworkSizes:
        """What is known of designs' accuracy without measuring it."""
        return NetworkSizes(self)

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on; those of the network where none is measured."""
        if not self.has_accuracy:
            return frozenset(self._architecture)
        return frozenset({*self._architecture, *self._accuracy.genes})

    def analytic_costs(self) -> dict[str, AnalyticCost]:
        """Costs that can be computed rather than modelled; none when another simulator than ours is asked."""
        if self.simulator != "cimbo":
            return {}
        return {name: AnalyticCost(self, name) for name in self.costs_kept}

    exact = analytic_costs  # its name until 0.2

    def seconds_a_design(self, designs: list[Params]) -> float:
        """Measures how long the simulator takes for a design.

        Args:
            designs: What is simulated, at least one.

        Returns:
            Seconds of the quickest, as other programs may be running.
        """
        seconds = []
        for design in designs:
            start = time.perf_counter()
            self._simulator.simulate(self.workload_of(design), self.chip_of(design))
            seconds.append(time.perf_counter() - start)
        return min(seconds)

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
        """Finds the networks and chips of a space; those of one space are kept.

        Args:
            space: The space whose rows are asked for.

        Returns:
            What decodes its rows.
        """
        parts = self.__dict__.get("_parts")
        if parts is None or parts.space is not space:
            is_architecture = np.array([name in self._architecture for name in space.names])
            parts = DesignParts(space, is_architecture, self.workload_of, self.fixed)
            self.__dict__["_parts"] = parts
        return parts

    def chip_of(self, design: Mapping[str, Any]) -> dict[str, Any]:
        """Takes the chip out of a design.

        Args:
            design: Each active gene to its value.

        Returns:
            The genes that are none of the network, and the properties that every chip has.
        """
        return {**self.fixed, **{k: v for k, v in design.items() if k not in self._architecture}}

    def _accuracy_key(self, design: Mapping[str, Any]) -> str:
        shaping = self.accuracy_genes()
        return json.dumps({k: v for k, v in design.items() if k in shaping}, sort_keys=True)

    def workload_of(self, design: Mapping[str, Any]) -> Workload:
        """Makes the layers of a design's network; those of one network are made once.

        Args:
            design: Each active gene to its value.

        Returns:
            The layers, with counts of the whole batch.

        Raises:
            BadInput: When a gene of the network is missing or wrong.
        """
        key = tuple(design.get(name) for name in self._architecture)
        found = self._workloads.get(key)
        if found is None:
            if len(self._workloads) >= MOST_KEPT_WORKLOADS:
                self._workloads.clear()
            found = self._workloads[key] = self._family.workload(design)
        return found

    @cached_property
    def _workloads(self) -> dict[tuple[Any, ...], Workload]:
        return {}

    @cached_property
    def _architecture(self) -> dict[str, None]:
        return dict.fromkeys(c.name for c in self._family.choices())  # a set that keeps its order

    @cached_property
    def _family(self) -> Network:
        asked = with_settings(network(self.network, self.sizes_of_file), self.inference)
        return with_stage_bits(asked, self.stage_bits)

    @cached_property
    def _accuracy(self) -> Accuracy:
        return accuracy_source(self.accuracy, self.accuracy_options)

    @cached_property
    def _simulator(self) -> Simulator:
        return simulator(self.simulator, **self.options)

    def __getstate__(self) -> dict[str, Any]:
        """To another process go the settings and what is known, not the loaded networks."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}


def with_rates(costs: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """Adds to the costs of a run those of each inference in it, where the simulator says none.

    Args:
        costs: Costs of the run; latency in ms, energy in uJ.
        batch: Inferences in a run.

    Returns:
        A new dict with ``inferences_per_s`` and ``energy_per_inference_uj`` where they can be
        computed.
    """
    found = dict(costs)
    if costs.get("latency_ms"):
        found.setdefault("inferences_per_s", 1e3 * batch / costs["latency_ms"])
    if "energy_uj" in costs:
        found.setdefault("energy_per_inference_uj", costs["energy_uj"] / batch)
    return found
