"""How well the predictors do on costs of sub-networks on chips: from genes, with products of genes, with derived features.

    python benchmarks/predictors_cim.py [--train 200] [--kinds gp,hybrid] [--draws 3]

Trains on random (network, chip) pairs of a simulator and predicts 800 others; medians over draws of the training pairs.
"another" is a simulator unlike the one that the features' laws resemble: DRAM at 60 % of its bandwidth, half the NoC, half the
vector lanes, windows cut anywhere, no packing, a clock that falls with rows and converter bits, and half a microsecond a layer;
"between" says how far the two simulators rank the test pairs alike (Kendall tau), and "roofline" how far the best single
feature does. Lines on stdout: network, metric, simulator, features, kind, Kendall tau, MAPE, coverage of the 90 % intervals,
CPU seconds to fit, predictions with their deviations a CPU second. Written to predictors_cim.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import kendalltau

import predictors
from cimbo.hardware import chip_choices
from cimbo.hardware.cost_model import simulate_batch
from cimbo.hardware.features import features
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network
from predictors import Feature, Schema

TEST = 800
BEST = {"latency_ms": "log_roofline_ns", "energy_uj": "log_ideal_pj"}
LINE = (
    "{network:16s} {metric:10s} {simulator:8s} {features:8s} {kind:8s} tau {kendall_tau:.3f}  mape {mape:.3f}  "
    "cover {coverage_90:.2f}  fit {fit_cpu_s:.1f} s  {predictions_a_second:,.0f}/s"
)


@dataclass(frozen=True)
class Pairs:
    """Random (network, chip) pairs: the genes' schema and table (n, d), derived features, costs by simulator and metric."""

    genes: Schema
    table: np.ndarray
    derived: dict[str, np.ndarray]
    costs: dict[str, dict[str, np.ndarray]]

    @classmethod
    def of(cls, name: str, n: int) -> Pairs:
        family, names = network(name), [c.name for c in chip_choices()]
        space = SearchSpace(architecture=family.choices(), hardware=chip_choices())
        rows = space.canonical_rows(space.random_rows(n, np.random.default_rng(0)))
        designs = space.designs(rows)
        workloads = [
            family.workload({k: v for k, v in d.items() if k not in names}) for d in designs
        ]
        chips = [{k: d[k] for k in names} for d in designs]
        schema = Schema(
            tuple(Feature(c.name, "ordinal", c.values) for c in space.choices), "cost", log=True
        )
        costs = {"own": simulate_batch(workloads, chips), "another": another(workloads, chips)}
        return cls(schema, space.encode(rows), features(workloads, chips), costs)

    def described(self) -> Iterator[tuple[str, Schema, np.ndarray]]:
        """Genes alone, with two products of them, and with derived features."""
        yield "genes", self.genes, self.table
        for what, columns in (("products", self.products()), ("derived", self.derived)):
            added = tuple(Feature(name, "numeric") for name in columns)
            schema = Schema((*self.genes.features, *added), "cost", log=True)
            yield what, schema, np.column_stack([self.table, *columns.values()])

    def products(self) -> dict[str, np.ndarray]:
        """What genes say together, in logarithms: cells a chip has, and cells at work at a time. No network, no constant."""
        gene = dict(zip(self.genes.names, self.table.T, strict=True))
        cells = gene["rows"] * gene["cols"] * gene["macros_per_pe"] * gene["pes"]
        return {
            "cells": np.log2(cells * gene["planes"]),
            "at_work": np.log2(cells / gene["columns_per_adc"]),
        }


def another(workloads: list[Any], chips: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Costs by somebody else's simulator: other constants and other terms."""
    changed = {"noc_gb_s": 32, "vector_lanes": 128, "packing": 0, "whole_kernels": 0}
    found = simulate_batch(
        workloads, [c | changed | {"dram_channels": 0.6 * c["dram_channels"]} for c in chips]
    )
    slower = np.array([(c["rows"] / 128) ** 0.3 * (c.get("adc_bits", 6) / 6) ** 0.5 for c in chips])
    launches = 5e-4 * np.array([len(w.layers) for w in workloads])
    return {
        "latency_ms": found["latency_ms"] * slower + launches,
        "energy_uj": found["energy_uj"] * np.sqrt(slower),
    }


def measure(
    table: np.ndarray, y: np.ndarray, schema: Schema, kind: str, *, train: int, draws: int
) -> dict[str, Any]:
    """Medians over training sets that follow one another; the last 800 rows are predicted."""
    found = []
    for rows in (slice(i * train, (i + 1) * train) for i in range(draws)):
        start = time.process_time()
        model = predictors.fit(table[rows], y[rows], schema, kind)
        fitted = time.process_time()
        prediction = model.predict(np.tile(table[-TEST:], (25, 1)))
        speed = len(prediction.mean) / (time.process_time() - fitted)
        scores = vars(predictors.score(y[-TEST:], model.predict(table[-TEST:])))
        found.append(scores | {"fit_cpu_s": fitted - start, "predictions_a_second": speed})
    return {name: float(np.median([f[name] for f in found])) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--kinds", default="gp,hybrid")
    parser.add_argument("--networks", default="ofa-mobilenetv3,ofa-resnet50,vit-b")
    asked = parser.parse_args()
    results: list[dict[str, Any]] = []
    alike: list[dict[str, Any]] = []
    command = shlex.join(["python", "benchmarks/predictors_cim.py", *sys.argv[1:]])
    for name in asked.networks.split(","):
        pairs = Pairs.of(name, asked.draws * asked.train + TEST)
        for metric, best in BEST.items():
            y = {simulator: costs[metric][-TEST:] for simulator, costs in pairs.costs.items()}
            taus = {"between": kendalltau(y["own"], y["another"]).statistic}
            taus |= {
                f"roofline_{s}": kendalltau(pairs.derived[best][-TEST:], v).statistic
                for s, v in y.items()
            }
            alike.append({"network": name, "metric": metric} | taus)
            for simulator, (described, schema, table), kind in (
                (s, d, k)
                for s in pairs.costs
                for d in pairs.described()
                for k in asked.kinds.split(",")
            ):
                about = {
                    "network": name,
                    "metric": metric,
                    "simulator": simulator,
                    "features": described,
                    "kind": kind,
                }
                y_all = pairs.costs[simulator][metric]
                results.append(
                    about
                    | measure(table, y_all, schema, kind, train=asked.train, draws=asked.draws)
                )
                print(LINE.format(**results[-1]), flush=True)
        report = {
            "command": command,
            "trained_on": asked.train,
            "results": results,
            "single_feature_tau": alike,
        }
        Path(__file__).with_suffix(".json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8"
        )
    for row in alike:
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else v for k, v in row.items()))


if __name__ == "__main__":
    main()
