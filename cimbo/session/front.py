"""The front of a study."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cimbo.analysis.space_ends import GeneAtAnEnd, ends_told, genes_at_an_end
from cimbo.errors import BadInput
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.problem.objectives import Problem
from cimbo.problem.preferences import by_target, by_weights, knees
from cimbo.session.context import StudyContext
from cimbo.session.design import Design, design
from cimbo.session.stopped_designs import NONE_STOPPED, StoppedDesigns, stopped_designs
from cimbo.session.unvalidated import unvalidated_told
from cimbo.storage import Record
from cimbo.study.study import Study

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Front:
    """The verified, feasible, non-dominated designs of a study.

    Attributes:
        evaluations: Evaluations in the study.
        accuracies_measured: Networks whose accuracy was measured.
        hypervolume: Of the front above the references; None where an objective has none.
        designs: Best value of the first objective first.
        accuracy: What the accuracies are worth where they are not measured; else empty.
        at_an_end: Genes of the chip that most designs have at an end of their range.
        knees: Keys of the designs from where every objective gets dear, the sharpest first.
        dropped: Keys of designs of the search's front that are beaten by their accuracy on bit-accurate arrays, by
            which this front is ranked; None where it is not, as a design is not verified so.
        hypervolume_exact: Of the front by these accuracies.
        worse_than_references: Where no design is better than the references, a line that says by how much; else None.
        unvalidated: Where designs have parts whose costs no published chip confirms, a line that says so; else None.
        stopped: Designs that are not on the front because only a part of them was measured.
    """

    evaluations: int
    accuracies_measured: int
    hypervolume: float | None
    designs: tuple[Design, ...]
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    at_an_end: tuple[GeneAtAnEnd, ...] = ()
    knees: tuple[str, ...] = ()
    dropped: tuple[str, ...] | None = None
    hypervolume_exact: float | None = None
    worse_than_references: str | None = None
    unvalidated: str | None = None
    stopped: StoppedDesigns = NONE_STOPPED

    def preferring(self, problem: Problem, weights: Mapping[str, float]) -> Front:
        """Order the front by how much each objective matters.

        Args:
            problem: The study's objectives.
            weights: Objective -> how much falling short of its best matters; 0 where it is not
                named.

        Returns:
            The same front, the designs with the least weighted shortfall first.

        Raises:
            BadInput: A name is no objective, a weight negative or not finite, or all are 0.
        """
        order = by_weights(problem, [d.metrics for d in self.designs], weights)
        return replace(self, designs=tuple(self.designs[i] for i in order))

    def nearest_to(self, problem: Problem, target: Mapping[str, float]) -> Front:
        """Order the front by how well each design does what somebody would like to have.

        Args:
            problem: The study's objectives.
            target: Objective -> the value that is wished for; what is not named does not count.

        Returns:
            The same front, the design that lacks least of the target first.

        Raises:
            BadInput: A name is no objective, or a value is not finite.
        """
        order = by_target(problem, [d.metrics for d in self.designs], target)
        return replace(self, designs=tuple(self.designs[i] for i in order))

    def ends_told(self) -> str | None:
        """The genes that stand at an end of their range, in a sentence; None where there are none."""
        return ends_told(self.at_an_end)

    def verified_told(self) -> str | None:
        """How the front was ranked, in a sentence; None where by the accuracies of the search."""
        if self.dropped is None:
            return None
        told = "ranked by accuracy on bit-accurate arrays (accuracy_exact)"
        if self.dropped:
            told += f"; beaten there: {', '.join(key[:8] for key in self.dropped)}"
        return told

    def to_json(self) -> dict[str, Any]:
        """The front as ``cimbo optimize`` and ``cimbo pareto`` print it."""
        document: dict[str, Any] = {
            "evaluations": self.evaluations,
            "accuracies_measured": self.accuracies_measured,
            "hypervolume": self.hypervolume,
            "pareto": [design.to_json() for design in self.designs],
        }
        if self.dropped is not None:
            document["hypervolume_exact"] = self.hypervolume_exact
            document["dropped_in_exact_form"] = list(self.dropped)
        if self.accuracy:
            document["accuracy"] = dict(self.accuracy)
        if self.at_an_end:
            document["genes_at_an_end"] = [gene.to_json() for gene in self.at_an_end]
        if self.knees:
            document["knees"] = list(self.knees)
        if self.worse_than_references is not None:
            document["worse_than_references"] = self.worse_than_references
        if self.unvalidated is not None:
            document["unvalidated"] = self.unvalidated
        if self.stopped.count:
            document["measured_in_part"] = asdict(self.stopped)
        return document


def front(context: StudyContext) -> Front:
    """Take the front of a study under its present limits.

    Args:
        context: The study.

    Returns:
        The front, with its hypervolume, knees, and the genes that stand at an end of their range.
        Where all of it was verified on bit-accurate arrays, it is ranked by what was found there.
    """
    study = context.study
    final = study.final_front()
    records = front_records(study)
    return Front(
        len(study.evaluations()),
        accuracies_measured(context),
        study.hypervolume(),
        tuple(design(context, record) for record in records),
        context.accuracy_provenance,
        genes_at_an_end(study.problem.space.hardware, [record.params for record in records]),
        tuple(records[i].key for i in knees(study.problem, [r.metrics for r in records])),
        dropped=None if final is None else final.dropped,
        hypervolume_exact=None if final is None else final.hypervolume,
        worse_than_references=study.worse_than_references(),
        unvalidated=unvalidated_told(context, records),
        stopped=stopped_designs(study),
    )


def front_records(study: Study) -> Sequence[Record]:
    """Take the designs of a study's front: of the final one where there is one.

    Args:
        study: The study.

    Returns:
        The designs as the search measured them, in the order of the front.
    """
    final = study.final_front()
    if final is None:
        return study.pareto()
    return final.records


def key_or_knee(context: StudyContext, key: str | None) -> str:
    """Choose the design that a question is about.

    Args:
        context: The study.
        key: The key that was given; None for none.

    Returns:
        ``key``, or else the key of the front's sharpest knee, or of its middle where it has none.

    Raises:
        BadInput: No key is given, and the front is empty.
    """
    if key is not None:
        return key
    shown = front(context)
    if not shown.designs:
        raise BadInput("KEY", "is missing, and the front is empty", "search first: cimbo optimize")
    if shown.knees:
        chosen, what = shown.knees[0], "the knee of the front"
    else:
        chosen, what = shown.designs[len(shown.designs) // 2].key, "the middle of the front"
    logger.info(f"no KEY is given: this is {what}, {chosen}")
    return chosen


def accuracies_measured(context: StudyContext) -> int:
    """Counts the networks whose accuracy was measured.

    Args:
        context: The study.

    Returns:
        How many; 0 where the study measures no accuracy.
    """
    if context.accuracy_provenance.get("kind") == NO_ACCURACY:
        return 0
    return context.study.accuracies_measured()
