"""What every part of a session works on: a study, the description of what it evaluates, and the evaluator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cimbo.config.study_config import Config, from_definition
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.problem.objectives import Constraint
from cimbo.problem.scalars import finite, shown
from cimbo.session import blind_accuracy
from cimbo.study.study import Study
from predictors.errors import PredictorError


@dataclass(frozen=True, eq=False)
class StudyContext:
    """An open study and what it evaluates. The study is the only part that changes.

    Attributes:
        study: The log of evaluations and what is proposed from it.
        description: What the study was opened with; None where the file has to say it.
        is_new: Whether the file was created by opening it.
        shared_evaluator: The evaluator to use instead of a new one, with the accuracies that it remembers.
        file: The study's file as the user named it.
    """

    study: Study
    description: Config | None = None
    is_new: bool = False
    shared_evaluator: StudyEvaluator | None = None
    file: str | None = None

    @property
    def path(self) -> str:
        """The study's file, as messages name it."""
        return self.file or self.study.path

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the file keeps about the study: seed, versions, description, command."""
        return self.study.metadata

    @cached_property
    def config(self) -> Config:
        """What the study is about; of one that was made in Python, as far as its file says it."""
        if self.description is not None:
            return self.description
        found = from_definition(self.path, self.metadata)
        function = self.study.evaluator_name()
        if found.tables.network is None and found.tables.evaluator is None and function:
            return found.with_function(function)
        return found

    @cached_property
    def evaluator(self) -> StudyEvaluator:
        """Accuracy and simulator of the study. Raises BadInput as `config` does."""
        evaluator = self.shared_evaluator or self.config.evaluator()
        if isinstance(evaluator, JointEvaluator):
            for record in self.study.evaluations():
                if record.status == "done":
                    evaluator.learn_notes(record.extra)
        return evaluator

    def is_placed(self, params: Mapping[str, Any]) -> bool:
        """Tell whether cimbo's chip model understands a design.

        Args:
            params: The design, by gene.

        Returns:
            Whether it knows the design's layers and every property of its chip.

        Raises:
            BadInput: The study's evaluator cannot be set up.
        """
        return self.evaluator.is_placed(params)

    @property
    def has_description(self) -> bool:
        """Whether the study says what it evaluates."""
        return self.description is not None or "config" in self.metadata

    @property
    def title(self) -> str:
        """What the study is called in its description, marked where its evaluations were recorded elsewhere."""
        described = self.metadata.get("config") or {}
        named = str((described.get("data") or {}).get("title", "cimbo study"))
        if "recorded" in self.metadata:
            return f"Recorded: {named}"
        return named

    @cached_property
    def chip_properties(self) -> Mapping[str, Any]:
        """What every chip of the study has without being searched, by name; empty where nothing says it."""
        if not self.has_description:
            return {}
        table = self.config.tables.hardware
        properties: dict[str, Any] = {}
        usual = table.options.get("fixed")
        if table.simulator == "cimbo" and isinstance(usual, Mapping):
            properties |= usual
        return properties | table.fixed

    def whole_chip(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Take the chip out of a design, with all that a simulator needs to know of it.

        Args:
            params: The design, by gene.

        Returns:
            The properties that every chip of the study has, and the genes of this one.
        """
        return {**self.chip_properties, **self.study.problem.space.hardware_of(params)}

    def is_chip_property(self, where: str, name: str, value: Any) -> bool:
        """Tell whether a value is one that every chip of the study has without being searched.

        Args:
            where: What messages call the value.
            name: Of the property or gene.
            value: Its value, or the text that writes it.

        Returns:
            False for a name that is no such property.

        Raises:
            BadInput: The study's chips have another value.
        """
        if name not in self.chip_properties:
            return False
        own = self.chip_properties[name]
        if str(own) != str(value) and finite(value) != finite(own):
            what = f"{name} is {shown(value)}, and {shown(own)} in every chip of the study"
            raise BadInput(where, what, "start another study for other chips")
        return True

    @property
    def accuracy_provenance(self) -> dict[str, Any]:
        """What the study's accuracies are worth, where they are anything else than measured; else empty."""
        if not self.has_description:
            return {}
        standing = self.config.accuracy_provenance()
        if standing["kind"] != "measured":
            return standing
        study, tables = self.study, self.config.tables
        if tables.evaluator is not None:
            return {}
        fixed = {**tables.hardware.fixed, **study.fixed}
        hardware = study.problem.space.hardware
        return blind_accuracy.standing(self.config.accuracy, study.evaluations(), hardware, fixed)

    def what_if(
        self, fixed: Mapping[str, Any] | None = None, limits: Iterable[Constraint] = ()
    ) -> Self:
        """Ask the same study another question: with genes kept at a value, under other bounds.

        Nothing is evaluated again, and both share one file: closing either closes it.

        Args:
            fixed: Values by gene, besides those that are fixed already.
            limits: Constraints. Each takes the place of the study's own on the same metric and
                side.

        Returns:
            The study with the new question.

        Raises:
            BadInput: A gene is unknown, or a value is one that it cannot take.
        """
        return replace(self, study=self.study.with_constraints(limits, fixed))

    def close(self) -> None:
        """Release what is under way and close the file."""
        self.study.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file; one that bad input left without any evaluation was created for nothing, and goes again."""
        evaluated = len(self.study.evaluations())
        self.close()
        refused = kind is not None and issubclass(kind, (BadInput, PredictorError))
        if refused and self.is_new and not evaluated:
            Path(self.study.path).unlink()
