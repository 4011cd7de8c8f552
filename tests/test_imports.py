"""What an import loads, in a fresh process: starting, reading and comparing must not wait for torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cimbo
from cimbo import _data

HEAVY = {
    "torch",
    "botorch",
    "gpytorch",
    "linear_operator",
    "pandas",
    "xgboost",
    "sklearn",
    "matplotlib",
}


def loaded_by(program: str) -> set[str]:
    """Top-level modules that ``program`` has loaded at its end, in a process of its own."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{program}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(told.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".storage",
        ".problem.pareto",
        ".problem.space",
        ".problem.objectives",
        ".config",
        ".study.events",
        ".plugins",
        ".cli",
    ],
)
def test_loads_no_learning_library(module: str):
    loaded = loaded_by(f"import cimbo{module}")
    assert "cimbo" in loaded
    assert not loaded & HEAVY


def test_a_whole_preset_is_read_without_a_learning_library():
    loaded = loaded_by(
        "from cimbo.config.study_config import preset\np = preset('fmnist-vit')\np.problem.space.size\np.baseline_costs()"
    )
    assert not loaded & HEAVY


def test_reading_a_front_loads_no_learning_library(tmp_path: Path):
    program = (
        "from cimbo.problem.objectives import Objective, Problem\n"
        "from cimbo.problem.space import Choice, SearchSpace\n"
        "from cimbo.storage import Store\n"
        "p = Problem(SearchSpace([Choice('a', [1, 2])]), (Objective('y', 'max', 0.0),))\n"
        f"s = Store.open({str(tmp_path / 's.db')!r}, p.to_json())\n"
        "s.record('k', {'a': 1}, metrics={'y': 2.0}, origin='told')\n"
        "from cimbo.problem.pareto import hypervolume, non_dominated\n"
        "scores = p.scores([r.metrics for r in s.records()])\n"
        "assert non_dominated(scores).all() and hypervolume(scores, p.reference()) == 2"
    )
    assert not loaded_by(program) & HEAVY


def test_predictors_stand_alone_and_load_nothing_heavy():
    loaded = loaded_by("import predictors")
    assert not loaded & (HEAVY | {"cimbo"})
    assert "cimbo" not in loaded_by(
        "import predictors\npredictors.fit, predictors.botorch_model, predictors.validate"
    )


def test_the_contract_is_importable_from_the_top():
    from cimbo import BadInput, Choice, Constraint, Objective, SearchSpace, Study

    assert Study.__module__ == "cimbo.study.study"
    assert issubclass(BadInput, ValueError)
    assert {c.__name__ for c in (Choice, Constraint, Objective, SearchSpace)} <= set(cimbo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        _ = cimbo.Studdy


@pytest.mark.skipif(
    not os.environ.get("CIMBO_TEST_WHEEL"), reason="only tox installs the wheel that this looks at"
)
def test_the_tests_see_the_installed_wheel_with_its_data():
    package = Path(cimbo.__file__).parent
    assert package.parent.name == "site-packages"
    assert _data.path("constants.toml") == package / "data" / "constants.toml"
    assert not (package.parent / "data").exists()


@pytest.mark.parametrize(
    "name",
    [
        "constants.toml",
        "fashion-mnist/validation.npz",
        "fashion-mnist/test.npz",
        "fashion-mnist/calibration.npz",
    ],
)
def test_shipped_data_are_there(name: str):
    assert _data.path(name).stat().st_size > 1000


def test_missing_data_are_told_in_one_line():
    with pytest.raises(
        cimbo.BadInput, match=r"no-such\.npz: is not among the shipped data files; reinstall cimbo"
    ):
        _data.path("no-such.npz")
