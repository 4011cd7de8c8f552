"""The real evaluation of a joint design: its accuracy measured, its chip simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.batched import NETWORK_SIZES, NetworkSizes
from cimbo.evaluation.fingerprint import Fingerprint, fingerprint
from cimbo.evaluation.measured_accuracy import DIE_ACCURACY, MeasuredAccuracy
from cimbo.evaluation.programs import logs
from cimbo.evaluation.racing import counted, raced
from cimbo.evaluation.simulated_costs import COST_METRICS, MORE_COSTS, RATE_METRICS
from cimbo.problem.fidelity import Race
from cimbo.problem.space import Params
from cimbo.workloads.inference import InferenceSettings

BLIND_TO_STAGE_BITS = ("accelforge",)  # simulators that count every layer at the bits of the chip
JOINT_METRICS = ("accuracy", *COST_METRICS, *MORE_COSTS, DIE_ACCURACY)


@dataclass
class JointEvaluator(MeasuredAccuracy):
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
        costs = self.simulated(design)  # first: it is quick, and may fail
        if not self.has_accuracy:
            return costs
        return {**self._measured_accuracy(design, costs), **self._of_dies(design), **costs}

    def _measured_accuracy(self, design: Params, costs: Mapping[str, float]) -> dict[str, float]:
        """The accuracy, or other quality of the network, and what is known of its error.

        An accuracy that is known already is not measured again. With ``stages`` and a ``race``,
        measuring stops at the first stage at which the design can no longer beat the front.

        Returns:
            The metrics by name.
        """
        value = self.known.get(self._accuracy_key(design))
        if value is None and self.stages and self.race is not None:
            source = counted(self._accuracy, self.accuracy)
            return raced(source, design, self.fixed, self.stages, self.race, costs)
        if value is None:
            value = self._accuracy.measure({**self.fixed, **design})
        return {self.quality_metric: value, **self._interval(value)}

    def race_against(self, race: Race) -> None:
        """Takes in what a measurement has to beat from now on.

        Args:
            race: The best designs so far; ignored where the accuracy is not measured in stages.
        """
        self.race = race if self.stages else None

    def check(self) -> None:
        """Refuse an evaluation that is set up wrongly.

        An accuracy or a simulator that has a method ``check`` is asked: weights, classes, images, programs.

        Raises:
            BadInput: When the network, the accuracy or the simulator is unknown or set up wrongly.
        """
        family = self._family
        if self.simulator != "cimbo" and family.workload(family.largest()).loop is not None:
            what = f"counts single runs, and {self.network} generates tokens"
            raise BadInput(f"simulator {self.simulator}", what, "use cimbo")
        self._check_stage_bits()
        parts: list[Any] = [self._simulator]
        if self.has_accuracy:
            parts.append(self._accuracy)  # asked for only here: it may load a learning library
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

    def at_converter_noise(self, noise_lsb: float) -> JointEvaluator:
        """Makes the same evaluation with another noise of the converters.

        Args:
            noise_lsb: How much a converter's readings vary, in its steps.

        Returns:
            A new evaluator, which knows none of this one's accuracies.
        """
        options = {**self.accuracy_options, "converters": "described", "noise_lsb": noise_lsb}
        return replace(self, accuracy_options=options, known={}, known_of_dies={})

    @property
    def sizes(self) -> NetworkSizes:
        """What is known of designs' accuracy without measuring it."""
        return NetworkSizes(self)

    def __getstate__(self) -> dict[str, Any]:
        """To another process go the settings and what is known, not the loaded networks."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
