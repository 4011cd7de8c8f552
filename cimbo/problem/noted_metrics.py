"""Metrics of one design, with what is kept in the study beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTES_OF_ERROR = "cimbo_notes"  # attribute of an error


class NotedMetrics(dict[str, float]):
    """Metrics by name, and ``about``: JSON that is kept in the ``extra`` of the evaluation's record.

    Attributes:
        about: What an evaluator says of how it measured.
    """

    def __init__(
        self, metrics: Mapping[str, float], about: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(metrics)
        self.about = dict(about or {})


def about(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return what an evaluator said beside its metrics.

    Args:
        metrics: What it returned.

    Returns:
        JSON by name; empty for plain metrics.
    """
    if isinstance(metrics, NotedMetrics):
        return dict(metrics.about)
    return {}


def note_on_failure(error: BaseException, notes: Mapping[str, Any]) -> None:
    """Say on an error what is kept beside the failed evaluation.

    Args:
        error: What an evaluator raises.
        notes: JSON by name.
    """
    vars(error)[NOTES_OF_ERROR] = {**about_failure(error), **notes}


def about_failure(error: BaseException) -> dict[str, Any]:
    """Return what `note_on_failure` said.

    Args:
        error: What an evaluator raised.

    Returns:
        JSON by name; empty where nothing was said.
    """
    return dict(vars(error).get(NOTES_OF_ERROR, {}))
