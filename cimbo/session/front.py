"""The front of a study, one of its designs, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from cimbo.analysis.space_ends import GeneAtAnEnd, ends_told, genes_at_an_end
from cimbo.config.reading import preset_names
from cimbo.errors import BadInput
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.problem.objectives import Problem
from cimbo.problem.preferences import by_weights, knees
from cimbo.session.context import StudyContext
from cimbo.session.error_bars import Bars, of_designs
from cimbo.session.leases import Lease, is_given_up, leases, lost
from cimbo.storage import Record
from cimbo.study.asked import TELLER_NAME
from cimbo.study.final_front import ACCURACY_METRIC, in_exact_form, is_verified
from cimbo.study.provenance import told_sources
from cimbo.study.readiness import log_file
from cimbo.study.stored_values import predictions
from cimbo.study.study import Study

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Design:
    """One evaluated design.

    Attributes:
        key: Its name in the study.
        architecture: Genes of the network.
        hardware: Genes of the chip.
        metrics: What was measured, ``accuracy_test`` and ``exact_form_points`` among it where the front was measured
            afterwards on test images and on bit-accurate arrays.
        accuracy_is: Where accuracies are modelled: how, with its error, or "imported"; else None.
        zigzag: Where the costs are bounds and ZigZag was asked: its ``latency_ms`` and ``energy_uj``, or the ``reason`` why
            there are none; else None.
    """

    key: str
    architecture: Mapping[str, Any]
    hardware: Mapping[str, Any]
    metrics: Mapping[str, float]
    accuracy_is: str | None = None
    zigzag: Mapping[str, Any] | None = None

    def zigzag_columns(self) -> dict[str, Any]:
        """Name what ZigZag says as columns of a table.

        Returns:
            ``zigzag_latency_ms`` and ``zigzag_energy_uj``; or ``zigzag_reason``; or nothing.
        """
        return {f"zigzag_{name}": value for name, value in (self.zigzag or {}).items()}

    def to_json(self) -> dict[str, Any]:
        """The design as ``cimbo pareto --format json`` lists it."""
        return _without_none(asdict(self))


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
        return document


@dataclass(frozen=True)
class DesignDetails:
    """One design with all that a study knows of it.

    Attributes:
        design: The design itself.
        number: Number of its evaluation.
        status: "done" or "failed".
        origin: What proposed it.
        on_front: Whether it is on the front.
        seconds: What its evaluation took.
        reason: Why it failed.
        bit_accurate_accuracy: Accuracy in percent on bit-accurate arrays, where that was asked for.
        predicted: Mean and standard deviation by metric before it was evaluated.
        told_by: Who told what was measured, where it was measured outside.
        log: The file that holds what the programs which evaluated it printed, where they printed anything.
        error_bars: Least and most of each cost by what published chips say; empty where another simulator gave it.
    """

    design: Design
    number: int
    status: str
    origin: str
    on_front: bool
    seconds: float
    reason: str | None
    bit_accurate_accuracy: float | None
    predicted: Mapping[str, Any]
    told_by: str | None = None
    log: str | None = None
    error_bars: Bars = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What is said of the design besides its genes and metrics."""
        about = {
            "key": self.design.key,
            "number": self.number,
            "status": self.status,
            "origin": self.origin,
            "on_front": self.on_front,
            "seconds": self.seconds,
            "reason": self.reason,
            "told_by": self.told_by,
            "log": self.log,
            "accuracy_is": self.design.accuracy_is,
            "accuracy_exact": self.bit_accurate_accuracy,
            **self.design.zigzag_columns(),
        }
        return _without_none(about)

    def to_json(self) -> dict[str, Any]:
        """The details as ``cimbo show --format json`` prints them."""
        return {
            **self.about(),
            "architecture": dict(self.design.architecture),
            "hardware": dict(self.design.hardware),
            "metrics": dict(self.design.metrics),
            "error_bars": {name: list(bar) for name, bar in self.error_bars.items()},
            "predicted": dict(self.predicted),
        }


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is, and what it is about. ``designs`` counts the space, ``running`` what is being evaluated.

    ``preset``, or ``config``, a file, describes it. ``accuracies_measured`` is None where it measures none. ``leases`` say
    who evaluates what until when, ``lost`` are keys that were asked for, not told in time, and will be asked again,
    ``given_up`` those that were lost too often, and ``measured_by`` the sources that tellers named.
    """

    study: str
    preset: str | None
    config: str | None
    seed: int
    genes: int
    designs: int
    evaluations: int
    accuracies_measured: int | None
    failed: int
    feasible: int
    running: int
    front: int
    hypervolume: float | None
    evaluation_seconds: float
    constraints: tuple[str, ...]
    versions: Mapping[str, str]
    accuracy: str | None = None
    recorded: str | None = None
    leases: tuple[Lease, ...] = ()
    lost: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    measured_by: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The status as ``cimbo status --format json`` prints it."""
        document = {}
        for k, v in vars(self).items():
            if v or k not in OPTIONAL_FIELDS:
                document[k] = v
        if self.accuracies_measured is None:
            document.pop("accuracies_measured")
        document["constraints"] = list(self.constraints)
        for name in LISTED_FIELDS:
            if name in document:
                document[name] = list(document[name])
        if self.leases:
            document["leases"] = [lease.to_json() for lease in self.leases]
        return document


LISTED_FIELDS = ("lost", "given_up", "measured_by")
# Left out of a status where there is nothing to say.
OPTIONAL_FIELDS = ("preset", "config", "accuracy", "recorded", "leases", *LISTED_FIELDS)


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
        _accuracies_measured(context),
        study.hypervolume(),
        tuple(design(context, record) for record in records),
        context.accuracy_provenance,
        genes_at_an_end(study.problem.space.hardware, [record.params for record in records]),
        tuple(records[i].key for i in knees(study.problem, [r.metrics for r in records])),
        dropped=None if final is None else final.dropped,
        hypervolume_exact=None if final is None else final.hypervolume,
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


def design(context: StudyContext, record: Record) -> Design:
    """Describe a record of a study as a design.

    Args:
        context: The study.
        record: One of its evaluations.

    Returns:
        The design with its genes split into network and chip, and all that was measured of it, test
        accuracy and bit-accurate difference included where they are known.
    """
    first = {c.name for c in context.study.problem.space.architecture}
    return Design(
        record.key,
        {name: value for name, value in record.params.items() if name in first},
        {name: value for name, value in record.params.items() if name not in first},
        _metrics(context, record),
        accuracy_label(context.accuracy_provenance, record.origin),
        context.study.zigzag_costs().get(record.key),
    )


def details(context: StudyContext, key: str, *, bit_accurate: bool = False) -> DesignDetails:
    """Collect all that a study knows of one design.

    Args:
        context: The study.
        key: The design's key, which may be shortened.
        bit_accurate: Also measure the design's accuracy on bit-accurate arrays; nothing is
            recorded.

    Returns:
        The design with its evaluation, predictions and error bars.

    Raises:
        BadInput: No design has the key, or several do, or the accuracy cannot be measured on
            bit-accurate arrays.
    """
    record = find(context, key)
    measured = None
    if bit_accurate:
        measured = context.evaluator.on_bit_accurate_arrays(record.params)
    return DesignDetails(
        design(context, record),
        number=record.number,
        status=record.status,
        origin=record.origin,
        on_front=any(record.key == other.key for other in front_records(context.study)),
        seconds=record.seconds,
        reason=record.reason or None,
        bit_accurate_accuracy=measured,
        predicted=predictions(record),
        told_by=record.extra.get(TELLER_NAME),
        log=log_file(context.study, record.key),
        error_bars=of_designs(context, [record]).get(record.key, {}),
    )


def find(context: StudyContext, key: str) -> Record:
    """Find an evaluation by its key.

    Args:
        context: The study.
        key: The key, which may be shortened.

    Returns:
        The last record of the design.

    Raises:
        BadInput: No design has the key, or several do.
    """
    found = {}
    for r in context.study.evaluations():
        if r.key.startswith(key):
            found[r.key] = r
    if len(found) == 1:
        return next(iter(found.values()))
    what = f"{len(found)} evaluations have keys that start so"
    if not found:
        what = "no evaluation has this key"
    todo = "cimbo pareto lists keys"
    # Of keys cut to the length that was typed: a mistyped letter is found in a shortened key too.
    cut = {r.key[: len(key)]: r.key for r in context.study.evaluations()}
    near = [cut[part] for part in get_close_matches(key, cut, 2)]
    if near and not found:
        todo = f"did you mean {' or '.join(near)}? {todo}"
    raise BadInput(f"KEY {key}", what, todo)


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


def accuracy_label(standing: Mapping[str, Any], origin: str) -> str | None:
    """Say what the accuracy of an evaluation is, where a study's accuracies are modelled.

    Args:
        standing: What the study's accuracies are worth: ``kind`` and, where they are modelled,
            ``error_points``.
        origin: Who wanted the evaluation.

    Returns:
        "imported" for one that was measured elsewhere, else the kind of the model with its error in
        points; None where all are measured.
    """
    if "error_points" not in standing:
        return None
    if origin == "imported":
        return "imported"
    return f"{standing['kind']} ± {standing['error_points']:g}"


def status(context: StudyContext) -> StudyStatus:
    """Tell how far a study is.

    Args:
        context: The study.

    Returns:
        Counts of evaluations and designs, the hypervolume, and who is evaluating what.
    """
    study, records = context.study, context.study.evaluations()
    waiting = lost(context)
    return StudyStatus(
        context.path,
        *_described_by(context),
        study.seed,
        genes=len(study.problem.space.choices),
        designs=study.problem.space.size,
        evaluations=len(records),
        accuracies_measured=_accuracies_measured(context) if _has_accuracy(context) else None,
        failed=sum(r.status == "failed" for r in records),
        feasible=len(study.feasible_evaluations()),
        running=len(study.running()),
        front=len(front_records(study)),
        hypervolume=study.hypervolume(),
        evaluation_seconds=sum(r.seconds for r in records),
        constraints=tuple(
            f"{c.metric} {c.relation} {c.bound:g}" for c in study.problem.constraints
        ),
        versions=context.metadata.get("versions", {}),
        accuracy=context.accuracy_provenance.get("label"),
        recorded=context.metadata.get("recorded"),
        leases=leases(context),
        lost=tuple(d.candidate.key for d in waiting if not is_given_up(d)),
        given_up=tuple(d.candidate.key for d in waiting if is_given_up(d)),
        measured_by=tuple(told_sources(study.store)),
    )


def _described_by(context: StudyContext) -> tuple[str | None, str | None]:
    """The preset that a study was started from, or the file of its description; one of them is None."""
    name = (context.metadata.get("config") or {}).get("name")
    if name in preset_names():
        return name, None
    return None, name


def _has_accuracy(context: StudyContext) -> bool:
    """Whether a study measures an accuracy, or another metric whose measurements it counts."""
    if "accuracy" in context.study.problem.targets:
        return True
    return context.has_description and context.config.tables.expensive is not None


def _accuracies_measured(context: StudyContext) -> int:
    """Networks whose accuracy was measured."""
    if context.accuracy_provenance.get("kind") == NO_ACCURACY:
        return 0
    return context.study.accuracies_measured()


def _metrics(context: StudyContext, record: Record) -> dict[str, float]:
    """What was measured, with what was measured of the front afterwards."""
    metrics = dict(record.metrics)
    tested, differences = context.study.test_accuracies(), context.study.bit_accurate_differences()
    if record.key in tested:
        metrics["accuracy_test"] = tested[record.key]
    if record.key in differences:
        metrics["exact_form_points"] = differences[record.key]["points"]
        if is_verified(differences[record.key]):
            exact = in_exact_form(context.study.problem, record, differences[record.key])
            metrics["accuracy_exact"] = exact.metrics[ACCURACY_METRIC]
    return metrics


def _without_none(document: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in document.items():
        if value is not None:
            found[name] = value
    return found
