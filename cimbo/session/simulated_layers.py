"""What a simulator from outside says of each layer of a design: it is asked once more, since a study keeps no layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cimbo.errors import BadInput
from cimbo.session.context import StudyContext
from cimbo.storage import Record

LONGEST_SIMULATION_S = 60.0  # what took longer is not simulated again
N_TRIALS = 3  # as a search tries a design before it gives up: programs lack licences for a moment
SAME_COST = 1e-6  # relative difference of the costs of two simulations of a design

WithLayers = Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], list[Any]]]


@dataclass(frozen=True)
class SimulatedLayers:
    """What is known of a design's layers.

    Attributes:
        layers: A mapping a layer, as the simulator gives it.
        lacking: Why there are none; "" where there are some.
    """

    layers: tuple[Mapping[str, Any], ...] = ()
    lacking: str = ""


def simulated_layers(context: StudyContext, record: Record) -> SimulatedLayers:
    """Ask the simulator of a study for the layers of an evaluated design.

    Nothing is recorded. The layers are those of the recorded costs: where the simulator says other
    costs now, they are not shown.

    Args:
        context: The study.
        record: The design.

    Returns:
        The layers, or why there are none.
    """
    with_layers = getattr(context.evaluator, "with_layers", None)
    if with_layers is None:
        return SimulatedLayers(lacking="what evaluates this study tells no layers")
    if record.status != "done":
        return SimulatedLayers(lacking="its evaluation failed")
    if record.seconds > LONGEST_SIMULATION_S:
        told = f"its evaluation took {record.seconds:.0f} s, too long to simulate it again"
        return SimulatedLayers(lacking=told)
    try:
        costs, layers = _asked_again(with_layers, record)
    except (BadInput, RuntimeError, OSError) as error:
        return SimulatedLayers(lacking=f"it cannot be simulated again here ({error})")
    changed = _changed(record.metrics, costs)
    if changed is not None:
        return SimulatedLayers(lacking=changed)
    named = tuple(layer for layer in layers if isinstance(layer, Mapping))
    if not named:
        return SimulatedLayers(lacking=f"simulator {context.evaluator.simulator} tells no layers")
    return SimulatedLayers(named)


def _asked_again(with_layers: WithLayers, record: Record) -> tuple[Mapping[str, Any], list[Any]]:
    """Costs and layers of a design that was simulated before, so that a failure may be one of the moment.

    Raises what the simulator raises, once it failed each of N_TRIALS times.

    Returns:
        Costs by metric, and a mapping a layer.
    """
    for _ in range(N_TRIALS - 1):
        with suppress(RuntimeError, OSError):
            return with_layers(record.params)
    return with_layers(record.params)


def _changed(before: Mapping[str, float], now: Mapping[str, float]) -> str | None:
    """Which cost is another one in a second simulation; None where all are the same."""
    for name, value in now.items():
        if name in before and not math.isclose(before[name], value, rel_tol=SAME_COST):
            return (
                f"simulated again, {name} is {value:.6g} and not {before[name]:.6g}: the simulator "
                "is another one now, or draws at random"
            )
    return None
