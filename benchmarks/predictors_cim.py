"""How well the predictors do on the latency of sub-networks on chips, from genes alone and with derived features.

    python benchmarks/predictors_cim.py [--train 200] [--kinds gp,hybrid,xgboost] [--json]

Trains on random (network, chip) pairs of the performance model and predicts 800 others. Lines on stdout: network,
features, kind, Kendall tau, MAPE, coverage of the 90 % intervals, CPU seconds to fit, predictions a CPU second.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import predictors
from cimbo.hardware.features import features
from cimbo.hardware.model import simulate_batch
from cimbo.hardware.space import chip_choices
from cimbo.networks.mobilenet import ofa_mobilenet_v3
from cimbo.networks.vit import vit_b
from cimbo.space import SearchSpace
from predictors import Feature, Schema

TEST = 800


def pairs(network: Any, n: int) -> tuple[Schema, list[dict[str, Any]], list[dict[str, Any]], np.ndarray]:
    """The genes' schema, n designs, the same with derived features, and their latencies (n,) in ms."""
    chip = [c.name for c in chip_choices()]
    space = SearchSpace(architecture=network.choices(), hardware=chip_choices())
    designs = space.designs(space.canonical_rows(space.random_rows(n, np.random.default_rng(0))))
    workloads = [network.workload({k: v for k, v in d.items() if k not in chip}) for d in designs]
    chips = [{k: d[k] for k in chip} for d in designs]
    derived = features(workloads, chips)
    rich = [d | {k: float(v[i]) for k, v in derived.items()} for i, d in enumerate(designs)]
    genes = tuple(Feature(c.name, "ordinal" if c.ordered else "nominal", c.values) for c in space.choices)
    latency = simulate_batch(workloads, chips)["latency_ms"]
    return Schema(genes, "latency_ms", "ms", log=True), designs, rich, latency


def measure(rows: list[dict[str, Any]], y: np.ndarray, schema: Schema, kind: str) -> dict[str, Any]:
    n = len(y) - TEST
    start = time.process_time()
    model = predictors.fit(rows[:n], y[:n], schema, kind)
    fitted = time.process_time()
    table = np.tile(schema.table(rows[n:]), (25, 1))
    before = time.process_time()
    model.predict(table)
    speed = len(table) / (time.process_time() - before)
    scores = vars(predictors.score(y[n:], model.predict(rows[n:])))
    return {"kind": kind, **scores, "fit_cpu_s": fitted - start, "predictions_a_second": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--kinds", default="gp,hybrid,xgboost")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    results = []
    for network in (ofa_mobilenet_v3(), vit_b()):
        schema, designs, rich, latency = pairs(network, asked.train + TEST)
        added = tuple(Feature(k, "numeric") for k in rich[0] if k not in schema.names)
        richer = Schema((*schema.features, *added), "latency_ms", "ms", log=True)
        for name, rows, described in (("genes", designs, schema), ("derived", rich, richer)):
            for kind in asked.kinds.split(","):
                found = measure(rows, latency, described, kind)
                results.append({"network": network.name, "features": name, **found})
    text = (
        "{network:18s} {features:8s} {kind:8s} tau {kendall_tau:.3f}  mape {mape:.3f}  cover {coverage_90:.2f}  "
        "fit {fit_cpu_s:.1f} s  {predictions_a_second:,.0f}/s"
    )
    print(json.dumps(results, indent=1) if asked.json else "\n".join(text.format(**r) for r in results))


if __name__ == "__main__":
    main()
