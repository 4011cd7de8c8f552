"""Evaluators that are a user's own as a whole: a function or a program that takes genes and returns all metrics.

No layers are known, no costs can be computed, and there are no images: a command that needs one of these is refused.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn

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
from cimbo.evaluation.programs import logs, protocol
from cimbo.evaluation.programs.answers import Answer, ProgramFailed, refuse_texts
from cimbo.evaluation.programs.program import Program, weights_path
from cimbo.evaluation.programs.trying import try_until_one_works
from cimbo.evaluation.user_code import module_file
from cimbo.plugins import python_object
from cimbo.problem.space import Params, canonical_key
from cimbo.workloads import Network, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.precision import at_chip_bits, states_bits


class WholeEvaluator(ABC):
    """An evaluator that returns all metrics of a design at once.

    Attributes:
        prepared: Metrics of designs that were evaluated ahead of their turn, by key.
        prepared_seconds: What these evaluations took, by key.
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
        self.wanted: tuple[str, ...] = ()
        self.files: tuple[str, ...] = ()
        self.log_folder: str | None = None

    def __call__(self, design: Params) -> Mapping[str, float]:
        """Evaluate a design, given as its active genes, or look it up if it is prepared."""
        known = self.prepared.get(canonical_key(design))
        if known is not None:
            return known
        with logs.log_of(self.log_folder, design):
            return self._evaluate(design)

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
        try_until_one_works(self, designs, "evaluator", self.prepared, self.prepared_seconds)

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: B027  most need not
        """Does nothing: no measurement serves another design.

        Args:
            design: Ignored.
            metrics: Ignored.
        """

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
        answer = self.program.ask(self._request(design))
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
        for start in range(0, len(designs), self.batch):
            part = designs[start : start + self.batch]
            # Designs of a batch that failed are evaluated once more one by one, so
            # that one bad design does not fail the others and each has its own log.
            with contextlib.suppress(ProgramFailed):
                requests = [self._request(design) for design in part]
                before = time.perf_counter()
                answers = self.program.ask_all(requests, self.batch)
                each_s = (time.perf_counter() - before) / len(part)
                for design, answer in zip(part, answers, strict=True):
                    self._keep(design, answer, each_s)

    def _keep(self, design: Params, answer: Answer, seconds: float) -> None:
        """Keep the metrics in an answer for when the design's turn comes; a failed one is not kept."""
        key = canonical_key(design)
        with contextlib.suppress(ProgramFailed, WrongAnswer):
            self.prepared[key] = self._metrics_of(answer)
            self.prepared_seconds[key] = seconds

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


StudyEvaluator = JointEvaluator | WholeEvaluator
"""What a study may be evaluated by."""
