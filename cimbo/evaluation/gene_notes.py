"""Which genes an accuracy looked up and what it measured, as a study keeps it beside each evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

ABOUT_ACCURACY = "accuracy_from"
"""The name under which it stands in the ``extra`` of a record."""


@dataclass
class GeneNotes:
    """What all measurements that are known of looked up.

    Attributes:
        genes: Names of genes; None where nothing is known, or something may have looked at every gene.
        metrics: Names of what was measured.
        is_empty: Whether nothing is known yet.
    """

    genes: frozenset[str] | None = None
    metrics: set[str] = field(default_factory=set)
    is_empty: bool = True

    def learn(self, genes: Iterable[str] | None, metrics: Iterable[str]) -> None:
        """Take in one more measurement.

        Args:
            genes: What it looked up; None where that may be every gene.
            metrics: What it measured.
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
    """One measurement: the genes of the chip that it looked up, None for any, and the metrics that it gave."""

    genes: tuple[str, ...] | None
    metrics: tuple[str, ...]


def notes_in(extra: Mapping[str, Any]) -> Noted | None:
    """Read what stands beside the metrics of an evaluation.

    Args:
        extra: JSON of a record, which may come from anywhere.

    Returns:
        What is noted there; None where there is nothing of that form.
    """
    found = extra.get(ABOUT_ACCURACY)
    if not isinstance(found, dict):
        return None
    genes, metrics = found.get("genes"), found.get("metrics")
    if not _is_names(metrics):
        return None
    if genes is None:
        return Noted(None, tuple(metrics))
    if not _is_names(genes):
        return None
    return Noted(tuple(genes), tuple(metrics))


def _is_names(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
