"""Evaluators that are a user's own as a whole: a Python function, or a program."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from cimbo.errors import BadInput, WrongAnswer
from cimbo.evaluation import content
from cimbo.evaluation.declared_files import declared_files
from cimbo.evaluation.fingerprint import (
    TOLD_BITS,
    Fingerprint,
    by_content,
    code_of_function,
    digested_command,
)
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.low_fidelity import NO_SETTINGS, LowFidelity
from cimbo.evaluation.programs import protocol
from cimbo.evaluation.programs.answers import Answer, ProgramFailed, refuse_texts
from cimbo.evaluation.programs.program import Program, weights_path
from cimbo.evaluation.user_code import module_file
from cimbo.evaluation.whole_evaluator import WholeEvaluator
from cimbo.plugins import python_object
from cimbo.problem.space import Params, canonical_key
from cimbo.workloads import Network, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.precision import at_chip_bits, states_bits


class FunctionEvaluator(WholeEvaluator):
    """Evaluates designs by a Python function.

    Attributes:
        function: Where it is, as "package:function". It is called with a dictionary of all active genes.
        options: Further arguments that it is called with, by name.
    """

    def __init__(self, function: str, options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.function = function
        self.options = dict(options or {})

    def _evaluate(self, design: Params) -> Mapping[str, float]:
        metrics: Mapping[str, float] = self._function(dict(design), **self.options)
        return metrics

    def check(self) -> None:
        """Raises BadInput when there is no such function, or when it takes no such options."""
        try:
            inspect.signature(self._function).bind({}, **self.options)
        except TypeError as error:
            raise BadInput(
                f"evaluator {self.function}",
                f"cannot be called with these options ({error})",
                "correct [evaluator.options]",
            ) from None
        except ValueError:  # a function of C, which does not say what it takes
            return

    def fingerprint(self) -> Fingerprint:
        """The function's name, the content of its files, and its options, as JSON."""
        entries: dict[str, Any] = {"python": self.function}
        file = module_file(self.function.partition(":")[0])
        if file is not None:
            entries["file"] = content.digest(file)
        entries["options"] = by_content(self.options)
        entries |= self._told_besides()
        entries |= code_of_function(self.function)
        return {"evaluator": {**entries, **declared_files("evaluator.files", self.files)}}

    @cached_property
    def _function(self) -> Callable[..., Mapping[str, float]]:
        """The function, imported. Raises BadInput where there is none of that name."""
        where = f"evaluator {self.function}"
        module_name, _, name = self.function.partition(":")
        if not module_name or not name:
            raise BadInput(where, "is no function", 'write it as "package:function"')
        value = python_object(where, self.function)
        if not callable(value):
            raise BadInput(where, "is no function", 'write it as "package:function"')
        function: Callable[..., Mapping[str, float]] = value
        return function


class ProgramEvaluator(WholeEvaluator):
    """Evaluates designs by a program, see docs/protocol.md.

    Attributes:
        program: The program that is asked.
        architecture: Names of the genes that belong to the network.
        network: The network family whose layers are part of each request; "" for none.
        sizes_of_file: Free sizes of a network that is an ONNX file.
        inference: Batch, sequence lengths and the like of a run.
        weights: File or folder of trained weights, whose path is part of each request.
        batch: Designs that are sent at a time.
    """

    def __init__(
        self,
        program: Program,
        architecture: Sequence[str] = (),
        *,
        network: str = "",
        sizes_of_file: Mapping[str, int] | None = None,
        inference: InferenceSettings | None = None,
        weights: str | None = None,
        batch: int = 1,
    ) -> None:
        super().__init__()
        self.program = program
        self.architecture = tuple(architecture)
        self.network = network
        self.sizes_of_file = dict(sizes_of_file or {})
        self.inference = inference or InferenceSettings()
        self.weights = weights
        self.batch = batch

    def _evaluate(self, design: Params) -> Mapping[str, float]:
        return self._metrics_of(self.program.ask(self._request(design)))

    def with_layers(self, design: Params) -> tuple[dict[str, float], list[Any]]:
        """Evaluates a design now, whatever is known of it.

        Args:
            design: Each active gene to its value.

        Returns:
            The metrics, and what the program says of each layer; an empty list where it says
            nothing.
        """
        answer = self.program.ask(self._request({**self.fixed, **design}))
        layers = answer.document.get("layers")
        if not isinstance(layers, list):
            layers = []
        return answer.metrics(self.program.name), layers

    def check(self) -> None:
        """Raises BadInput when there is no such program, no such weights, or no such network."""
        self.program.check()
        weights_path(self.program.where, self.weights)
        _ = self._family

    def fingerprint(self) -> Fingerprint:
        """The command with its files by their content, and the network, as JSON."""
        entries: dict[str, Any] = {"command": digested_command(self.program.command)}
        if self.network:
            entries["network"] = self.network
            if self._family is not None and states_bits(
                self._family.workload(self._family.largest())
            ):
                entries["bits"] = TOLD_BITS  # earlier releases told those of the file
        if self.weights is not None:
            entries["weights"] = content.digest(self.weights)
        entries |= self._told_besides()
        return {"evaluator": {**entries, **declared_files("evaluator.files", self.files)}}

    def prepare(self, designs: Sequence[Params]) -> None:
        """Evaluate designs several at a time, where ``batch`` says so.

        Each is then looked up when its turn comes. Those that fail are evaluated once more by
        themselves.

        Args:
            designs: The designs that are about to be evaluated.
        """
        if self.batch <= 1:
            return
        self.prepared.clear()
        self.prepared_seconds.clear()
        going_on, in_full = list(designs), []
        low_fidelities = self.low_fidelities
        if low_fidelities is not None and low_fidelities.race is not None:
            in_full = [design for design in designs if low_fidelities.is_continued(design)]
            going_on = [design for design in designs if not low_fidelities.is_continued(design)]
            for stage in low_fidelities.stages:
                going_on = self._prepare_stage(going_on, stage)
        self._prepare_with([*going_on, *in_full], NO_SETTINGS)

    def _prepare_stage(self, designs: Sequence[Params], stage: LowFidelity) -> list[Params]:
        """Measure designs with cheaper settings, several at a time; those whose measurement goes on after that."""
        low_fidelities = self.low_fidelities
        assert low_fidelities is not None
        asked = []
        for design in designs:
            if stage.name not in low_fidelities.known.get(canonical_key(design), {}):
                asked.append(design)
        self._prepare_with(asked, stage.settings)
        going_on = []
        for design in designs:
            key = canonical_key(design)
            is_known = stage.name in low_fidelities.known.get(key, {})
            if not is_known and canonical_key({**design, **stage.settings}) not in self.prepared:
                continue  # it failed, and fails once more when its turn comes
            low_fidelities.value(key, design, stage, partial(self.measured_with, design))
            if not low_fidelities.stops(key, design, stage):
                going_on.append(design)
        return going_on

    def _prepare_with(self, designs: Sequence[Params], settings: Mapping[str, Any]) -> None:
        """Evaluate designs with settings, ``batch`` at a time, and keep what succeeds."""
        for start in range(0, len(designs), self.batch):
            part = designs[start : start + self.batch]
            # Designs of a batch that failed are evaluated once more one by one, so
            # that one bad design does not fail the others and each has its own log.
            with contextlib.suppress(ProgramFailed):
                told = [{**design, **settings} for design in part]
                requests = [self._request({**self.fixed, **each}) for each in told]
                before = time.perf_counter()
                answers = self.program.ask_all(requests, self.batch)
                each_s = (time.perf_counter() - before) / len(part)
                for design, with_settings, answer in zip(part, told, answers, strict=True):
                    self._keep(design, with_settings, answer, each_s)

    def _keep(self, design: Params, told: Params, answer: Answer, seconds: float) -> None:
        """Keep the metrics in an answer for when the design's turn comes; a failed one is not kept.

        Args:
            design: Its genes.
            told: These with the settings that it was evaluated with.
            answer: What the program answered.
            seconds: What that took.
        """
        key = canonical_key(design)
        with contextlib.suppress(ProgramFailed, WrongAnswer):
            self.prepared[canonical_key(told)] = self._metrics_of(answer)
            self.prepared_seconds[key] = self.prepared_seconds.get(key, 0.0) + seconds

    def _metrics_of(self, answer: Answer) -> dict[str, float]:
        """The numbers of an answer. Raises ProgramFailed where there is none, WrongAnswer for texts."""
        refuse_texts(answer.document, self.wanted, self.program.where)
        return answer.metrics(self.program.name)

    def _request(self, design: Params) -> protocol.Request:
        """The request for a design, with the layers of its network at the bits of its chip."""
        workload = None
        if self._family is not None:
            chip = {gene: v for gene, v in design.items() if gene not in self.architecture}
            workload = at_chip_bits(self._family.workload(design), chip)
        weights = weights_path(self.program.where, self.weights)
        return protocol.evaluation(design, self.architecture, workload, weights)

    @cached_property
    def _family(self) -> Network | None:
        """The network family; None where the program is told no layers."""
        if not self.network:
            return None
        return with_settings(network(self.network, self.sizes_of_file), self.inference)


__all__ = ["FunctionEvaluator", "ProgramEvaluator", "StudyEvaluator", "WholeEvaluator"]
StudyEvaluator = JointEvaluator | WholeEvaluator
"""What a study may be evaluated by."""
