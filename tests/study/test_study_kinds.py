"""A search that is steered by surrogates of others."""

from __future__ import annotations

from typing import Any

import pytest

import predictors
from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.errors import BadInput
from cimbo.optimizer.options import OptimizerOptions

botorch_models = pytest.importorskip("botorch.models")

SPACE = SearchSpace(
    architecture=[
        Choice("depth", [8, 10, 12]),
        Choice("heads", [6, 8, 12], active_if={"depth": [10, 12]}),
    ],
    hardware=[Choice("rows", [64, 128, 256]), Choice("cell", ["sram", "rram"])],
)
OBJECTIVES = [
    Objective("accuracy", "max", reference=60.0),
    Objective("latency_ms", "min", reference=100.0),
]


class Own(botorch_models.SingleTaskGP):
    """A user's model."""


def evaluate(design: dict[str, Any]) -> dict[str, float]:
    size = design["depth"] * (1 + design.get("heads", 4) / 12)
    speed = design["rows"] * (2 if design["cell"] == "rram" else 1)
    return {"accuracy": 90 - 200 / size, "latency_ms": 100 * size / speed}


@pytest.mark.parametrize(
    "kind",
    ["botorch:EnsembleMapSaas", predictors.botorch(Own)],
    ids=["MAP-SAAS", "own"],
)
def test_botorch_models_steer_a_search(kind: Any) -> None:
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=0)
    study.optimize(evaluate, 11, 3, guidance=OptimizerOptions(kind=kind, initial=8))
    evaluations = study.evaluations()
    assert len(evaluations) == 11
    assert all(e.status == "done" for e in evaluations)
    assert sum("predicted" in e.extra for e in evaluations) >= 2


def test_an_unknown_kind_is_refused_before_anything_is_evaluated() -> None:
    with pytest.raises(BadInput, match=r"surrogate: 'mine' is unknown; use auto, gp"):
        OptimizerOptions(kind="mine")
