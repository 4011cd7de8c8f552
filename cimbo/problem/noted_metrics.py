"""Metrics of one design, with what is kept in the study beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
