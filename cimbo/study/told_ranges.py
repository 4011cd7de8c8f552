"""Figures that nothing can measure: told of a design, they are refused before they are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.answers import ACCURACY, MOST_PERCENT, is_like_a_share
from cimbo.problem.units import is_amount
from cimbo.storage import Record


@dataclass(frozen=True)
class Ranges:
    """What told figures must keep to.

    Attributes:
        is_percent: Whether accuracies are percentages for certain.
        are_shares: Whether every accuracy that is known is one from 0 to 1 where percent is asked.
    """

    is_percent: bool = False
    are_shares: bool = False

    @classmethod
    def of(
        cls,
        definition: Mapping[str, Any],
        told: Sequence[Mapping[str, float]],
        recorded: Iterable[Record],
    ) -> Ranges:
        """Find out what figures must keep to.

        Args:
            definition: What the study file says of the study.
            told: Metrics that are told together, by design.
            recorded: The study's evaluations.

        Returns:
            The ranges. Accuracies are percentages where the study's description names a network.
        """
        data = (definition.get("config") or {}).get("data") or {}
        is_percent = "network" in data
        every = []
        for metrics in (*told, *(record.metrics for record in recorded)):
            if ACCURACY in metrics:
                every.append(metrics[ACCURACY])
        are_shares = is_percent and all(map(is_like_a_share, every))
        return cls(is_percent, are_shares)

    def check(self, metrics: Mapping[str, float]) -> None:
        """Refuse what nothing can measure.

        Args:
            metrics: What is told of a design, by name.

        Raises:
            BadInput: An amount, such as a latency, is below 0; an accuracy in percent is not from 0
                to 100, or is a share.
        """
        for name, value in metrics.items():
            if value < 0 and is_amount(name):
                what = f"is {value:g}, and such an amount is never negative"
                raise BadInput(name, what, "correct it, or say why the design failed")
            is_accuracy = name == ACCURACY or name.startswith(f"{ACCURACY}_")
            if self.is_percent and is_accuracy and not 0 <= value <= MOST_PERCENT:
                raise BadInput(name, f"is {value:g}", "tell percent, from 0 to 100")
        if self.are_shares and ACCURACY in metrics:
            share = metrics[ACCURACY]
            what = f"is {share:g}, below 1 percent as in every design that is known: a share"
            raise BadInput(ACCURACY, what, f"tell percent: {MOST_PERCENT * share:g}")
