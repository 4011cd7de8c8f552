"""Notes of which genes an accuracy looked up, as a study keeps them beside each evaluation.

A user's accuracy function may depend on few genes of a chip. Those that it looks up are noted, so that one measurement serves
all designs that agree in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

ABOUT_ACCURACY = "accuracy_from"
"""The name under which a note stands in the ``extra`` of a record."""


@dataclass
class GeneNotes:
    """The genes that any of the measurements so far looked up.

    Attributes:
        genes: Names of genes; None where there is no measurement yet, or one may have looked up every gene.
        metrics: Names of the metrics that were measured.
        is_empty: Whether there is no measurement yet.
    """

    genes: frozenset[str] | None = None
    metrics: set[str] = field(default_factory=set)
    is_empty: bool = True

    def learn(self, genes: Iterable[str] | None, metrics: Iterable[str]) -> None:
        """Take in one more measurement.

        Args:
            genes: Names of the genes that it looked up; None where that may be every gene.
            metrics: Names of the metrics that it measured.
        """
        self.metrics |= set(metrics)
        if genes is None:
            self.genes = None
        elif self.is_empty:
            self.genes = frozenset(genes)
        elif self.genes is not None:
            self.genes |= frozenset(genes)
        self.is_empty = False


@dataclass(frozen=True)
class Noted:
    """The note of one measurement.

    Attributes:
        genes: Names of the chip's genes that it looked up; None: it may have looked up any gene.
        metrics: Names of the metrics that it measured.
    """

    genes: tuple[str, ...] | None
    metrics: tuple[str, ...]


def notes_in(extra: Mapping[str, Any]) -> Noted | None:
    """Read the note that stands beside the metrics of an evaluation.

    Args:
        extra: The record's ``extra``, JSON that may come from anywhere.

    Returns:
        The note; None where there is none, or it does not have the right form.
    """
    note = extra.get(ABOUT_ACCURACY)
    if not isinstance(note, dict):
        return None
    genes, metrics = note.get("genes"), note.get("metrics")
    if not _is_names(metrics):
        return None
    if genes is None:
        return Noted(None, tuple(metrics))
    if not _is_names(genes):
        return None
    return Noted(tuple(genes), tuple(metrics))


def _is_names(value: object) -> TypeGuard[list[str]]:
    """Whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
