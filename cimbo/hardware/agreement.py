"""Summary statistics of the ratios of modelled to reported figures of chips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Summary of ``n`` ratios of a modelled to a reported figure.

    Attributes:
        n: Number of ratios.
        median: Geometric median, exp(median(log ratio)); 1 where the model is right on the whole.
        within_2x: Fraction of the ratios between 1/2 and 2.
        spread: Geometric standard deviation, exp(std(log ratio)); 1 where all ratios are the same.
    """

    n: int
    median: float
    within_2x: float
    spread: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Agreement:
        """Summarise ratios.

        Args:
            ratios: Modelled over reported, all positive, (n,).

        Returns:
            Their summary. Without any ratio ``n`` is 0 and the other figures are NaN.
        """
        if not len(ratios):
            return cls(0, math.nan, math.nan, math.nan)
        logs = np.log(np.asarray(ratios, float))
        within = np.abs(logs) <= math.log(2)
        spread = float(np.exp(np.std(logs)))
        return cls(len(logs), float(np.exp(np.median(logs))), float(np.mean(within)), spread)

    def to_json(self) -> dict[str, Any]:
        """Write the figures for JSON, which cannot express NaN.

        Returns:
            Every attribute by name; None instead of NaN or infinity.
        """
        values = {"median": self.median, "within_2x": self.within_2x, "spread": self.spread}
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        return {"n": self.n} | known
