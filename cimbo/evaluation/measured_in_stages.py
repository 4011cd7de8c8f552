"""Measures accuracies on some of their images first, and goes on from there: no image is looked at twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cimbo.evaluation.accuracy.answers import ACCURACY
from cimbo.evaluation.known_accuracies import KnownAccuracies
from cimbo.evaluation.measured_accuracy import MeasuredAccuracy
from cimbo.evaluation.racing import (
    IMAGES_NAME,
    RIGHT_NAME,
    CountedImages,
    RankedAccuracy,
    counted,
    next_stage_cost,
    raced,
)
from cimbo.problem.fidelity import Race
from cimbo.problem.objectives import at_target_fidelity
from cimbo.problem.space import Params


class MeasuredInStages(MeasuredAccuracy):
    """The part of a joint evaluator that counts images in stages; its attributes are described there (`JointEvaluator`)."""

    parts: KnownAccuracies
    stages: tuple[int, ...]

    def _counted_accuracy(
        self, design: Params, costs: Mapping[str, float], race: Race
    ) -> dict[str, float]:
        """The accuracy in stages, with the number of images; no image is looked at again."""
        source = counted(self._accuracy, self.accuracy)
        counts = self._images_counted(design)
        measured = raced(source, design, self.fixed, self.stages, race, costs, counts)
        self.remember(design, measured)
        if at_target_fidelity(measured, self.quality_metric):
            measured |= self._interval(measured[self.quality_metric])
        return measured

    def _images_counted(self, design: Mapping[str, Any]) -> CountedImages:
        """What was counted before, of this design or of another chip with the same accuracy."""
        in_full = self.known.find(design, self.quality_metric)
        if in_full is not None:
            images = counted(self._accuracy, self.accuracy).image_count()
            accuracy = in_full.metrics[self.quality_metric]
            return CountedImages.of({ACCURACY: accuracy, IMAGES_NAME: images})
        known = self.parts.find(design, IMAGES_NAME)
        if known is None:
            return CountedImages()
        return CountedImages.of(known.metrics)

    def cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        """Compute what going on with a stopped measurement by one stage costs.

        Args:
            metrics: The metrics of the design so far.

        Returns:
            The cost, as a share of one full evaluation; None where measurements are not continued.
        """
        if not self.stages:
            return None
        total = counted(self._accuracy, self.accuracy).image_count()
        return next_stage_cost(CountedImages.of(metrics).seen, self.stages, total)

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Take in accuracies that were measured before, perhaps by another process.

        Args:
            design: Each active gene to its value.
            metrics: The metrics of its evaluation. Of an accuracy that was measured on a part of its
                images, their number counts, so that none is looked at again.
        """
        super().remember(design, metrics)
        images = metrics.get(IMAGES_NAME, 0.0)
        if images and images > self._images_counted(design).seen:
            part = {ACCURACY: metrics[ACCURACY], IMAGES_NAME: images}
            if RIGHT_NAME in metrics:
                part[RIGHT_NAME] = metrics[RIGHT_NAME]
            elif isinstance(self._accuracy, RankedAccuracy):
                return  # of an older cimbo, which looked at other images first
            self.parts.add(design, self._declared_genes(), part)
