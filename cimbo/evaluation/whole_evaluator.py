"""The base of evaluators that are a user's own as a whole: a function or a program that takes genes and returns all metrics.

No layers are known, no costs can be computed, and there are no images: a command that needs one of these is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from cimbo.errors import BadInput
from cimbo.evaluation.fingerprint import Fingerprint, by_content
from cimbo.evaluation.low_fidelity import COST_IN_FULL, NO_SETTINGS, LowFidelities
from cimbo.evaluation.programs import logs
from cimbo.evaluation.programs.trying import try_until_one_works
from cimbo.problem.fidelity import Race
from cimbo.problem.space import Params, canonical_key


class WholeEvaluator(ABC):
    """An evaluator that returns all metrics of a design at once.

    Attributes:
        prepared: Metrics of designs that were evaluated ahead of their turn, by key.
        prepared_seconds: What these evaluations took, by key.
        fixed: What every design is told besides its genes.
        low_fidelities: Cheaper settings that designs are measured with before they are measured in full; None for none.
        wanted: Metrics that the study needs.
        files: Files and folders that it reads and that count by their content.
        log_folder: Where what programs print is kept; None for nowhere.
    """

    simulator = "evaluator"
    accuracy = "evaluator"
    network = ""

    def __init__(self) -> None:
        self.prepared: dict[str, Mapping[str, float]] = {}
        self.prepared_seconds: dict[str, float] = {}
        self.fixed: dict[str, Any] = {}
        self.low_fidelities: LowFidelities | None = None
        self.wanted: tuple[str, ...] = ()
        self.files: tuple[str, ...] = ()
        self.log_folder: str | None = None

    def __call__(self, design: Params) -> Mapping[str, float]:
        """Evaluate a design, given as its active genes, or look it up if it is prepared."""
        if self.low_fidelities is not None:
            key = canonical_key(design)
            return self.low_fidelities.measure(key, design, partial(self.measured_with, design))
        return self.measured_with(design, NO_SETTINGS)

    def measured_with(self, design: Params, settings: Mapping[str, Any]) -> Mapping[str, float]:
        """Evaluate a design with settings in place of fixed ones, or look that up if it is prepared.

        Args:
            design: Each active gene to its value.
            settings: By name; those of the full measurement are left out.

        Returns:
            The metrics by name.
        """
        told = {**design, **settings}
        known = self.prepared.get(canonical_key(told))
        if known is not None:
            return known
        with logs.log_of(self.log_folder, design):
            return self._evaluate({**self.fixed, **told})

    @abstractmethod
    def _evaluate(self, design: Params) -> Mapping[str, float]:
        """The metrics of ``design``, measured now."""

    @abstractmethod
    def check(self) -> None:
        """Raises BadInput when it cannot be called here."""

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """What decides the numbers of this evaluator, as JSON."""

    def keep_logs(self, folder: str) -> None:
        """Keeps what programs print from now on.

        Args:
            folder: Where, a file for each design.
        """
        self.log_folder = folder

    def try_first(self, designs: Sequence[Params]) -> None:
        """Evaluates designs until one succeeds; what was measured is not measured again.

        Args:
            designs: What is tried, in order.

        Raises:
            BadInput: When all of them fail.
        """
        try_until_one_works(self._tried, designs, "evaluator", self.prepared, self.prepared_seconds)

    def _tried(self, design: Params) -> Mapping[str, float]:
        """Evaluate a design in full, and before that with all cheaper settings."""
        if self.low_fidelities is not None:
            key, measure = canonical_key(design), partial(self.measured_with, design)
            for stage in self.low_fidelities.stages:
                self.low_fidelities.value(key, design, stage, measure)
            full = self.measured_with(design, NO_SETTINGS)
            self.low_fidelities.warn_of_missing(key, full, self.wanted)
            return full
        return self.measured_with(design, NO_SETTINGS)

    def race_against(self, race: Race) -> None:
        """Set what a measurement has to be worth from now on.

        Args:
            race: The best designs so far; ignored where nothing is measured with cheaper settings.
        """
        if self.low_fidelities is not None:
            self.low_fidelities.race = race

    def cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        """Say what measuring a design in full costs after cheaper settings.

        Args:
            metrics: Ignored: the full measurement begins anew.

        Returns:
            The cost, as a share of one full evaluation; None where no cheaper settings come first.
        """
        if self.low_fidelities is None:
            return None
        return COST_IN_FULL

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Take in what cheaper settings gave of a design, and what the full measurement gave.

        Args:
            design: Each active gene to its value.
            metrics: The metrics of its evaluation, with the note of what cheaper settings gave.
        """
        if self.low_fidelities is not None:
            self.low_fidelities.learn(canonical_key(dict(design)), metrics)

    def has_test(self) -> bool:
        """Whether there are images that the search never sees."""
        return False

    def has_bit_accurate(self) -> bool:
        """Whether the accuracy can be measured on bit-accurate arrays."""
        return False

    def analytic_costs(self) -> dict[str, Any]:
        """Costs that can be computed while searching: none."""
        return {}

    def is_placed(self, design: Mapping[str, Any]) -> bool:
        """Says that cimbo's chip model does not understand a design.

        Args:
            design: Ignored: nothing is known of its layers.

        Returns:
            False.
        """
        return False

    def placed(self, design: Mapping[str, Any]) -> NoReturn:
        """Refuses to split a design.

        Args:
            design: Ignored.

        Raises:
            BadInput: Always: no layers are known.
        """
        raise self._lacking("layers")

    def on_test(self, design: Mapping[str, Any]) -> NoReturn:
        """Refuses to measure an accuracy on test images.

        Args:
            design: Ignored.

        Raises:
            BadInput: Always: no images are known.
        """
        raise self._lacking("test images")

    def on_bit_accurate_arrays(
        self, design: Mapping[str, Any], part: str = "validation"
    ) -> NoReturn:
        """Refuses to measure an accuracy on bit-accurate arrays.

        Args:
            design: Ignored.
            part: Ignored.

        Raises:
            BadInput: Always: no arrays are known.
        """
        raise self._lacking("bit-accurate arrays")

    def bit_accurate_difference(self, design: Mapping[str, Any], images: int) -> NoReturn:
        """Refuses to compare with bit-accurate arrays.

        Args:
            design: Ignored.
            images: Ignored.

        Raises:
            BadInput: Always: no arrays are known.
        """
        raise self._lacking("bit-accurate arrays")

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on: none is known to."""
        return frozenset()

    def simulated(self, design: Params) -> NoReturn:
        """Refuses to compute costs alone.

        Args:
            design: Ignored.

        Raises:
            BadInput: Always: costs are no part of their own.
        """
        raise self._lacking("costs without the rest")

    def costs(self, designs: list[Params]) -> NoReturn:
        """Refuses to compute costs by cimbo's own model.

        Args:
            designs: Ignored.

        Raises:
            BadInput: Always: no costs can be computed.
        """
        raise self._lacking("costs of cimbo's own model")

    def _told_besides(self) -> dict[str, Any]:
        """The entry of a fingerprint for what every design is told besides its genes; empty where that is nothing."""
        if not self.fixed:
            return {}
        return {"fixed": by_content(self.fixed)}

    def _lacking(self, what: str) -> BadInput:
        """The error for what an evaluator of this kind does not have."""
        todo = "this needs a study with [network] and a simulator"
        return BadInput("evaluator", f"gives no {what}", todo)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is loaded (names with _): another process loads it anew."""
        state = {}
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                state[name] = value
        return state
