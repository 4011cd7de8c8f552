"""Chips that an architect might start from, to compare what a search finds with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.analysis.attribution import ROUNDING_TOLERANCE, Evaluator, agree
from cimbo.problem.space import Params, SearchSpace

N_RANDOM_CHIPS = 4000


def baselines(
    space: SearchSpace, evaluator: Evaluator, network: Params, drawn: Params, *, seed: int = 0
) -> dict[str, Params]:
    """Find chips that an architect might start from instead of the drawn one.

    All but the one with more converter bits keep the genes that shape the accuracy, and none but
    that one is larger than the drawn chip.

    Args:
        space: The space of the study.
        evaluator: Computes costs, and knows which genes shape the accuracy.
        network: Genes of the network that runs on the chips.
        drawn: Genes of the chip that was drawn by hand.
        seed: Seed of the 4000 random chips.

    Returns:
        Chips by name: the drawn one; the fastest of those with at most one gene at another value;
        the median in latency of the random chips that have 80 to 100 % of its area, where there are
        any; and the drawn one with the most converter bits listed, where it has converters. The
        drawn one alone where costs cannot be computed.
    """
    if not evaluator.analytic_costs():
        return {"drawn": drawn}
    start = _DrawnChip.of(SearchSpace((), space.hardware), evaluator, network, drawn)
    found = {"drawn": drawn, "drawn, its best single knob turned": start.tuned()}
    median = start.median_of_random(seed)
    if median is not None:
        found["median of random chips of its area"] = median
    if "adc_bits" in drawn:
        most = start.chips.choices[start.chips.column["adc_bits"]].values[-1]
        found[f"drawn with {most}-bit converters (larger)"] = {**drawn, "adc_bits": most}
    return found


@dataclass(frozen=True)
class _DrawnChip:
    """A chip drawn by hand, the space of chips around it, and its ``area_mm2`` with room for rounding."""

    chips: SearchSpace
    evaluator: Evaluator
    network: Params
    drawn: Params
    area_mm2: float

    @classmethod
    def of(
        cls, chips: SearchSpace, evaluator: Evaluator, network: Params, drawn: Params
    ) -> _DrawnChip:
        """Find its area."""
        area = evaluator.costs([{**network, **drawn}])["area_mm2"][0]
        return cls(chips, evaluator, network, drawn, area * (1 + ROUNDING_TOLERANCE))

    def tuned(self) -> Params:
        """The fastest chip, no larger, that differs in at most one gene which does not shape the accuracy."""
        fixed = self.evaluator.accuracy_genes()
        candidates = [self.drawn]
        for chip in self.chips.neighbours(self.drawn):
            if agree(chip, self.drawn, fixed):
                candidates.append(chip)
        costs = self._costs(candidates)
        fits = costs["area_mm2"] <= self.area_mm2
        return candidates[int(np.argmin(np.where(fits, costs["latency_ms"], np.inf)))]

    def median_of_random(self, seed: int) -> Params | None:
        """The random chip of median latency among those of about its area; None where there are none."""
        fixed = self.evaluator.accuracy_genes()
        kept = {gene: self.drawn[gene] for gene in fixed if gene in self.drawn}
        random = []
        for chip in self.chips.sobol(N_RANDOM_CHIPS, seed):
            random.append(self.chips.canonical({**chip, **kept}))
        costs = self._costs(random)
        area = costs["area_mm2"]
        alike = np.flatnonzero((area <= self.area_mm2) & (area >= 0.8 * self.area_mm2))
        if not len(alike):
            return None
        by_latency = alike[np.argsort(costs["latency_ms"][alike])]
        return random[int(by_latency[len(by_latency) // 2])]

    def _costs(self, chips: Sequence[Params]) -> Mapping[str, NDArray[np.float64]]:
        return self.evaluator.costs([{**self.network, **chip} for chip in chips])
