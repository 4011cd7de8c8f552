"""A small joint problem whose evaluation is instant, for drills with the real search."""

import os
from pathlib import Path
from typing import Any

import vices

from cimbo import Choice, Objective, SearchSpace
from cimbo.study.study import Study

SPACE = SearchSpace(
    architecture=[Choice(f"width{i}", [8, 16, 24, 32, 48, 64]) for i in range(4)],
    hardware=[
        Choice("rows", [64, 128, 256, 512]),
        Choice("adc_bits", [4, 5, 6, 7, 8]),
        Choice("cell", ["sram", "rram"]),
    ],
)
OBJECTIVES = [
    Objective("accuracy", "max", reference=40.0),
    Objective("latency_ms", "min", reference=12.0),
]


def study(path: str | os.PathLike[str] | None, seed: int = 0) -> Study:
    return Study.open(Path(path) if path else None, SPACE, OBJECTIVES, seed=seed)


def evaluate(params: dict[str, Any]) -> dict[str, float]:
    widths = [params[f"width{i}"] for i in range(4)]
    capacity = sum((i + 1) * width for i, width in enumerate(widths))
    noise = max(0, params["rows"] // 64 - 2 ** (params["adc_bits"] - 4)) * (
        1.5 if params["cell"] == "rram" else 1.0
    )
    work = sum(a * b for a, b in zip(widths, [3, *widths[:-1]], strict=True)) / 256
    time_ms = work / (params["rows"] / 64) ** 0.5 * (0.2 + 0.02 * 2 ** (params["adc_bits"] - 4))
    return {
        "accuracy": 90.0 - 2500.0 / (capacity + 30.0) - 0.7 * noise,
        "latency_ms": time_ms * (0.8 if params["cell"] == "rram" else 1.0) + 0.05,
    }


def faulty(params: dict[str, Any], share: float) -> Any:
    """The same, but ``share`` of the designs end badly, always the same ones."""
    vice = vices.vice(params, share)
    return vices.evaluate({"vice": vice, "x": 0.0}) if vice != "none" else evaluate(params)
