"""A search with each kind of simulator: what it says is recorded, and what it refuses is a failed evaluation with a reason."""

import csv
import itertools
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.evaluation.simulators import Simulator, simulator
from cimbo.evaluation.simulators.accelforge import lacking
from cimbo.evaluation.simulators.zigzag import ZigZag
from cimbo.hardware import BASELINE_CHIP, simulate
from cimbo.workloads.layers import Workload, linear

CHIP = BASELINE_CHIP | {"planes": 1, "columns_per_adc": 1, "macros_per_pe": 1, "pes": 1}
SPACE = SearchSpace(
    [Choice("width", [16, 32, 64]), Choice("depth", [1, 2])],
    [Choice("rows", [64, 128, 256]), Choice("cols", [64, 128]), Choice("planes", [1, 4])],
)
OBJECTIVES = [Objective("latency_ms", "min"), Objective("area_mm2", "min")]


def parts(design: dict[str, Any]) -> tuple[Workload, dict[str, Any]]:
    layers = [
        linear(f"l{index}", 50, (design["width"], design["width"]))
        for index in range(design["depth"])
    ]
    return Workload("small", tuple(layers)), CHIP | {
        name: design[name] for name in ("rows", "cols", "planes")
    }


@dataclass(frozen=True)
class Evaluate:
    """A plain function around a simulator."""

    by: Simulator

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        costs = self.by.simulate(*parts(design))
        return {name: costs[name] for name in ("latency_ms", "area_mm2")}


def search(by: Simulator, budget: int = 8) -> Study:
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=1)
    study.optimize(Evaluate(by), budget=budget, batch_size=4)
    assert len(study.evaluations()) == budget
    return study


# Another simulator than ours, as any program could be: time grows with MACs over rows x cols, area with rows x cols.
PROGRAM = """
import json, sys
given = json.load(sys.stdin)
chip = given["chip"]
macs = sum(l["px"] * l["reduction"] * l["columns"] * l["groups"] for l in given["workload"]["layers"])
if chip["cols"] == 64 and chip["rows"] == 256:
    sys.exit("no such array in our library")
cells = chip["rows"] * chip["cols"]
print(json.dumps({"latency_ms": macs / cells, "energy_uj": 1.0, "area_mm2": cells * chip["planes"] * 1e-6}))
"""


def test_optimize_with_a_command():
    study = search(simulator("command", command=[sys.executable, "-c", PROGRAM], timeout_s=120))
    for record in study.evaluations():
        design = record.params
        workload, _ = parts(design)
        cells = design["rows"] * design["cols"]
        if (design["rows"], design["cols"]) == (256, 64):
            assert record.status == "failed"
            assert "no such array in our library" in record.reason
        else:
            assert record.metrics["latency_ms"] == pytest.approx(workload.macs / cells)
    assert study.pareto()


@pytest.fixture
def measured(tmp_path):
    """Every design but those with four planes, as a table of measurements."""
    path = tmp_path / "points.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["macs", "rows", "cols", "planes", "latency_ms", "area_mm2"])
        for width, depth, rows, cols in itertools.product(
            [16, 32, 64], [1, 2], [64, 128, 256], [64, 128]
        ):
            workload, chip = parts(
                {"width": width, "depth": depth, "rows": rows, "cols": cols, "planes": 1}
            )
            ours = simulate(workload, chip)
            writer.writerow([workload.macs, rows, cols, 1, ours["latency_ms"], ours["area_mm2"]])
    return str(path)


def test_optimize_with_a_table(measured):
    study = search(simulator("table", path=measured), budget=12)
    for record in study.evaluations():
        if record.params["planes"] == 4:
            assert record.status == "failed"
            assert "no row for" in record.reason
            assert "planes=4" in record.reason
        else:
            assert record.metrics["latency_ms"] == pytest.approx(
                simulate(*parts(record.params))["latency_ms"]
            )
    best = min(r.metrics["latency_ms"] for r in study.evaluations() if r.status == "done")
    assert best == min(r.metrics["latency_ms"] for r in study.pareto())


def test_optimize_with_ours():
    study = search(simulator("cimbo"))
    assert all(record.status == "done" for record in study.evaluations())


def test_what_zigzag_refuses_is_a_failed_evaluation(monkeypatch):
    """Its mapping search is replaced here; the refusals before it are real."""
    monkeypatch.setattr(ZigZag, "_run", lambda self, layer, chip: (100.0, 1e6))
    study = search(ZigZag(), budget=10)
    for record in study.evaluations():
        if record.params["planes"] == 4:
            assert record.status == "failed"
            assert "chip.planes: is 4" in record.reason
            assert "ZigZag models one plane of weights" in record.reason
        else:
            assert record.status == "done"
    assert {record.params["planes"] for record in study.evaluations()} == {1, 4}


@pytest.mark.skipif(find_spec("zigzag") is None, reason="needs zigzag-dse")
def test_optimize_with_zigzag():
    study = search(simulator("zigzag"), budget=4)
    assert any(
        record.status == "done" and record.metrics["latency_ms"] > 0
        for record in study.evaluations()
    )


@pytest.mark.skipif(bool(lacking()), reason="needs AccelForge and its programs")
def test_optimize_with_accelforge():
    by = simulator("accelforge")
    study = search(by, budget=6)
    assert all(
        record.status == "done" and record.metrics["latency_ms"] > 0
        for record in study.evaluations()
    )
    layers = [
        (each.px, each.reduction, each.columns)
        for r in study.evaluations()
        for each in parts(r.params)[0].layers
    ]
    assert len(by.known) < len(layers)  # layers of one shape are mapped once a chip
