"""Makes the shipped models of elastic GPT-2's perplexity, and says what they are worth.

    python benchmarks/hwgpt_perplexity.py SMALL.csv MEDIUM.csv [--write]

The files hold answers of the perplexity surrogate that HW-GPT-Bench ships (Sukthanker et al., arXiv 2405.10299, Apache-2.0),
which was fitted there to perplexities on OpenWebText: a model of a model. Columns: layers, embedding, heads and mlp_ratios
(joined by "-", a block each), bias, perplexity. Each kind of predictor is fitted on the first 50, 100 and 200 rows of three
shuffles and compared with 1,000 rows that none saw. --write makes data/accuracy/gpt2-*.cimpred of 350 rows. Writes
hwgpt_perplexity.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

import predictors
from cimbo.evaluation.accuracy.published import features
from cimbo.workloads import network
from predictors import Feature, Schema

FOLDER = Path(__file__).resolve().parents[1] / "data" / "accuracy"
TRAINING_SIZES = (50, 100, 200)
SEEDS = (0, 1, 2)
HELD_OUT = 1000
SHIPPED_ROWS = 350
KINDS = ("auto", "hybrid", "gp", "xgboost")
Row = dict[str, float]


def schema(family: str) -> Schema:
    """The genes, and the sizes of the network."""
    genes = [Feature(c.name, "ordinal", c.values) for c in network(family).choices()]
    sizes = (Feature("log_macs", "numeric"), Feature("log_parameters", "numeric"))
    return Schema((*genes, *sizes), "perplexity", "1")


def design_of(line: dict[str, str]) -> dict[str, int]:
    """A line as genes."""
    design = {"embed": int(line["embedding"]), "depth": int(line["layers"])}
    design["bias"] = int(line["bias"])
    for gene, column in (("heads", "heads"), ("mlp", "mlp_ratios")):
        for block, value in enumerate(line[column].split("-"), 1):
            design[f"{gene}_{block}"] = int(value)
    return design


def read(family: str, file: Path) -> tuple[list[Row], np.ndarray]:
    """Features and perplexities of a file."""
    with file.open() as lines:
        found = list(csv.DictReader(lines))
    rows = [features(family, design_of(line)) for line in found]
    return rows, np.array([float(line["perplexity"]) for line in found])


def compared(model: Any, rows: list[Row], known: np.ndarray) -> dict[str, float]:
    """A model against rows that it did not see."""
    predicted = model.predict(rows)
    error = predicted.mean - known
    return {
        "kendall_tau": float(kendalltau(predicted.mean, known).statistic),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "coverage_90": float(np.mean(np.abs(error) <= 1.6449 * predicted.std)),
    }


def at_size(
    family: str, data: tuple[list[Row], np.ndarray], kind: str, size: int
) -> dict[str, Any]:
    """One kind, fitted on ``size`` rows of every shuffle."""
    rows, known = data
    started, results, chosen = time.process_time(), [], []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(rows))
        train, test = order[:size], order[-HELD_OUT:]
        train_rows = [rows[i] for i in train]
        model = predictors.fit(train_rows, known[train], schema(family), kind)
        chosen.append(model.kind)
        results.append(compared(model, [rows[i] for i in test], known[test]))
    mean = {name: float(np.mean([r[name] for r in results])) for name in results[0]}
    mean |= {"least_tau": min(r["kendall_tau"] for r in results)}
    seconds = (time.process_time() - started) / len(SEEDS)
    return {"kind": kind, "rows": size, "chosen": chosen, **mean, "cpu_s_a_fit": seconds}


def shipped(family: str, data: tuple[list[Row], np.ndarray], *, write: bool) -> dict[str, Any]:
    """The bundle: rows spread evenly over the perplexities; its error is that on all others."""
    rows, known = data
    spread = np.unique(np.linspace(0, len(rows) - 1, SHIPPED_ROWS).astype(int))
    train = np.argsort(known)[spread]
    model = predictors.fit([rows[i] for i in train], known[train], schema(family), "gp")
    others = np.setdiff1d(np.arange(len(rows)), train)
    error = compared(model, [rows[i] for i in others], known[others])
    file = FOLDER / f"{family}.cimpred"
    if write:
        predictors.save(model, file, licence="Apache-2.0 (perplexities: HW-GPT-Bench)")
    size = file.stat().st_size if file.exists() else 0
    return {"kind": model.kind, "trained_on": len(train), "held_out": len(others), **error} | {
        "file": f"data/accuracy/{file.name}",
        "bytes": size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("small", type=Path)
    parser.add_argument("medium", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    answer: dict[str, Any] = {"command": "python benchmarks/hwgpt_perplexity.py SMALL MEDIUM"}
    for family, file in (("gpt2-s", asked.small), ("gpt2-m", asked.medium)):
        data = read(family, file)
        found = {"rows": len(data[0]), "perplexity": [float(data[1].min()), float(data[1].max())]}
        found["bundle"] = shipped(family, data, write=asked.write)
        print(family, found, flush=True)
        sizes = []
        for size in TRAINING_SIZES:
            for kind in KINDS:
                sizes.append(at_size(family, data, kind, size))
                print(family, sizes[-1], flush=True)
        answer[family] = found | {"by_size": sizes}
        file = Path(__file__).with_suffix(".json")
        file.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
