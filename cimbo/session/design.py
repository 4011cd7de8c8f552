"""One evaluated design of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from cimbo.errors import BadInput
from cimbo.session.blind_accuracy import BLIND_KIND, loses
from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.study.final_front import ACCURACY_METRIC, in_exact_form, is_verified
from cimbo.study.withdrawal import withdrawn_by_key, words_of


@dataclass(frozen=True)
class Design:
    """One evaluated design.

    Attributes:
        key: Its name in the study.
        architecture: Genes of the network.
        hardware: The chip as a simulator takes it: its genes, and what the study fixes for every chip.
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

    def measured_columns(self) -> dict[str, Any]:
        """Name what was measured as columns of a table: the key, the metrics, and what the accuracy is if modelled."""
        columns: dict[str, Any] = {"key": self.key, **self.metrics}
        if self.accuracy_is is not None:
            columns["accuracy_is"] = self.accuracy_is
        return columns

    def zigzag_columns(self) -> dict[str, Any]:
        """Name what ZigZag says as columns of a table.

        Returns:
            ``zigzag_latency_ms`` and ``zigzag_energy_uj``; or ``zigzag_reason``; or nothing.
        """
        return {f"zigzag_{name}": value for name, value in (self.zigzag or {}).items()}

    def to_json(self) -> dict[str, Any]:
        """The design as ``cimbo pareto --format json`` lists it."""
        return without_none(asdict(self))


def design(context: StudyContext, record: Record) -> Design:
    """Describe a record of a study as a design.

    Args:
        context: The study.
        record: One of its evaluations.

    Returns:
        The design with its genes split into network and chip, and all that was measured of it, test
        accuracy and bit-accurate difference included where they are known.
    """
    space = context.study.problem.space
    return Design(
        record.key,
        space.architecture_of(record.params),
        context.whole_chip(record.params),
        _metrics(context, record),
        accuracy_label(context.accuracy_provenance, record.origin, record.params),
        context.study.zigzag_costs().get(record.key),
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
        _refuse_withdrawn(context, key)
        what = "no evaluation has this key"
    todo = "cimbo pareto lists keys"
    # Of keys cut to the length that was typed: a mistyped letter is found in a shortened key too.
    cut = {r.key[: len(key)]: r.key for r in context.study.evaluations()}
    near = [cut[part] for part in get_close_matches(key, cut, 2)]
    if near and not found:
        todo = f"did you mean {' or '.join(near)}? {todo}"
    raise BadInput(f"KEY {key}", what, todo)


def _refuse_withdrawn(context: StudyContext, key: str) -> None:
    """Raise BadInput where ``key`` is that of a withdrawn design: it says when and why, and what was measured."""
    for whole, evaluations in withdrawn_by_key(context.study.store).items():
        if whole.startswith(key):
            last = evaluations[-1]
            figures = ", ".join(f"{name} {value:.4g}" for name, value in last["metrics"].items())
            what = f"evaluation {last['number']} of this design {words_of(last)}: {figures}"
            raise BadInput(f"KEY {key}", what, "cimbo pareto lists the keys of those that count")


MEASURED_BY_OTHERS = "measured by others"


def accuracy_label(
    standing: Mapping[str, Any], origin: str, params: Mapping[str, Any]
) -> str | None:
    """Say what the accuracy of an evaluation is, where a study's accuracies are modelled or do not look at the chip.

    Args:
        standing: What the study's accuracies are worth: ``kind`` and, where they are modelled,
            ``error_points``.
        origin: Who wanted the evaluation.
        params: Its active genes.

    Returns:
        "imported" for one that was measured elsewhere, else the kind of the model with its error in
        points; None where all are measured.
    """
    if standing.get("kind") == BLIND_KIND:
        return BLIND_KIND if loses(params) else None
    if standing.get("kind") == MEASURED_BY_OTHERS and origin != "imported":
        return MEASURED_BY_OTHERS
    if "error_points" not in standing:
        return None
    if origin == "imported":
        return "imported"
    return f"{standing['kind']} ± {standing['error_points']:g}"


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


def without_none(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out what is None.

    Args:
        document: Names and values.

    Returns:
        The others, in the same order.
    """
    found = {}
    for name, value in document.items():
        if value is not None:
            found[name] = value
    return found
