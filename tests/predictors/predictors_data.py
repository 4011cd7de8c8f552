"""Data for the predictors' tests: a small synthetic search, and the measured runs where they are at hand."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np
import pytest

from predictors import Feature, Schema

RUNS = Path(__file__).resolve().parents[3] / "shared" / "data"


def space(log: bool = False) -> Schema:
    """Two stages of up to three blocks, a chip of two kinds, one derived feature."""
    genes = [Feature(f"kernel_{i}", "ordinal", (3, 5, 7)) for i in range(6)]
    depths = [Feature(f"depth_{s}", "ordinal", (1, 2, 3)) for s in range(2)]
    chip = [
        Feature("array", "nominal", ("analog", "digital", "rram")),
        Feature("log_macs", "numeric"),
    ]
    return Schema((*depths, *genes, *chip), "accuracy", "%", log=log)


def designs(n: int, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        depth = rng.integers(1, 4, 2)
        row: dict = {f"depth_{s}": int(d) for s, d in enumerate(depth)}
        blocks = [3 * s + b for s in range(2) for b in range(depth[s])]
        row |= {f"kernel_{i}": int(rng.choice([3, 5, 7])) for i in blocks}
        row["array"] = str(rng.choice(["analog", "digital", "rram"]))
        row["log_macs"] = float(np.log(sum(row[f"kernel_{i}"] ** 2 for i in blocks)))
        rows.append(row)
    return rows


def truth(row: dict) -> float:
    """Additive, with a saturating cost and one interaction."""
    blocks = sum(0.3 * row.get(f"kernel_{i}", 0) ** 0.5 for i in range(6))
    kind = {"analog": -0.5, "digital": 0.0, "rram": -1.0}[row["array"]]
    return 70 + blocks + 2 * np.tanh(row["log_macs"] - 4) + kind * (1 + 0.2 * row["depth_0"])


def measured(name: str) -> tuple[list[dict], np.ndarray, Schema]:
    """A measured OFA-MobileNetV3 run: canonical genes with parameters and MACs, top-1 accuracy, in order."""
    path = RUNS / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    found, accuracy = [], []
    with path.open() as file:
        for line in csv.DictReader(file):
            genes = ast.literal_eval(line["Sub-network"])
            row: dict = {f"depth_{s}": d for s, d in enumerate(genes["d"])}
            for i in (4 * s + b for s, d in enumerate(genes["d"]) for b in range(d)):
                row |= {f"kernel_{i}": genes["ks"][i], f"expand_{i}": genes["e"][i]}
            found.append(
                row | {"macs": float(line["MACs"]), "parameters": float(line["Model Parameters"])}
            )
            accuracy.append(float(line["Top-1 Acc (%)"]))
    levels = {"depth": (2, 3, 4), "kernel": (3, 5, 7), "expand": (3, 4, 6)}
    names = sorted({n for row in found for n in row} - {"macs", "parameters"})
    genes = [Feature(n, "ordinal", levels[n.split("_")[0]]) for n in names]
    numeric = [Feature("macs", "numeric"), Feature("parameters", "numeric")]
    return found, np.array(accuracy), Schema((*genes, *numeric), "top1", "%")
