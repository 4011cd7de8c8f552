"""How ratios modelled over reported lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How ratios modelled/reported of n points lie: median, share within a factor of two, geometric spread."""

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
            How they lie; of no ratios, everything but ``n`` is not a number.
        """
        if not len(ratios):
            return cls(0, math.nan, math.nan, math.nan)
        logs = np.log(np.asarray(ratios, float))
        within = np.abs(logs) <= math.log(2)
        spread = float(np.exp(np.std(logs)))
        return cls(len(logs), float(np.exp(np.median(logs))), float(np.mean(within)), spread)

    def to_json(self) -> dict[str, Any]:
        """Write the figures for JSON, which has no word for what is not a number.

        Returns:
            Every attribute by name; None for what is not finite.
        """
        values = {"median": self.median, "within_2x": self.within_2x, "spread": self.spread}
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        return {"n": self.n} | known
