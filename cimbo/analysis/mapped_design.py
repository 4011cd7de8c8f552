"""A network on a chip, as the chip model takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo import hardware
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.hardware import DEFAULT_GENES
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads.layers import Workload

Array = NDArray[np.float64]
COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")


@dataclass(frozen=True)
class Placed:
    """``workload`` on ``chip``, whose genes the study may choose among ``choices``.

    Those of ``kept`` stay, as accuracy depends on them.
    """

    workload: Workload
    chip: Mapping[str, Any]
    choices: Sequence[Choice]
    kept: frozenset[str]

    @property
    def full(self) -> dict[str, Any]:
        """Every gene of the chip, defaults filled in."""
        return {**DEFAULT_GENES, **self.chip}

    def costs(self, changes: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
        """Compute the costs of the chip with some genes changed.

        Args:
            changes: The n changes, each a mapping of gene to its new value; an empty one changes
                nothing.

        Returns:
            Columns as ``hardware.simulate_batch`` gives them, each (n,): latency_ms, energy_uj,
            area_mm2, clock_ns and others.

        Raises:
            BadInput: A change makes no chip.
        """
        full = self.full
        return hardware.simulate_batch(self.workload, [full | dict(change) for change in changes])

    def steps(self) -> Iterator[tuple[str, Any, Any]]:
        """(gene, value now, next value below or above) for every ordered gene that accuracy does not depend on."""
        for choice in self.choices:
            if choice.ordered and choice.name not in self.kept:
                now = self.full[choice.name]
                for value in choice.values_beside(now):
                    yield choice.name, now, value


def place(
    evaluator: StudyEvaluator, space: SearchSpace, designs: Sequence[Mapping[str, Any]]
) -> list[Placed]:
    """Split designs of a study into network and chip, as the chip model takes them.

    Args:
        evaluator: The study's evaluator, which knows the network of a design.
        space: The space of the study; its chip genes are those that a step may change.
        designs: The designs, by gene.

    Returns:
        The designs in the same order.

    Raises:
        BadInput: The evaluator does not know the layers of a design.
    """
    kept = evaluator.accuracy_genes()
    return [Placed(*evaluator.placed(design), space.hardware, kept) for design in designs]
