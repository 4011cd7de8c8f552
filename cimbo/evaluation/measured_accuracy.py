"""The accuracy of designs, in either form of their arrays' errors: the network's side of a joint evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation import array_forms
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import accuracy_source
from cimbo.evaluation.array_forms import FormDifference
from cimbo.evaluation.simulated_costs import SimulatedCosts
from cimbo.plugins import Accuracy
from cimbo.problem.objectives import at_target_fidelity
from cimbo.problem.space import Params

DIE_ACCURACY = "accuracy_p05"
"""The accuracy that 95 % of the dies of a design reach, measured where a study asks for it."""
NO_ACCURACY = "none"  # the source of accuracy of a study that measures costs alone


class MeasuredAccuracy(SimulatedCosts):
    """What a joint evaluation knows of accuracies; the settings are those of `cimbo.evaluation.joint.JointEvaluator`."""

    accuracy: str
    accuracy_options: Mapping[str, Any]
    known: dict[str, float]
    known_of_dies: dict[str, float]

    @property
    def has_accuracy(self) -> bool:
        """Whether an accuracy is measured at all."""
        return self.accuracy != NO_ACCURACY

    @property
    def quality_metric(self) -> str:
        """What the source of accuracy says of a network: ``accuracy``, or of language models ``perplexity``."""
        return published.metric_of(self.accuracy)

    def _interval(self, accuracy: float) -> dict[str, float]:
        """95 % confidence interval of an accuracy that was measured on a subset of the images, where the source gives one."""
        interval = getattr(self._accuracy, "interval", None)
        if interval:
            return dict(zip(("accuracy_low", "accuracy_high"), interval(accuracy), strict=True))
        return {}

    def _of_dies(self, design: Params) -> dict[str, float]:
        """The accuracy that 95 % of dies reach, where the study asks for it."""
        if DIE_ACCURACY not in self.more_costs:
            return {}
        key = self._accuracy_key(design)
        if key not in self.known_of_dies:
            measure: Callable[..., float] = getattr(self._accuracy, DIE_ACCURACY)
            self.known_of_dies[key] = measure({**self.fixed, **design})
        return {DIE_ACCURACY: self.known_of_dies[key]}

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

    def error_losses(self, design: Mapping[str, Any]) -> Mapping[str, Any]:
        """Measures what a design loses to each cause of its arrays' errors, and in which layer.

        Args:
            design: Each active gene to its value.

        Returns:
            JSON: ``images``, ``in_float``, ``as_described`` and ``losses``, see
            `cimbo.evaluation.accuracy.error_losses`.

        Raises:
            BadInput: When the accuracy knows no causes.
        """
        measure = None
        if self.has_accuracy:
            measure = getattr(self._accuracy, "error_losses", None)
        if measure is None:
            todo = "measure the accuracy of a shipped super-network"
            raise BadInput(f"accuracy {self.accuracy!r}", "knows no causes of errors", todo)
        found: Mapping[str, Any] = measure({**self.fixed, **design}, self.workload_of(design))
        return found

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

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on; those of the network where none is measured."""
        if not self.has_accuracy:
            return frozenset(self._architecture)
        return frozenset({*self._architecture, *self._accuracy.genes})

    def _accuracy_key(self, design: Mapping[str, Any]) -> str:
        shaping = self.accuracy_genes()
        return json.dumps({k: v for k, v in design.items() if k in shaping}, sort_keys=True)

    @cached_property
    def _accuracy(self) -> Accuracy:
        return accuracy_source(self.accuracy, self.accuracy_options)
