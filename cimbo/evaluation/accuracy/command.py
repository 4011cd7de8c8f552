"""Accuracy from a user's program: it is given a design as JSON and prints ``{"accuracy": ...}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.programs import protocol
from cimbo.evaluation.programs.answers import ProgramFailed
from cimbo.evaluation.programs.program import DEFAULT_TIMEOUT_S, Program, weights_path
from cimbo.problem.scalars import shown

PARTS_OF_IMAGES = ("validation", "test")


class CommandAccuracy:
    """Asks a program for accuracies, see docs/protocol.md.

    Args:
        command: The program and its arguments.
        timeout_s: Seconds that one answer may take.
        server: Whether it stays alive and answers one request a line.
        weights: File or folder of trained weights, whose path is part of each request.
        genes: Genes of the chip that change the accuracy, besides every gene of the network. One answer serves every design
            that agrees in these; without them the program is asked anew for every design.
        parts: Parts of the images that it knows: "validation" for the search, "test" for the end.

    Raises:
        BadInput: For settings that make no sense.
    """

    # Whether bits of single stages change its accuracy; assumed, since it is told them.
    rounds_stages = True

    def __init__(
        self,
        command: Sequence[str],
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        server: bool = False,
        weights: str | None = None,
        genes: Sequence[str] | None = None,
        parts: Sequence[str] = ("validation",),
    ) -> None:
        self.program = Program("accuracy command", command, timeout_s, server)
        self.weights = weights
        for name, words in (("genes", genes or ()), ("parts", parts)):
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                what = f"are {shown(words)}"
                raise BadInput(f"accuracy command, {name}", what, "give a list of names")
        unknown = [part for part in parts if part not in PARTS_OF_IMAGES]
        if unknown or "validation" not in parts:
            what = f"are {shown(list(parts))}"
            raise BadInput("accuracy command, parts", what, 'give "validation", and "test" or not')
        self.genes = None if genes is None else tuple(genes)
        self.parts = tuple(parts)

    def check(self) -> None:
        """Raises BadInput when there is no such program, or no such weights."""
        self.program.check()
        weights_path("accuracy command", self.weights)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Asks the program for the accuracy of a design.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" for the search, "test" at the end.

        Returns:
            Percent, as the program answers.

        Raises:
            ProgramFailed: When the program fails or gives no accuracy.
            BadInput: When it cannot be started, or its weights are gone.
        """
        weights = weights_path("accuracy command", self.weights)
        answer = self.program.ask(protocol.accuracy(design, part, weights))
        metrics = answer.metrics(self.program.name)
        if "accuracy" not in metrics:
            raise ProgramFailed(f"{self.program.name}: printed no accuracy: {', '.join(metrics)}")
        return metrics["accuracy"]
