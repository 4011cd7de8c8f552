"""What a study file keeps beside its evaluations: further accuracies and costs by design, and how the search was set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cimbo.evaluation.function_identity import importable_name
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.storage import Store
from cimbo.study import stored_values as stored
from cimbo.study.provenance import EVALUATOR_NAME

# Names under which the values stand in the file.
TEST_ACCURACIES = "accuracy_test"
BIT_ACCURATE_DIFFERENCES = "accuracy_exact"
NOISE_ACCURACIES = "accuracy_by_noise"
ZIGZAG_COSTS = "costs_by_zigzag"
ACCURACY_PARAMETERS = "shaping"
EXPENSIVE_METRIC = "expensive"


class KeptValues:
    """What is kept in a study file beside the evaluations."""

    store: Store
    problem: Problem

    def test_accuracies(self) -> dict[str, float]:
        """Return the accuracies on images that the search never sees.

        Returns:
            Accuracy in percent, by the key of the design.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_number)
        found: dict[str, float] = stored.read(self.store, TEST_ACCURACIES, check) or {}
        return found

    def record_test_accuracy(self, key: str, accuracy: float) -> None:
        """Keep the test accuracy of one design.

        Args:
            key: The key of the design.
            accuracy: Its accuracy in percent, on images that the search never sees.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        self._keep_entry(TEST_ACCURACIES, key, accuracy)

    def bit_accurate_differences(self) -> dict[str, dict[str, float]]:
        """Return what bit-accurate arrays do to accuracies.

        Returns:
            By the key of the design, by how many ``points`` (percentage points) they change its
            accuracy, on how many ``images`` that was measured, and its sampling ``error`` in
            percentage points where that is known.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_bit_accurate_difference)
        found = stored.read(self.store, BIT_ACCURATE_DIFFERENCES, check)
        return dict(found or {})

    def record_bit_accurate(
        self, key: str, points: float, images: int, *, error: float | None = None
    ) -> None:
        """Keep what bit-accurate arrays do to the accuracy of one design.

        Args:
            key: The key of the design.
            points: Change of its accuracy in percentage points.
            images: How many images it was measured on.
            error: Sampling error of ``points``; without it the design does not count as verified.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        found = {"points": points, "images": images}
        if error is not None:
            found["error"] = error
        self._keep_entry(BIT_ACCURATE_DIFFERENCES, key, found)

    def noise_accuracies(self) -> dict[str, dict[str, float]]:
        """Return the accuracies at some noises of the converters.

        Returns:
            By the key of the design, accuracy in percent by the noise in steps of the converter,
            written as text.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.mapping_of(stored.is_number))
        return dict(stored.read(self.store, NOISE_ACCURACIES, check) or {})

    def record_noise_accuracies(self, key: str, by_noise: Mapping[str, float]) -> None:
        """Keep the accuracies of one design at some noises of its converters, in place of earlier ones.

        Args:
            key: The key of the design.
            by_noise: Accuracy in percent by the noise, in steps of the converter, written as text.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        self._keep_entry(NOISE_ACCURACIES, key, dict(by_noise))

    def zigzag_costs(self) -> dict[str, dict[str, Any]]:
        """Return what ZigZag says of designs whose costs are bounds; never mixed with what was evaluated.

        Returns:
            By the key of the design ``latency_ms`` and ``energy_uj``, or the ``reason`` why ZigZag cannot simulate it.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_simulated_cost)
        return dict(stored.read(self.store, ZIGZAG_COSTS, check) or {})

    def record_zigzag_costs(self, key: str, costs: Mapping[str, Any]) -> None:
        """Keep what ZigZag says of one design, beside its evaluation.

        Args:
            key: The key of the design.
            costs: ``latency_ms`` and ``energy_uj``, or the ``reason`` why there are none.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        self._keep_entry(ZIGZAG_COSTS, key, dict(costs))

    def record_expensive(self, options: OptimizerOptions) -> None:
        """Keep which metric is expensive and what it depends on, so that its measurements can be counted later.

        Args:
            options: What the optimizer knows.

        Raises:
            BadInput: The expensive metric that ``options`` names is not measured by this study, or
                the study cannot be written.
        """
        metric = options.expensive_metric(self.problem)
        if metric != OptimizerOptions().expensive_metric(self.problem):
            self.store.set_meta(EXPENSIVE_METRIC, metric)
        parameters = options.expensive_parameters(self.problem)
        if parameters is not None:
            self.store.set_meta(ACCURACY_PARAMETERS, sorted(parameters))

    def record_evaluator(self, evaluate: object) -> None:
        """Keep the name of a function that evaluates, so that commands can import it and go on with it.

        Args:
            evaluate: What evaluates. Nothing is kept where another process cannot import it.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        name = importable_name(evaluate)
        if name is not None and name != self.evaluator_name():
            self.store.set_meta(EVALUATOR_NAME, name)

    def evaluator_name(self) -> str | None:
        """Return the function that evaluated last, as "package:function"; None where there is none to import."""
        found: str | None = stored.read(self.store, EVALUATOR_NAME, stored.is_text)
        return found

    def expensive_metric(self) -> str | None:
        """Return the metric whose measurements are counted, most often an accuracy; None where all are computed."""
        metric: str | None = stored.read(self.store, EXPENSIVE_METRIC, stored.is_text)
        return metric or OptimizerOptions().expensive_metric(self.problem)

    def _keep_entry(self, name: str, key: str, value: Any) -> None:
        """Keep ``value`` for the design ``key``, beside those of other designs under the same name."""

        def with_entry(known: dict[str, Any] | None) -> dict[str, Any]:
            """Add the entry to what the file has, or put it in the place of an earlier one."""
            return {**(known or {}), key: value}

        self.store.update_meta(name, with_entry)
