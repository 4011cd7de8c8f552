"""Figures that nothing can measure: told of a design, they are refused before they are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.answers import ACCURACY, MOST_PERCENT, is_like_a_share
from cimbo.problem.fidelity import DEVIATION_SUFFIX
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.problem.units import is_amount, name_and_unit
from cimbo.storage import Record

# What every chip has more of than none, by the name of its metric without the unit
NEVER_ZERO = frozenset({"latency", "delay", "runtime", "time", "energy", "area"})


@dataclass(frozen=True)
class Ranges:
    """What told figures must keep to.

    Attributes:
        is_percent: Whether accuracies are percentages for certain.
        are_shares: Whether every accuracy that is known is one from 0 to 1 where percent is asked.
        targets: The metrics that the study is about: objectives and constraints.
    """

    is_percent: bool = False
    are_shares: bool = False
    targets: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        definition: Mapping[str, Any],
        told: Sequence[Mapping[str, float]],
        recorded: Iterable[Record],
        targets: Iterable[str] = (),
    ) -> Ranges:
        """Find out what figures must keep to.

        Args:
            definition: What the study file says of the study.
            told: Metrics that are told together, by design.
            recorded: The study's evaluations.
            targets: Its objectives and the metrics that it constrains.

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
        return cls(is_percent, are_shares, tuple(targets))

    def check(self, metrics: Mapping[str, float]) -> None:
        """Refuse what nothing can measure.

        Args:
            metrics: What is told of a design, by name.

        Raises:
            BadInput: An amount, such as a latency, is below 0, or a latency, energy or area that the
                study is about is 0; an accuracy is not from 0 to 100, or is a share where percent
                is asked; a fidelity, a deviation or an interval is impossible.
        """
        _check_notes(metrics)
        for name, value in metrics.items():
            if value < 0 and is_amount(name):
                what = f"is {value:g}, and such an amount is never negative"
                raise BadInput(name, what, "correct it, or say why the design failed")
            if value == 0 and name in self.targets and name_and_unit(name)[0] in NEVER_ZERO:
                what = "is 0, and no chip works in no time, without energy or without area"
                raise BadInput(name, what, "correct it, or say why the design failed")
            if self._is_accuracy(name) and not 0 <= value <= MOST_PERCENT:
                raise BadInput(name, f"is {value:g}", "tell percent, from 0 to 100")
        if self.are_shares and ACCURACY in metrics:
            share = metrics[ACCURACY]
            what = f"is {share:g}, below 1 percent as in every design that is known: a share"
            raise BadInput(ACCURACY, what, f"tell percent: {MOST_PERCENT * share:g}")

    def _is_accuracy(self, name: str) -> bool:
        """Whether a metric is a share of what is classified: the accuracy, and in percent what is told beside it."""
        if name == ACCURACY:
            return True
        if name.endswith((FIDELITY_SUFFIX, DEVIATION_SUFFIX)):
            return False
        return self.is_percent and name.startswith(f"{ACCURACY}_")


def _check_notes(metrics: Mapping[str, float]) -> None:
    """Raise BadInput where what is noted beside a metric is impossible: its fidelity, deviation or interval."""
    for name in metrics:
        fidelity = metrics.get(name + FIDELITY_SUFFIX)
        if fidelity is not None and not 0 < fidelity <= 1:
            todo = "give the share of the full measurement, above 0 and at most 1"
            raise BadInput(name + FIDELITY_SUFFIX, f"is {fidelity:g}", todo)
        deviation = metrics.get(name + DEVIATION_SUFFIX)
        if deviation is not None and deviation < 0:
            todo = "give a standard deviation of at least 0"
            raise BadInput(name + DEVIATION_SUFFIX, f"is {deviation:g}", todo)
        low = metrics.get(f"{name}_low")
        high = metrics.get(f"{name}_high")
        if low is not None and high is not None and low > high:
            what = f"is {low:g}, above {name}_high ({high:g})"
            raise BadInput(f"{name}_low", what, "correct one of them")
