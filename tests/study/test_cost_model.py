"""Which costs a search computes and which it learns: decided by what evaluates, never by how busy the machine is."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

import cimbo
from cimbo.config import preset
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.simulators import Simulator
from cimbo.session.optimize import SearchSettings, analytic_costs, optimizer_options

SECONDS_OF_A_BUSY_MACHINE = 0.05


class SlowedDown(Simulator):
    """cimbo's simulator as it answers on a machine that is busy with other work."""

    def __init__(self, own: Simulator) -> None:
        self._own = own

    @property
    def name(self) -> str:
        """As the simulator that is slowed down."""
        return self._own.name

    def simulate(self, workload: Any, hardware: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait, then answer."""
        time.sleep(SECONDS_OF_A_BUSY_MACHINE)
        return self._own.simulate(workload, hardware)


def evaluator_of(name: str) -> JointEvaluator:
    """The evaluator of a shipped study."""
    found = preset(name).evaluator()
    assert isinstance(found, JointEvaluator)
    return found


def test_a_busy_machine_changes_nothing_about_what_is_computed() -> None:
    with cimbo.open_session("ofa-mobilenetv3-imagenet") as session:
        assert isinstance(session.evaluator, JointEvaluator)
        idle = optimizer_options(session, SearchSettings())
        session.evaluator.__dict__["_simulator"] = SlowedDown(session.evaluator._simulator)
        busy = optimizer_options(session, SearchSettings())
    assert {"latency_ms", "energy_uj", "area_mm2"} <= set(idle.analytic)
    assert set(busy.analytic) == set(idle.analytic)


def test_costs_of_another_simulator_are_learned() -> None:
    evaluator = evaluator_of("fmnist-vit")
    foreign = JointEvaluator(evaluator.network, evaluator.accuracy, "table", {"file": "costs.csv"})
    assert analytic_costs(foreign, "auto") == {}
    with pytest.raises(BadInput, match="cannot be called in batches"):
        analytic_costs(foreign, "analytic")


def test_surrogates_that_are_asked_for_leave_area_and_sizes_computed() -> None:
    assert set(analytic_costs(evaluator_of("fmnist-vit"), "surrogate")) == {"area_mm2"}
