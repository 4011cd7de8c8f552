"""Derived features carry the physics: 200 samples suffice to predict costs, also those of somebody else's simulator."""

from __future__ import annotations

import numpy as np
import pytest

import predictors
from cimbo.hardware import chip_choices, features, simulate_batch
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network
from predictors import Feature, Schema


@pytest.fixture(scope="module", params=["ofa-mobilenetv3", "ofa-resnet50", "vit-b"])
def pairs(request: pytest.FixtureRequest) -> tuple[list, list, np.ndarray, Schema]:
    """600 random pairs of a family: workloads, chips, table of genes and features, schema."""
    family = network(request.param)
    space = SearchSpace(architecture=family.choices(), hardware=chip_choices())
    rows = space.canonical_rows(space.random_rows(600, np.random.default_rng(0)))
    designs, names = space.designs(rows), [c.name for c in chip_choices()]
    chips = [{name: d[name] for name in names if name in d} for d in designs]
    workloads = [family.workload({k: v for k, v in d.items() if k not in names}) for d in designs]
    derived = features(workloads, chips)
    kinds = ["ordinal" if c.ordered else "nominal" for c in space.choices]
    genes = [Feature(c.name, kind, c.values) for c, kind in zip(space.choices, kinds, strict=True)]
    schema = Schema((*genes, *(Feature(name, "numeric") for name in derived)), "cost", log=True)
    return workloads, chips, np.column_stack([space.encode(rows), *derived.values()]), schema


def held_out(pairs: tuple, cost: np.ndarray) -> predictors.Scores:
    table, schema = pairs[2:]
    return predictors.score(
        cost[200:], predictors.fit(table[:200], cost[:200], schema, "gp").predict(table[200:])
    )


@pytest.mark.parametrize("metric", ["latency_ms", "energy_uj"])
def test_two_hundred_samples_suffice(pairs: tuple, metric: str) -> None:
    scores = held_out(pairs, simulate_batch(*pairs[:2])[metric])
    assert scores.kendall_tau >= 0.95
    assert scores.mape <= 0.1
    assert scores.coverage_90 >= 0.85
    # Where the law is exact to a percent, what is left is less than the noise that a GP allows for.
    assert scores.coverage_90 <= 0.97 or scores.mape < 0.01


def test_the_laws_are_not_tied_to_one_simulator(pairs: tuple) -> None:
    """Slower DRAM, NoC and vector unit, windows cut anywhere and no packing, a cost a layer: features still help."""
    workloads, chips, _, _ = pairs
    another = {"noc_gb_s": 32, "vector_lanes": 128, "packing": 0, "whole_kernels": 0}
    chips = [c | another | {"dram_channels": 0.625 * c["dram_channels"]} for c in chips]
    latency = simulate_batch(workloads, chips)["latency_ms"] + 5e-4 * np.array(
        [len(w.layers) for w in workloads]
    )
    scores = held_out(pairs, latency)
    assert scores.kendall_tau >= 0.92
    assert scores.mape <= 0.1


def test_the_roofline_is_near_the_schedule(pairs: tuple) -> None:
    workloads, chips, table, schema = pairs
    roofline = np.exp(table[:, schema.names.index("log_roofline_ns")]) * 1e-6
    ratio = simulate_batch(workloads, chips)["latency_ms"] / roofline
    assert 0.98 < np.median(ratio) < 1.1
    assert np.abs(np.log(ratio)).max() < np.log(1.6)
