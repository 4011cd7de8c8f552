"""A small joint problem with inactive genes, whose every design can be measured in no time."""

import numpy as np

from cimbo import Choice, Constraint, Objective, SearchSpace

SPACE = SearchSpace(
    [
        Choice("depth", [1, 2, 3]),
        *(Choice(f"w{i}", [1, 2, 3, 4], {"depth": list(range(i, 4))}) for i in (1, 2, 3)),
    ],
    [Choice("rows", [64, 128, 256, 512]), Choice("cell", ["a", "b", "c"])],
)  # 1,008 designs
OBJECTIVES = (Objective("accuracy", "max", 60.0), Objective("latency_ms", "min", 3.0))
CONSTRAINTS = (Constraint("area_mm2", "<=", 40.0),)


def widths(design: dict) -> np.ndarray:
    return np.array([design.get(f"w{i}", 0) for i in (1, 2, 3)])


def measure(design: dict) -> dict[str, float]:
    """Wider and deeper is more accurate and slower; larger arrays are faster, and too large for the last cell."""
    accuracy = (
        60 + 5 * np.sqrt(widths(design)).sum() + {"a": 0.0, "b": 0.4, "c": 0.8}[design["cell"]]
    )
    latency = (
        0.1
        + widths(design).sum()
        * (16 / design["rows"] + 0.02)
        * {"a": 1.0, "b": 1.3, "c": 1.1}[design["cell"]]
    )
    return {
        "accuracy": float(accuracy),
        "latency_ms": float(latency),
        "area_mm2": float(area([design])[0]),
    }


def area(designs: list[dict]) -> np.ndarray:
    """Square millimetres of chips: exact and cheap."""
    return np.array([d["rows"] * {"a": 0.05, "b": 0.07, "c": 0.1}[d["cell"]] + 5 for d in designs])


def latency(designs: list[dict]) -> np.ndarray:
    return np.array([measure(d)["latency_ms"] for d in designs])
