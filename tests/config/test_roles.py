"""Roles of another simulator's chips: what a study may say of them, and what follows for the surrogates of costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cimbo.config import Config
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.hardware.role_features import ROLES, role_features
from cimbo.session.warm_start import views
from cimbo.workloads.layers import Workload, linear

OBJECTIVES = [{"name": "latency_ms", "goal": "min"}, {"name": "energy_uj", "goal": "min"}]


def study(**hardware: Any) -> Config:
    """A study of costs alone on chips with names of their own, which a program simulates."""
    genes = {
        "wordlines": {"values": [64, 128], "role": "rows"},
        "bitlines": [64, 128],
        "dac": [1, 2],
        "memory": ["slow", "fast"],
        "burst": {"values": [1, 2], "active_if": {"memory": ["fast"]}},
    }
    table = {"simulator": "command", "options": {"command": ["no-such-program"]}, "genes": genes}
    return Config(
        "test",
        {
            "network": {"name": "fmnist-vit", "accuracy": "none"},
            "hardware": {**table, "fixed": {"gb_per_s": 16}, **hardware},
            "objectives": OBJECTIVES,
        },
    )


def test_roles_of_genes_and_fixed_properties_reach_the_surrogates() -> None:
    config = study(roles={"bitlines": "columns", "gb_per_s": "bandwidth_gb_s"})
    evaluator = config.evaluator()
    assert isinstance(evaluator, JointEvaluator)
    assert evaluator.roles == {
        "wordlines": "rows",
        "bitlines": "columns",
        "gb_per_s": "bandwidth_gb_s",
    }
    view = views(evaluator)["latency_ms"]
    designs = config.problem.space.sobol(3)
    assert view.features is not None
    found = view.features(designs)
    assert {"log_macs", "log_tiles", "log_conversions", "log_load_ns"} <= set(found)
    assert all(np.isfinite(column).all() for column in found.values())
    space = config.problem.space
    of_rows = view.features.of_rows(space, space.rows(designs))  # type: ignore[attr-defined]
    for name, column in found.items():
        np.testing.assert_array_equal(of_rows[name], column)
    assert view.plain is not None


def test_without_roles_nothing_changes() -> None:
    evaluator = study(genes={"bitlines": [64, 128], "memory": ["slow", "fast"]}).evaluator()
    assert views(evaluator)["latency_ms"].plain is None


@pytest.mark.parametrize(
    ("roles", "where", "what"),
    [
        ({"bitlines": "colums"}, "hardware.roles.bitlines", "did you mean columns"),
        ({"bitline": "columns"}, "hardware.roles.bitline", "is no property of the chips"),
        ({"memory": "macros"}, "hardware.roles.memory", "numbers above 0"),
        ({"burst": "macros"}, "hardware.roles.burst", "exists only with some values of memory"),
    ],
)
def test_a_role_that_cannot_be_used_is_refused(roles: Any, where: str, what: str) -> None:
    with pytest.raises(BadInput) as refused:
        _ = study(roles=roles).problem
    line = str(refused.value)
    assert where in line
    assert what in line


def test_cimbo_s_own_chips_need_no_roles() -> None:
    table = {"simulator": "cimbo", "options": {}, "genes": {}, "fixed": {}}
    with pytest.raises(BadInput, match="are known of the chips of simulator cimbo"):
        _ = study(roles={"rows": "rows"}, **table).problem


def test_a_gene_of_the_network_has_no_role() -> None:
    config = study()
    network = {**config.data["network"], "genes": {"depth": {"values": [3], "role": "rows"}}}
    with pytest.raises(BadInput, match="only properties of chips"):
        _ = Config("test", {**config.data, "network": network}).problem


def features_of(**chip: float) -> dict[str, float]:
    """Features of 10 vectors through 100 x 30 weights on a chip, logarithms undone."""
    workload = Workload("one", (linear("only", 10, (100, 30)),))
    found = role_features([workload], {role: np.array([v]) for role, v in chip.items()})
    plain = {}
    for name, column in found.items():
        value = float(column[0])
        plain[name] = math.exp(value) if name.startswith("log_") else value
    return plain


def test_tiles_passes_and_conversions_by_hand() -> None:
    # ceil(100 / 64) = 2 tiles along the rows, ceil(30 * 4 / 64) = 2 along the columns
    found = features_of(rows=64, columns=64, weight_bits=8, cell_bits=2, act_bits=8, dac_bits=2)
    assert found["log_tiles"] == pytest.approx(4)
    assert found["log_passes"] == pytest.approx(10 * 4 * 4)  # 8 bits in 4 steps
    assert found["log_conversions"] == pytest.approx(10 * 30 * 4 * 2 * 4)
    assert found["log_used_cells"] == pytest.approx(100 * 30 * 4 / (4 * 64 * 64))


def test_times_by_hand() -> None:
    chip = {"rows": 64, "columns": 64, "macros": 2, "clock_mhz": 500, "bandwidth_gb_s": 2}
    found = features_of(**chip, act_bits=4, weight_bits=8)
    # 2 tiles on 2 macros: 10 positions x 4 bits x 2 ns; 3,000 bytes at 2 bytes a ns
    assert found["log_array_ns"] == pytest.approx(10 * 4 * 2)
    assert found["log_load_ns"] == pytest.approx(1500)
    assert found["log_roofline_ns"] == pytest.approx(1500)
    assert found["log_resident_roofline_ns"] == pytest.approx(80)
    assert found["fits"] == 1
    assert features_of(**chip | {"macros": 1})["fits"] == 0


def test_other_units_than_arrays_have_times_too() -> None:
    found = features_of(macs_per_cycle=100, clock_mhz=100)
    assert found["log_array_ns"] == pytest.approx(10 * 100 * 30 / 100 * 10)


def test_every_role_changes_a_feature() -> None:
    chip = dict.fromkeys(ROLES, 2.0) | {"buffer_kb": 0.2}  # so small that it spills
    first = features_of(**chip)
    for role in ROLES:
        if role != "macs_per_cycle":  # arrays come first
            assert features_of(**chip | {role: 0.7 * chip[role]}) != first, role


def test_properties_of_one_role_are_multiplied() -> None:
    both = study(roles={"bitlines": "macros", "dac": "macros"}).evaluator()
    one = study(roles={"bitlines": "macros"}).evaluator()
    design = study().problem.space.sobol(1)[0] | {"wordlines": 64, "bitlines": 64, "dac": 2}
    found = views(both)["latency_ms"].features([design, design | {"bitlines": 128, "dac": 1}])  # type: ignore[misc]
    assert found.keys() == views(one)["latency_ms"].features([design]).keys()  # type: ignore[misc]
