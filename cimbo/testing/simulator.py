"""What a simulator must do: finite, positive, repeatable costs of a network on a chip."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cimbo.evaluation.simulators import Simulator, ask
from cimbo.hardware import BASELINE_CHIP
from cimbo.testing.finding import Finding, guarded, judged, passed
from cimbo.workloads import network
from cimbo.workloads.layers import Workload

COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")
SLOW_S = 60.0


def check_simulator(
    simulator: Simulator, workload: Workload | None = None, chip: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Runs the kit for ``cimbo.simulators`` on a simulator.

    Args:
        simulator: The simulator.
        workload: Network to simulate; the smallest of the small vision transformer if None.
        chip: Genes of the chip to simulate; the baseline chip if None.

    Returns:
        Findings in the order of the checks; an error that the simulator raises is one of them.
    """
    if workload is None:
        family = network("fmnist-vit")
        workload = family.workload(family.smallest())
    return list(
        guarded("simulator", lambda: _examine(simulator, workload, dict(chip or BASELINE_CHIP)))
    )


def _examine(simulator: Simulator, workload: Workload, chip: dict[str, Any]) -> Iterator[Finding]:
    yield judged(
        "name",
        isinstance(simulator.name, str) and bool(simulator.name),
        f"{simulator.name!r}",
        "name it",
    )
    before, start = dict(chip), time.perf_counter()
    answer = ask(simulator, workload, chip)
    seconds = time.perf_counter() - start
    yield judged(
        "the chip is left as it was",
        chip == before,
        "compared after a call",
        "copy it before changing it",
    )
    for metric in COST_METRICS:
        yield from _metric(answer, metric)
    again = ask(simulator, workload, chip)
    same = all(math.isclose(answer[m], again[m], rel_tol=1e-9) for m in COST_METRICS if m in answer)
    yield judged(
        "the same chip, the same costs", same, "asked twice", "seed whatever it draws at random"
    )
    yield _speed(seconds)
    yield from guarded("layers", lambda: _layers(answer, workload))


def _metric(answer: Mapping[str, Any], metric: str) -> Iterator[Finding]:
    value = answer.get(metric)
    if value is None and metric == "area_mm2":
        yield Finding(
            metric,
            "WARN",
            "is not given",
            "cimbo's own area stands in; give area_mm2 where you know better",
        )
        return
    is_valid = isinstance(value, int | float) and math.isfinite(value) and value > 0
    yield judged(
        metric, is_valid, f"{value!r}", "return a finite number above 0, in the unit of the name"
    )


def _speed(seconds: float) -> Finding:
    if seconds > SLOW_S:
        return Finding(
            "seconds a call",
            "WARN",
            f"{seconds:.3g}",
            "search with surrogates: --cost-model surrogate",
        )
    return passed("seconds a call", f"{seconds:.3g}")


def _layers(answer: Mapping[str, Any], workload: Workload) -> Iterator[Finding]:
    layers = answer.get("layers")
    if layers is None:
        yield Finding(
            "layers",
            "WARN",
            "are not given",
            "cimbo explain needs a list of name, cycles, energy_uj",
        )
        return
    named = [layer.get("name") for layer in layers]
    wanted = [layer.name for layer in workload.layers]
    yield judged(
        "layers", named == wanted, f"{len(named)} of {len(wanted)}", "name every layer, in order"
    )
