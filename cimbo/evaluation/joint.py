"""Evaluates joint designs: measures the accuracy of the network, and simulates it on the chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.answers import (
    ACCURACY,
    a_share,
    is_like_a_share,
    warn_of_a_share,
)
from cimbo.evaluation.batched import NetworkSizes
from cimbo.evaluation.fingerprint import Fingerprint, fingerprint
from cimbo.evaluation.gene_notes import GeneNotes
from cimbo.evaluation.known_accuracies import KnownAccuracies
from cimbo.evaluation.low_fidelity import LowFidelities
from cimbo.evaluation.measured_accuracy import DIE_ACCURACY
from cimbo.evaluation.measured_with_settings import MeasuredWithSettings
from cimbo.evaluation.programs import logs
from cimbo.evaluation.programs.trying import try_until_one_works
from cimbo.evaluation.racing import check_stages, counted
from cimbo.evaluation.simulated_costs import COST_METRICS, MORE_COSTS
from cimbo.problem.fidelity import Race
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.space import Params, canonical_key
from cimbo.workloads.inference import InferenceSettings

BLIND_TO_STAGE_BITS = ("accelforge",)  # simulators that count every layer at the bits of the chip
JOINT_METRICS = ("accuracy", *COST_METRICS, *MORE_COSTS, DIE_ACCURACY)


@dataclass
class JointEvaluator(MeasuredWithSettings):
    """Evaluates a design, a flat dict of genes: accuracy, latency_ms, energy_uj, area_mm2.

    An accuracy depends on few genes of the chip, so one measurement serves all chips that agree in them, and ``known``
    accuracies are not measured again. Which genes these are, the source of accuracy declares, or ``told_genes`` does;
    else they are those that the source was seen to look up (``notes``), or all ``chip_genes`` while that is not known.

    Attributes:
        network: Name or file of the network.
        accuracy: Name of the source of accuracy; "none": only costs are measured.
        simulator: Name of the simulator.
        options: Options of the simulator.
        fixed: Properties of every chip that are no genes of the search.
        known: Accuracies that were measured.
        accuracy_options: Options of the source of accuracy.
        sizes_of_file: Free sizes of a network that is an ONNX file.
        inference: Batch, sequence lengths and the like of a run.
        more_costs: Costs that are kept of each design besides COST_METRICS. Of another simulator than cimbo's every
            number is kept.
        prepared: Costs of designs that were simulated ahead of their turn, by key of the design.
        prepared_seconds: Time that these simulations took, by key.
        wanted: Metrics that the study needs.
        log_folder: Where the output of programs is kept; None: nowhere.
        stage_bits: Values that the bits of a stage or block may have where they are genes.
        parts: Accuracies on a part of the images, from measurements that were stopped.
        stages: Numbers of images after which a hopeless measurement is stopped, see `cimbo.evaluation.racing`.
        race: The best designs so far, which a design has to beat; set by the study.
        low_fidelities: Cheaper settings of the simulator or of the accuracy that come before those of the full measurement.
        notes: Genes that the source of accuracy was seen to look up.
        chip_genes: Names of the chip's genes that are searched.
        told_genes: Genes of the chip that the study declares the accuracy to depend on; None: it declares nothing.
        files: Files that the accuracy reads, which count by their content in the fingerprint.
        simulator_files: Files that the simulator reads, likewise.
        roles: Meaning of the properties of another simulator's chips, see `cimbo.hardware.role_features`.
    """

    network: str
    accuracy: str
    simulator: str = "cimbo"
    options: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    known: KnownAccuracies = field(default_factory=KnownAccuracies)
    accuracy_options: Mapping[str, Any] = field(default_factory=dict)
    sizes_of_file: Mapping[str, int] = field(default_factory=dict)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    more_costs: tuple[str, ...] = ()
    prepared: dict[str, Mapping[str, float]] = field(default_factory=dict)
    prepared_seconds: dict[str, float] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    log_folder: str | None = None
    stage_bits: tuple[int, ...] = ()
    parts: KnownAccuracies = field(default_factory=KnownAccuracies)
    stages: tuple[int, ...] = ()
    race: Race | None = None
    low_fidelities: LowFidelities | None = None
    notes: GeneNotes = field(default_factory=GeneNotes)
    chip_genes: tuple[str, ...] = ()
    told_genes: tuple[str, ...] | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    simulator_files: tuple[str, ...] = ()

    def __call__(self, design: Params) -> dict[str, float]:
        """Evaluate a design, given as its active genes: costs, and the accuracy if one is measured."""
        with logs.log_of(self.log_folder, design):
            return self._evaluate(design)

    def _evaluate(self, design: Params) -> NotedMetrics:
        """The metrics of a design, with notes of what its accuracy depended on and what cheaper settings gave."""
        if self._stages_of("simulator") is not None:
            return self._with_simulation_in_stages(design)
        costs = self.simulated(design)  # first: it is quick, and may fail
        if not self.has_accuracy:
            return NotedMetrics(costs)
        quality = self._measured_quality(design, costs)
        return NotedMetrics({**quality, **costs}, quality.about)

    def race_against(self, race: Race) -> None:
        """Set what a measurement has to beat from now on.

        Args:
            race: The best designs so far; ignored where nothing is measured in stages.
        """
        self.race = race if self.stages else None
        if self.low_fidelities is not None:
            self.low_fidelities.race = race

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
        if self.stages and not self.has_accuracy:
            raise BadInput("fidelity", "needs an accuracy, and none is measured", "leave it out")
        if self.has_accuracy:
            parts.append(self._accuracy)  # asked for only here: it may load a learning library
            if self.stages:
                check_stages(counted(self._accuracy, self.accuracy), self.stages)
            self._check_settings()
            if DIE_ACCURACY in self.more_costs and not self._may_give(DIE_ACCURACY):
                todo = "leave it out, or measure a shipped super-network"
                raise BadInput(DIE_ACCURACY, f"is not measured by {self.accuracy}", todo)
        for part in parts:
            check = getattr(part, "check", None)
            if callable(check):
                check()

    def keep_logs(self, folder: str) -> None:
        """Keep what programs print from now on.

        Args:
            folder: Where the log of each design is written.
        """
        self.log_folder = folder

    def _may_give(self, metric: str) -> bool:
        """Whether the source of accuracy may give a metric.

        It does if it has a method of that name. Of a user's function this shows only when it is called.

        Returns:
            False where it certainly does not.
        """
        return hasattr(self._accuracy, metric) or hasattr(self._accuracy, "answer")

    def try_first(self, designs: Sequence[Params]) -> None:
        """Try a user's own simulator and accuracy on designs until each succeeds once.

        So code that always fails is found before a search. Nothing happens for cimbo's own code. What
        was measured here is not measured again.

        Args:
            designs: What is tried, in order; for an accuracy, those with most genes come first.

        Raises:
            BadInput: When all of them fail.
        """
        super().try_first(designs)
        self._try_settings(designs)
        if self.has_accuracy and getattr(self._accuracy, "is_tried_first", False):
            ordered = sorted(designs, key=len, reverse=True)
            self._try_accuracy(ordered)

    def _try_accuracy(self, designs: Sequence[Params]) -> None:
        """Measure the accuracy of designs until one succeeds. Raises BadInput where all fail."""
        for design in designs:
            if self.known.find(design, self.quality_metric) is not None:
                return
        where = f"accuracy {self.accuracy}"
        tried: dict[str, Mapping[str, float]] = {}
        try_until_one_works(
            self._tried_accuracy,
            designs,
            where,
            tried,
            self.prepared_seconds,
        )
        for metrics in tried.values():
            self._check_no_share(where, metrics, designs)
        if self.simulator == "cimbo":
            for design in designs:
                if canonical_key(design) in tried:
                    self.prepared[canonical_key(design)] = self._simulated(design)

    def _check_no_share(
        self, where: str, metrics: Mapping[str, float], designs: Sequence[Params]
    ) -> None:
        """Raises BadInput where an accuracy is below 1 percent, and so is that of all other designs: a share."""
        accuracy = metrics.get(ACCURACY)
        if accuracy is None or not is_like_a_share(accuracy):
            return
        known = []
        for design in designs:
            try:
                known.append(self._known_or_measured(design).metrics[ACCURACY])
            except Exception:  # noqa: S112 (of a user's code; the search records why a design fails)
                continue
        if all(map(is_like_a_share, known)):
            raise a_share(where, known)
        warn_of_a_share(where, accuracy)

    @property
    def measured_later(self) -> tuple[str, ...]:
        """Names of metrics that appear in a search but not in what `try_first` has measured."""
        if self.has_accuracy:
            return tuple(self.quality_metrics)
        return ()

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
        """Make the same evaluator with another noise of the converters.

        Args:
            noise_lsb: Standard deviation of a converter's readings, in its steps.

        Returns:
            A new evaluator, which knows none of this one's accuracies.
        """
        options = {**self.accuracy_options, "converters": "described", "noise_lsb": noise_lsb}
        return replace(self, accuracy_options=options, known=KnownAccuracies(), low_fidelities=None)

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of networks, as features from which a surrogate predicts their accuracy."""
        return NetworkSizes(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is loaded (names with _): another process loads it anew."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
