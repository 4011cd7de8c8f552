"""Measures the simulation or the accuracy of designs with cheaper settings first (`cimbo.evaluation.low_fidelity`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cimbo.errors import naming
from cimbo.evaluation.low_fidelity import COST_IN_FULL, LowFidelities, Owner
from cimbo.evaluation.measured_accuracy import DIE_ACCURACY
from cimbo.evaluation.measured_in_stages import MeasuredInStages
from cimbo.problem.fidelity import Race
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.space import Params, canonical_key


class MeasuredWithSettings(MeasuredInStages):
    """The part of a joint evaluator that tries cheaper settings; its attributes are described there (`JointEvaluator`)."""

    race: Race | None
    low_fidelities: LowFidelities | None

    def _with_simulation_in_stages(self, design: Params) -> NotedMetrics:
        """The metrics of a design whose costs are simulated with cheaper settings first."""
        low_fidelities = self._stages_of("simulator")
        assert low_fidelities is not None
        measured: list[NotedMetrics] = []

        def quality() -> NotedMetrics:
            """Measure the accuracy, once: the simulation comes before, for it may fail."""
            if not self.has_accuracy:
                return NotedMetrics({})
            if not measured:
                measured.append(self._measured_quality(design, {}))
            return measured[0]

        key = canonical_key(design)
        costs = low_fidelities.measure(key, design, partial(self._simulated_with, design), quality)
        return NotedMetrics({**quality(), **costs}, {**quality().about, **costs.about})

    def _simulated_with(self, design: Params, settings: Mapping[str, Any]) -> dict[str, float]:
        """The costs of a design, simulated with settings in place of fixed properties of its chip."""
        return self.simulated({**design, **settings})

    def _measured_quality(self, design: Params, costs: Mapping[str, float]) -> NotedMetrics:
        """The accuracy, and that of dies where the study wants it, with what is known of their errors."""
        quality = self._measured_accuracy(design, costs)
        if DIE_ACCURACY in quality:
            return quality
        return NotedMetrics({**quality, **self._of_dies(design, quality)}, quality.about)

    def measured_with(self, design: Params, settings: Mapping[str, Any]) -> Mapping[str, float]:
        """Measure what cheaper settings make cheaper.

        Args:
            design: Each active gene to its value.
            settings: Of the simulator or of the source of accuracy, by name.

        Returns:
            Costs, or the accuracy.
        """
        if self._stages_of("simulator") is not None:
            return self._simulated_with(design, settings)
        return self._accuracy_with(design, settings)

    def _stages_of(self, owner: Owner) -> LowFidelities | None:
        """The cheaper settings of the simulator or of the accuracy; None where that has none."""
        if self.low_fidelities is not None and self.low_fidelities.owner == owner:
            return self.low_fidelities
        return None

    def _measured_accuracy(self, design: Params, costs: Mapping[str, float]) -> NotedMetrics:
        """The accuracy, or other quality of the network, and what is known of its error.

        An accuracy that is known already is not measured again. With ``stages`` and a ``race``,
        measuring stops at the first stage at which the design can no longer beat the front.

        Returns:
            The metrics by name.
        """
        if self.stages and self.race is not None:
            return NotedMetrics(self._counted_accuracy(design, costs, self.race))
        is_known = self.known.find(design, self.quality_metric) is not None
        if not is_known and self._stages_of("accuracy") is not None:
            return self._accuracy_in_stages(design, costs)
        return self._full_accuracy(design)

    def _full_accuracy(self, design: Params) -> NotedMetrics:
        """The accuracy on all images with the settings of the full measurement, known or measured now."""
        finding = self._known_or_measured(design)
        interval = self._interval(finding.metrics[self.quality_metric])
        return NotedMetrics({**finding.metrics, **interval}, self._about(finding))

    def _accuracy_in_stages(self, design: Params, costs: Mapping[str, float]) -> NotedMetrics:
        """The accuracy of a design, measured with cheaper settings first."""
        low_fidelities = self._stages_of("accuracy")
        assert low_fidelities is not None

        def measure(settings: Mapping[str, Any]) -> Mapping[str, float]:
            """Measure the accuracy of the design with settings of its source."""
            if settings:
                return self._accuracy_with(design, settings)
            full = self._full_accuracy(design)
            return NotedMetrics({**full, **self._of_dies(design, full)}, full.about)

        return low_fidelities.measure(
            self._accuracy_key(design), design, measure, lambda: dict(costs)
        )

    def _accuracy_key(self, design: Params) -> str:
        """What designs have in common that have the same accuracy."""
        genes = self.accuracy_genes()
        return canonical_key({name: value for name, value in design.items() if name in genes})

    def cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        """Compute what going on with a stopped measurement costs.

        Args:
            metrics: The metrics of the design so far.

        Returns:
            The cost, as a share of one full evaluation: of one more stage of images, or of the full
            measurement after cheaper settings. None where measurements are not continued.
        """
        if self.low_fidelities is not None:
            return COST_IN_FULL
        return super().cost_of_continuing(metrics)

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Take in accuracies that were measured before, and what cheaper settings gave.

        Args:
            design: Each active gene to its value.
            metrics: The metrics of its evaluation, with their notes.
        """
        super().remember(design, metrics)
        if self.low_fidelities is None:
            return
        if self.low_fidelities.owner == "accuracy":
            key = self._accuracy_key(dict(design))
        else:
            key = canonical_key(dict(design))
        self.low_fidelities.learn(key, metrics)

    def _check_settings(self) -> None:
        """Raises BadInput where the source of accuracy does not take the settings of a cheaper measurement."""
        low_fidelities = self._stages_of("accuracy")
        if low_fidelities is None:
            return
        for stage in low_fidelities.stages:
            with naming("fidelity.set"):
                self._source_with(stage.settings)

    def _try_settings(self, designs: Sequence[Params]) -> None:
        """Simulate the design that was simulated first with cheaper settings, too; a mistake in them is found so."""
        low_fidelities = self._stages_of("simulator")
        if low_fidelities is None:
            return
        for design in designs:
            key = canonical_key(design)
            if key in self.prepared:
                measure = partial(self._simulated_with, design)
                for stage in low_fidelities.stages:
                    low_fidelities.value(key, design, stage, measure)
                low_fidelities.warn_of_missing(key, self.prepared[key], self.wanted)

    def _tried_accuracy(self, design: Params) -> Mapping[str, float]:
        """The accuracy of a design, measured with all cheaper settings before."""
        low_fidelities = self._stages_of("accuracy")
        if low_fidelities is not None:
            key, measure = self._accuracy_key(design), partial(self._accuracy_with, design)
            for stage in low_fidelities.stages:
                low_fidelities.value(key, design, stage, measure)
        return self._known_or_measured(design).metrics
