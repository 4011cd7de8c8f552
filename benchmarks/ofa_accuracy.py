"""Makes the shipped model of OFA-MobileNetV3's ImageNet accuracy from measured sub-networks, and says what it is worth.

    python benchmarks/ofa_accuracy.py RUN.csv RUN.csv ... [--write]

Runs: the search logs of OFA-MobileNetV3 (width 1.0, 224 pixels) in the repository IntelLabs/DyNAS-T (Apache-2.0), with the
columns "Sub-network" (a literal with ks, e, d) and "Top-1 Acc (%)". Error: each run is predicted from the others, on
sub-networks that these did not measure. --write makes data/accuracy/ofa-mobilenetv3.cimpred. Writes ofa_accuracy.json.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

import predictors
from cimbo.evaluation.accuracy.published import features
from cimbo.workloads import network
from predictors import Feature, Schema

FAMILY = "ofa-mobilenetv3"
OUT = Path(__file__).resolve().parents[1] / "data" / "accuracy" / f"{FAMILY}.cimpred"
ROWS = 350
Rows = dict[str, tuple[dict[str, float], list[float]]]


def schema() -> Schema:
    genes = [
        Feature(c.name, "ordinal", c.values)
        for c in network(FAMILY).choices()
        if c.name != "resolution"
    ]
    return Schema(
        (*genes, Feature("log_macs", "numeric"), Feature("log_parameters", "numeric")),
        "accuracy",
        "%",
    )


def read(path: Path) -> Rows:
    """Different sub-networks of a run in the order of their first measurement: features, and every accuracy measured."""
    found: Rows = {}
    with path.open() as file:
        for line in csv.DictReader(file):
            genes = ast.literal_eval(line["Sub-network"])
            design = {"resolution": 224}
            for stage, depth in enumerate(genes["d"]):
                design[f"depth_{stage + 1}"] = depth
                for block in range(depth):
                    i = 4 * stage + block
                    names = (f"kernel_{stage + 1}_{block + 1}", f"expand_{stage + 1}_{block + 1}")
                    design |= dict(zip(names, (genes["ks"][i], genes["e"][i]), strict=True))
            row = features(FAMILY, design)
            found.setdefault(json.dumps(row), (row, []))[1].append(float(line["Top-1 Acc (%)"]))
    return found


def merged(runs: list[Rows]) -> Rows:
    found: Rows = {}
    for run in runs:
        for key, (row, values) in run.items():
            found.setdefault(key, (row, []))[1].extend(values)
    return found


def fit(rows: Rows) -> predictors.Model:
    """A model of at most ROWS sub-networks, spread evenly over the accuracies: a process holds a matrix of them."""
    ordered = sorted(((r, float(np.mean(v))) for r, v in rows.values()), key=lambda pair: pair[1])
    kept = [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, ROWS).astype(int))]
    return predictors.fit([r for r, _ in kept], [y for _, y in kept], schema(), "gp")


def held_out(run: Rows, others: Rows) -> dict[str, float]:
    """Errors in points on the sub-networks of ``run`` that ``others`` lacks."""
    new = [(r, np.mean(v)) for key, (r, v) in run.items() if key not in others]
    model = fit(others)
    predicted, measured = model.predict([r for r, _ in new]), np.array([y for _, y in new])
    error = predicted.mean - measured
    inside = np.abs(error) <= 1.6449 * predicted.std
    return {
        "kind": model.kind,
        "trained_on": len(others),
        "n": len(new),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "bias": float(error.mean()),
        "largest": float(np.abs(error).max()),
        "coverage_90": float(inside.mean()),
        "kendall_tau": float(kendalltau(predicted.mean, measured).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    runs = {path.stem: read(path) for path in asked.runs}
    errors = {
        name: held_out(run, merged([r for n, r in runs.items() if n != name]))
        for name, run in runs.items()
    }
    rows = merged(list(runs.values()))
    top = [float(np.mean(v)) for _, v in rows.values()]
    macs = [np.exp(r["log_macs"]) / 1e6 for r, _ in rows.values()]
    answer = {
        "command": "python benchmarks/ofa_accuracy.py "
        + " ".join(p.name for p in asked.runs)
        + " --write",
        "sub_networks": len(rows),
        "accuracy": [min(top), max(top)],
        "mega_macs": [min(macs), max(macs)],
        "leave_one_run_out": errors,
    }
    if asked.write:
        model = fit(rows)
        predictors.save(model, OUT, licence="Apache-2.0 (measurements: IntelLabs/DyNAS-T)")
        answer |= {
            "bundle": {
                "file": f"data/accuracy/{OUT.name}",
                "kind": model.kind,
                "bytes": OUT.stat().st_size,
            }
        }
    print(json.dumps(answer, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
