"""Our Gaussian process beside BoTorch's models: CPU-seconds of a fit, and held-out accuracy.

    python benchmarks/surrogates.py [KIND ...]

Fit time: hyper-parameters and posterior of 200 rows of 60 ordinal genes, one thread, the median of three.
Accuracy: trained on 80 designs of a synthetic joint space with inactive genes and a nominal (that of
tests/predictors), tested on 60 others, three seeds.
Writes surrogates.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import predictors
from predictors import Feature, Schema, gp
from predictors.core import Task
from predictors.interfaces.botorch_models import NAMED_MODELS, ModelInputs, ModelMaker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "predictors"))
from predictors_data import designs, space, truth

OUT = Path(__file__).with_suffix(".json")
N_ROWS, N_GENES, N_REPEATS = 200, 60, 3
N_TRAIN, N_TEST = 80, 60
GENE_VALUES = (1, 2, 3, 4)
KINDS = ("gp", *(f"botorch:{name}" for name in NAMED_MODELS))


def task(seed: int) -> Task:
    """A standardised task of saturating effects and a few interactions."""
    rng = np.random.default_rng(seed)
    table = rng.choice(GENE_VALUES, (N_ROWS, N_GENES)).astype(float)
    y = np.sqrt(table) @ rng.normal(0, 1, N_GENES)
    y += table[:, 0] * table[:, 1] + rng.normal(0, 0.1, N_ROWS)
    schema = Schema(tuple(Feature(f"x{j}", "ordinal", GENE_VALUES) for j in range(N_GENES)))
    return Task(schema, schema.encode(table), (y - y.mean()) / y.std(), np.zeros(N_ROWS), seed)


def fit_seconds(kind: str) -> float:
    """CPU-seconds of one fit, without held-out predictions and calibration."""
    found = []
    for seed in range(N_REPEATS):
        given = task(seed)
        start = time.process_time()
        if kind == "gp":
            gp.fit(given)
        else:
            maker = ModelMaker(kind, NAMED_MODELS[kind.split(":")[1]])
            if kind == "botorch:MixedSingleTaskGP":
                maker = ModelMaker(kind, NAMED_MODELS["SingleTaskGP"])  # no nominal here
            inputs = ModelInputs.of(given.schema, given.encoded, categorical=False)
            maker.fitted(inputs, given)
        found.append(time.process_time() - start)
    return float(np.median(found))


def accuracy(kind: str) -> dict[str, float]:
    """Medians over the seeds."""
    scores = []
    for seed in range(N_REPEATS):
        rows = designs(N_TRAIN + N_TEST, seed)
        noise = 0.02 * np.random.default_rng(seed).standard_normal(len(rows))
        y = np.array([truth(row) for row in rows]) + noise
        model = predictors.fit(rows[:N_TRAIN], y[:N_TRAIN], space(), kind)
        scores.append(predictors.score(y[N_TRAIN:], model.predict(rows[N_TRAIN:])))
    names = ("rmse", "kendall_tau", "coverage_90")
    return {name: round(float(np.median([getattr(s, name) for s in scores])), 3) for name in names}


def main() -> None:
    """Measure the kinds that are named, or all, and keep the figures of the others."""
    torch.set_num_threads(1)
    known = json.loads(OUT.read_text())["kinds"] if OUT.exists() else {}
    about = {"fit_rows": N_ROWS, "fit_features": N_GENES, "train": N_TRAIN, "test": N_TEST}
    for kind in sys.argv[1:] or KINDS:
        known[kind] = {"fit_cpu_s": round(fit_seconds(kind), 2), **accuracy(kind)}
        print(kind, known[kind], flush=True)
        OUT.write_text(json.dumps({"about": about, "kinds": known}, indent=1) + "\n")


if __name__ == "__main__":
    main()
