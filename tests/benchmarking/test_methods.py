"""Methods side by side: each a fair searcher, the same budget for all, curves that say what happened."""

import json
import sys
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import quick_accuracy
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

import predictors
from cimbo import BadInput
from cimbo.benchmarking import METHOD_MODULES, runner, start
from cimbo.benchmarking.method import Task
from cimbo.benchmarking.runner import Band, Run
from cimbo.cli import run
from cimbo.optimizer.options import OptimizerOptions
from cimbo.plots import curves
from cimbo.problem.objectives import Problem
from cimbo.session import comparison

PROBLEM = Problem(SPACE, OBJECTIVES, CONSTRAINTS)
FAST = ("random", "nsga2", "tpe", "tpe-multivariate", "linas", "cimbo")


def peer(name: str, seed: int = 0, guidance: OptimizerOptions | None = None):
    try:
        return start(name, Task(PROBLEM, seed, guidance or OptimizerOptions(kind="gp", initial=8)))
    except BadInput as error:
        pytest.skip(str(error))


class Measured:
    """Measures, and keeps what it was asked; ``fragile``: a third of the space fails."""

    def __init__(self, *, fragile: bool = False) -> None:
        self.designs: list[dict] = []
        self.fragile = fragile

    def __call__(self, designs):
        self.designs += designs
        return [None if self.fragile and d["cell"] == "c" else measure(d) for d in designs]


@pytest.mark.parametrize("name", FAST)
def test_every_method_spends_its_budget_on_designs_of_the_space(name: str):
    measured, budget = Measured(fragile=True), 42 if name == "nsga2" else 32
    answers, overhead = runner.race(peer(name), measured, budget, 5)
    assert len(answers) == len(measured.designs) == budget
    assert all(SPACE.canonical(d) == d for d in measured.designs)
    assert len({SPACE.key(d) for d in measured.designs}) >= (
        32 if name in ("random", "linas", "cimbo") else 20
    )
    assert overhead > 0


@pytest.mark.parametrize("name", ["tpe", "tpe-multivariate", "linas"])
def test_methods_do_not_warn_of_what_a_user_cannot_change(name: str, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error", predictors.OutsideWarning)
        warnings.simplefilter("error", FutureWarning)
        runner.race(peer(name), Measured(), 25, 5)
    assert "independent" not in capfd.readouterr().err


def test_what_learns_beats_chance():
    volume = runner.natural(PROBLEM)
    found = {}
    for name in ("random", "linas", "cimbo"):
        runs = [
            Run(name, seed, *runner.race(peer(name, seed), Measured(), 35, 5)) for seed in range(2)
        ]
        found[name] = np.mean([runner.anytime(r, PROBLEM, volume, [35])[0] for r in runs])
    assert found["random"] < found["linas"]
    assert found["random"] < found["cimbo"]


@pytest.mark.parametrize(("name", "budget"), [("gp-sampler", 12), ("botorch", 22)])
def test_the_slow_ones_propose_too(name: str, budget: int):
    measured = Measured()
    answers, _ = runner.race(peer(name), measured, budget, 1)
    assert len(answers) == budget
    assert len({SPACE.key(d) for d in measured.designs}) > 1


def test_curves_count_feasible_designs_only_and_never_fall():
    inside, broken = (
        measure(SPACE.sobol(1)[0]),
        {"accuracy": 99.0, "latency_ms": 0.1, "area_mm2": 41.0},
    )
    best = {"accuracy": 70.0, "latency_ms": 1.0, "area_mm2": 40.0}
    runs = [
        Run("a", 0, [None, broken, best, inside], 0.5),
        Run("a", 1, [None] * 4, 0.5),
        Run("a", 2, [best] * 4, 0.5),
    ]
    (band,) = runner.bands(runs, PROBLEM, runner.natural(PROBLEM), [1, 2, 3, 4])
    assert band.median.tolist()[:3] == [0.0, 0.0, 20.0]
    assert band.low.tolist() == [0.0] * 4
    assert band.high.tolist()[0] == 20.0
    assert (np.diff(band.median) >= 0).all()
    assert runner.checkpoints(200)[-1] == 200
    assert runner.checkpoints(3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("measured", "reached", "said"),
    [
        ([{"area_mm2": 30.0}], 20.0, ""),
        ([{"area_mm2": 41.0}, None], 0.0, "; 1 of 2 failed; 0 of 2 keep the constraints (area_"),
        ([{"accuracy": 1.0}], 0.0, "; none of these is better than the reference in every"),
    ],
)
def test_a_run_says_why_its_hypervolume_is_0(measured, reached, said):
    good = {"accuracy": 70.0, "latency_ms": 1.0, "area_mm2": 40.0}
    run_ = Run("a", 0, [m and good | m for m in measured], 0.5)
    told = comparison.reached_in_words(run_, PROBLEM, reached, len(measured))
    assert told.startswith(said)
    assert bool(told) == bool(said)
    assert len(run_.feasible(PROBLEM)) == int("of 2" not in said)


def test_the_picture_is_svg_with_every_method_in_it():
    at = np.array([1.0, 2.0, 4.0])
    found = [Band(name, at, at / 4, at / 8, at / 2) for name in METHOD_MODULES]
    picture = ET.fromstring(
        curves.svg([curves.Panel("<one & two>", "share", found), curves.Panel("b", "share", found)])
    )
    texts = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {*METHOD_MODULES, "<one & two>"} <= set(texts)
    paths = [p.get("d") for p in picture.iter("{http://www.w3.org/2000/svg}path")]
    lines = len(METHOD_MODULES) + 1  # with the axes; of so many methods cimbo alone has a band
    assert len(paths) == 2 * (lines + 1)


def test_what_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "cimbo.benchmarking.optuna_methods", raising=False)
    with pytest.raises(
        BadInput, match=r"method tpe: needs optuna, .* pip install 'cimbo\[peers\]'"
    ):
        start("tpe", Task(PROBLEM))
    with pytest.raises(BadInput, match="is unknown"):
        start("magic", Task(PROBLEM))


def test_the_command_compares_for_real_and_by_replay(tmp_path, monkeypatch, capsys):
    quick_accuracy.install(tmp_path, monkeypatch)
    config = quick_accuracy.study(tmp_path)
    config.write_text(config.read_text().replace("initial = 10", "initial = 30"))
    common = ("--budget", "12", "--seeds", "2", "--methods", "random,linas", "--format", "json")
    assert run(["compare", "--config", "study.toml", "--plot", "curves.svg", *common]) == 0
    said = capsys.readouterr()
    real = json.loads(said.out)
    assert real["evaluated"] == "evaluated for real"
    assert list(real["methods"]) == ["random", "linas"]
    assert real["methods"]["random"]["evaluations"][-1] == 12
    assert all(0 <= n <= 12 for n in real["methods"]["random"]["feasible"])
    assert ET.fromstring((tmp_path / "curves.svg").read_text()).tag.endswith("svg")
    assert run(["optimize", "--config", "study.toml", "--budget", "30", "--jobs", "1"]) == 0
    capsys.readouterr()
    assert run(["compare", *common]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert "replayed by predictors of 30" in replayed["evaluated"]
    assert replayed["methods"]["random"]["hypervolume"]["median"][-1] > 0
    for wrong in (("--methods", "magic"), ("--seeds", "0"), ("--budget", "-1")):
        assert run(["compare", *wrong]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert (
        run(
            [
                "compare",
                "--methods",
                "random",
                "--study",
                "none.db",
                "--config",
                "study.toml",
                "--evaluate",
                "replay",
            ]
        )
        == 2
    )
    capsys.readouterr()


@pytest.mark.parametrize("succeeded", [0, 1])
def test_moead_takes_its_units_from_the_first_generation_that_has_any(succeeded: int):
    method = peer("moead")
    designs = SPACE.sobol(6, 0)
    measured = [measure(d) for d in designs]
    first = [*measured[:succeeded], *[None] * (6 - succeeded)]
    told = method.known(first)["F"]
    assert np.isfinite(told).all()
    assert (told[succeeded:] == told.max()).all()
    scaled = method.known(measured)["F"]
    assert (np.abs(scaled) < 1e6).all()
    np.testing.assert_array_equal(method.known(measured)["F"], scaled)
