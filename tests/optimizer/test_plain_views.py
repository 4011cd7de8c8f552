"""Features that may mislead: of a view and its plain one the better by held-out error is learned from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cimbo import Choice, Objective, OptimizerOptions, SearchSpace, Study, View
from cimbo.optimizer import surrogates
from cimbo.optimizer.metric_models import FittedSurrogate
from cimbo.optimizer.surrogates import SurrogateFactory
from cimbo.problem.objectives import Problem

SPACE = SearchSpace(
    [Choice(f"width_{i}", [3, 5, 8, 12, 20]) for i in range(6)],
    [Choice("rows", [4, 6, 10, 16]), Choice("cols", [4, 6, 10, 16])],
)
PROBLEM = Problem(SPACE, (Objective("latency_ms", "min"),))


def tiles(designs: list[dict[str, Any]]) -> np.ndarray:
    """What the latency is."""
    found = []
    for design in designs:
        total = 0.0
        for i in range(6):
            rows = np.ceil(design[f"width_{i}"] / design["rows"])
            total += rows * np.ceil(design[f"width_{i}"] / design["cols"])
        found.append(total)
    return np.array(found)


def telling(designs: list[dict[str, Any]]) -> Mapping[str, np.ndarray]:
    """A feature that says it."""
    return {"log_tiles": np.log(tiles(designs))}


def misleading(designs: list[dict[str, Any]]) -> Mapping[str, np.ndarray]:
    """Features that say nothing."""
    keys = [repr(sorted(design.items())) for design in designs]
    columns = {}
    for i in range(12):
        numbers = [zlib.crc32(f"{i} {key}".encode()) / 2**32 for key in keys]
        columns[f"noise_{i}"] = np.exp(20 * np.array(numbers))
    return columns


def fitted(view: View, kind: str = "auto") -> FittedSurrogate:
    """The surrogate of the latency of 27 designs, which is how many a kind and a view are chosen by too."""
    designs = SPACE.sobol(27, 1)
    metrics = [{"latency_ms": float(v)} for v in tiles(designs)]
    factory = SurrogateFactory(SPACE, kind, {"latency_ms": view})
    found = surrogates.fit(PROBLEM, SPACE.rows(designs), metrics, factory, seed=0)["latency_ms"]
    assert isinstance(found, FittedSurrogate)
    return found


@pytest.mark.parametrize("kind", ["auto", "gp"])
def test_features_that_say_it_are_taken(kind: str) -> None:
    assert fitted(View(features=telling, plain=View()), kind).view.features is telling


def test_features_that_say_nothing_are_dropped() -> None:
    found = fitted(View(features=misleading, plain=View()))
    assert found.view.features is None
    alone = fitted(View(features=misleading))
    assert found.model.metadata["error"] < alone.model.metadata["error"]


def test_the_reason_that_is_told_is_that_of_the_view_in_use() -> None:
    designs = SPACE.sobol(27, 1)
    options = OptimizerOptions(views={"latency_ms": View(features=telling, plain=View())})
    objectives = [Objective("latency_ms", "min")]
    with Study.open(None, space=SPACE, objectives=objectives) as study:
        for design, latency_ms in zip(designs, tiles(designs), strict=True):
            study.tell(design, {"latency_ms": float(latency_ms)})
        study.ask(1, guidance=options)
        reason = study.selection_reasons()["latency_ms"]
    assert reason == fitted(View(features=telling)).model.selection_reason


def test_the_choice_follows_from_the_log() -> None:
    designs = SPACE.sobol(31, 2)
    metrics = [{"latency_ms": float(v)} for v in tiles(designs)]
    views = {"latency_ms": View(features=telling, plain=View())}
    kept = SurrogateFactory(SPACE, "auto", views)
    for n in (12, 20, 31):  # a search that goes on
        asked = surrogates.fit(PROBLEM, SPACE.rows(designs[:n]), metrics[:n], kept, seed=0)
    fresh = SurrogateFactory(SPACE, "auto", views)  # and one that was interrupted
    again = surrogates.fit(PROBLEM, SPACE.rows(designs), metrics, fresh, seed=0)
    inputs = surrogates.Inputs(SPACE, SPACE.rows(SPACE.sobol(50, 3)))
    np.testing.assert_array_equal(
        asked["latency_ms"].mean(inputs), again["latency_ms"].mean(inputs)
    )
