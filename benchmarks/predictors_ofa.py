"""How well the predictors do on measured ImageNet accuracies of OFA-MobileNetV3 sub-networks, growing forward.

Train on the first n rows that a search met, predict all that it met later; then transfer from one run to another.

    python benchmarks/predictors_ofa.py [FILE.csv ...] [--kinds auto,gp,hybrid,xgboost] [--json]

Columns of a file: Sub-network (a literal with ks, e, d), MACs, Model Parameters, Top-1 Acc (%). Without files: the runs
of ../shared/data. Lines on stdout: file, kind, n, Kendall tau, RMSE in points, coverage and mean width of the 90 %
intervals, CPU seconds to fit and predict.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import predictors
from predictors import Feature, Schema

SIZES = (50, 100, 200)
LEVELS = {"depth": (2, 3, 4), "kernel": (3, 5, 7), "expand": (3, 4, 6)}
GENES = [f"depth_{s}" for s in range(5)] + [
    f"{g}_{i}" for g in ("kernel", "expand") for i in range(20)
]
SCHEMA = Schema(
    (
        *(Feature(n, "ordinal", LEVELS[n.split("_")[0]]) for n in GENES),
        Feature("macs", "numeric"),
        Feature("parameters", "numeric"),
    ),
    "top1",
    "%",
)


def read(path: Path) -> tuple[list[dict[str, float]], np.ndarray]:
    """Canonical genes (blocks beyond a stage's depth are absent) with MACs and parameters; accuracies (n,)."""
    rows, accuracy = [], []
    with path.open() as file:
        for line in csv.DictReader(file):
            genes = ast.literal_eval(line["Sub-network"])
            row = {f"depth_{s}": d for s, d in enumerate(genes["d"])}
            for i in (4 * s + b for s, d in enumerate(genes["d"]) for b in range(d)):
                row |= {f"kernel_{i}": genes["ks"][i], f"expand_{i}": genes["e"][i]}
            rows.append(
                row | {"macs": float(line["MACs"]), "parameters": float(line["Model Parameters"])}
            )
            accuracy.append(float(line["Top-1 Acc (%)"]))
    return rows, np.array(accuracy)


def forward(path: Path, kind: str) -> list[dict[str, object]]:
    rows, accuracy = read(path)
    found = []
    for n in SIZES:
        start = time.process_time()
        scores = predictors.grow_forward(rows, accuracy, kind, (n,), SCHEMA)
        seconds = time.process_time() - start
        found += [
            {"file": path.name, "kind": kind, "train": n, **vars(s), "cpu_s": seconds}
            for s in scores.values()
        ]
    return found


def transfer(old: Path, new: Path) -> list[dict[str, object]]:
    """The second run's rest predicted from its first rows, with and without a model of the first run."""
    older = predictors.fit(*read(old), SCHEMA, "gp")
    rows, accuracy = read(new)
    found: list[dict[str, object]] = []
    for n in (10, 25, 50):
        for kind, mean in (("gp", None), ("gp + older run", older)):
            model = predictors.fit(rows[:n], accuracy[:n], SCHEMA, "gp", mean=mean)
            scores = predictors.score(accuracy[n:], model.predict(rows[n:]))
            found.append({"file": new.name, "kind": kind, "train": n, **vars(scores), "cpu_s": 0.0})
    return found


def line(r: dict[str, object]) -> str:
    figures = "tau {kendall_tau:.3f}  rmse {rmse:.3f}  cover {coverage_90:.2f}  width {sharpness:.2f}  {cpu_s:.1f} s"
    return "{file:36s} {kind:14s} {train:4d}  ".format(**r) + figures.format(**r)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--kinds", default="auto,gp,hybrid,xgboost")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    files = asked.files or sorted(
        (Path(__file__).resolve().parents[2] / "shared" / "data").glob("ofa_mbv3_*.csv")
    )
    if not files:
        sys.exit("no runs: name CSV files")
    results = [r for path in files for kind in asked.kinds.split(",") for r in forward(path, kind)]
    if len(files) > 1:
        results += transfer(files[0], files[1])
    print(json.dumps(results, indent=1) if asked.json else "\n".join(map(line, results)))


if __name__ == "__main__":
    main()
