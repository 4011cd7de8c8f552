"""Makes the shipped models of NAS-Bench-201's accuracy on arrays, and says what they are worth.

    python benchmarks/nasbench201_analog.py FILE.csv [--write]

The file is AnalogNAS-Bench's for CIFAR-10 (arXiv 2506.18495; package MIT, code Apache-2.0): accuracies of
NAS-Bench-201 cells that others measured, rounded for digital arrays and fine-tuned for phase-change memory, a day
after writing. Each kind of predictor is fitted on the first 50, 100 and 200 cells of three shuffles and compared
with 1,500 that none saw. --write makes data/accuracy/nasbench201-*.cimpred of 3,000 cells. Writes
nasbench201_analog.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import kendalltau

import predictors
from cimbo.evaluation.accuracy.published import features
from cimbo.evaluation.accuracy.published_table import (
    COLUMN_OF_ARRAY,
    PublishedTable,
    measured_cells,
)
from cimbo.workloads import network
from predictors import Feature, Schema

NETWORK = "nasbench201-analog"
FOLDER = Path(__file__).resolve().parents[1] / "data" / "accuracy"
FILE_OF_ARRAY = {"digital_sram": "nasbench201-digital", "rram": "nasbench201-pcm-day"}
TRAINING_SIZES = (50, 100, 200)
SEEDS = (0, 1, 2)
HELD_OUT = 1500
SHIPPED_ROWS = 3000
SHIPPED_KIND = "xgboost"
KINDS = ("auto", "hybrid", "gp", "xgboost")
USABLE = 60.0  # percent; below it stand cells of little use, whose accuracies scatter
Z_90 = 1.6449
Rows = list[dict[str, Any]]


def schema(row: dict[str, Any]) -> Schema:
    """The edges, and what a row describes besides."""
    found = []
    edges = {choice.name: choice.values for choice in network(NETWORK).choices()}
    for name in row:
        if name in edges:
            found.append(Feature(name, "nominal", edges[name]))
        else:
            found.append(Feature(name, "numeric"))
    return Schema(tuple(found), "accuracy", "%")


def read(file: Path, array: str) -> tuple[Rows, np.ndarray]:
    """Features and accuracies of the family's cells, in the order of the file; of doubles the mean."""
    table = PublishedTable(str(file))
    first = network(NETWORK).choices()[0].values
    rows, known = [], []
    for cell in measured_cells(file, COLUMN_OF_ARRAY[array]):
        if cell["edge_1"] in first:
            rows.append(features(NETWORK, cell))
            known.append(table.measure({**cell, "array": array}))
    return rows, np.array(known)


def compared(model: Any, rows: Rows, known: np.ndarray) -> dict[str, float]:
    """A model against cells that it did not see."""
    predicted = model.predict(rows)
    error = predicted.mean - known
    usable = known > USABLE
    return {
        "kendall_tau": float(kendalltau(predicted.mean, known).statistic),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "rmse_above_60": float(np.sqrt(np.mean(error[usable] ** 2))),
        "median_error": float(np.median(np.abs(error))),
        "coverage_90": float(np.mean(np.abs(error) <= Z_90 * predicted.std)),
    }


def fitted(data: tuple[Rows, np.ndarray], kind: str, size: int, seed: int) -> dict[str, float]:
    """One fit, against the last cells of the same shuffle."""
    rows, known = data
    order = np.random.default_rng(seed).permutation(len(rows))
    train, test = order[:size], order[-HELD_OUT:]
    model = predictors.fit([rows[i] for i in train], known[train], schema(rows[0]), kind)
    return compared(model, [rows[i] for i in test], known[test])


def at_size(data: tuple[Rows, np.ndarray], kind: str, size: int) -> dict[str, Any]:
    """One kind, fitted on ``size`` cells of every shuffle: means."""
    started = time.process_time()
    results = [fitted(data, kind, size, seed) for seed in SEEDS]
    mean = {name: fmean(result[name] for result in results) for name in results[0]}
    seconds = (time.process_time() - started) / len(SEEDS)
    return {"kind": kind, "rows": size, **mean, "cpu_s_a_fit": seconds}


def shipped(data: tuple[Rows, np.ndarray], array: str, *, write: bool) -> dict[str, Any]:
    """The bundle; its error is that on all cells that it was not fitted on."""
    rows, known = data
    order = np.random.default_rng(0).permutation(len(rows))
    train, others = order[:SHIPPED_ROWS], order[SHIPPED_ROWS:]
    model = predictors.fit([rows[i] for i in train], known[train], schema(rows[0]), SHIPPED_KIND)
    error = compared(model, [rows[i] for i in others], known[others])
    file = FOLDER / f"{FILE_OF_ARRAY[array]}.cimpred"
    if write:
        predictors.save(model, file, licence="MIT (accuracies: AnalogNAS-Bench)")
    size = file.stat().st_size if file.exists() else 0
    counts = {"trained_on": len(train), "held_out": len(others), "bytes": size}
    return {"kind": model.kind, **counts, **error, "file": f"data/accuracy/{file.name}"}


def main() -> None:
    """Fits, compares and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    answer: dict[str, Any] = {"command": "python benchmarks/nasbench201_analog.py FILE.csv"}
    for array in COLUMN_OF_ARRAY:
        data = read(asked.file, array)
        found: dict[str, Any] = {"cells": len(data[0]), "column": COLUMN_OF_ARRAY[array]}
        found["bundle"] = shipped(data, array, write=asked.write)
        print(array, found, flush=True)
        found["by_size"] = []
        for size in TRAINING_SIZES:
            for kind in KINDS:
                found["by_size"].append(at_size(data, kind, size))
                print(array, found["by_size"][-1], flush=True)
        answer[array] = found
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
