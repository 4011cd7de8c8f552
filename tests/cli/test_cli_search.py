"""``cimbo optimize`` asked in every way, with real searches over an accuracy that costs nothing."""

import json
import shutil

import pytest
import quick_accuracy

import predictors
from cimbo.cli import run
from cimbo.cli.progress import Progress, duration
from cimbo.session.warm_start import bundles_told
from cimbo.study.events import Checked
from cimbo.study.study import Study


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study of 20 evaluations, and what the command said."""
    folder = tmp_path_factory.mktemp("quick")
    with pytest.MonkeyPatch.context() as patch:
        quick_accuracy.install(folder, patch)
        quick_accuracy.study(folder)
        yield folder


@pytest.fixture(scope="module")
def old(searched):
    code = run(
        ["optimize", "--config", "study.toml", "--budget", "20", "--jobs", "1", "--study", "old.db"]
    )
    assert code == 0
    return searched / "old.db"


def asked(capsys, *arguments) -> tuple[dict, str]:
    """The JSON that a command printed, and what it said on the way."""
    capsys.readouterr()
    code = run([*map(str, arguments), "--format", "json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out), said.err


def test_what_if_questions_are_asked_of_the_same_history(old, capsys):
    file = shutil.copy(old, old.with_name("what_if.db"))
    plain, _ = asked(capsys, "pareto", "--study", file)
    question = ("--fix", "rows=64", "--limit", "area_mm2=4", "--study", file)
    before, _ = asked(capsys, "pareto", *question)
    assert before["evaluations"] == 20
    assert before["hypervolume"] < plain["hypervolume"]
    answer, said = asked(capsys, "optimize", "--budget", 25, "--jobs", 1, *question)
    assert "rows = 64" in said
    assert answer["evaluations"] == 25
    assert answer["hypervolume"] > before["hypervolume"]
    with Study.open(file, readonly=True) as study:
        fresh = study.evaluations()[20:]
    assert all(r.params["rows"] == 64 and r.metrics["area_mm2"] <= 4 for r in fresh)
    for design in [*before["pareto"], *answer["pareto"]]:
        assert design["hardware"]["rows"] == 64
        assert design["metrics"]["area_mm2"] <= 4
    better, _ = asked(capsys, "pareto", "--limit", "accuracy=80", "--study", file)
    assert all(design["metrics"]["accuracy"] >= 80 for design in better["pareto"])


def test_evaluations_of_the_same_problem_are_taken_over(old, capsys):
    answer, said = asked(
        capsys,
        "optimize",
        "--config",
        "study.toml",
        "--budget",
        21,
        "--jobs",
        1,
        "--seed",
        1,
        "--warm-from",
        old,
        "--study",
        "again.db",
    )
    assert "took over 20 of 20 evaluations\n" in said
    assert answer["evaluations"] == 21
    with Study.open("again.db", readonly=True) as study:
        assert [r.origin for r in study.evaluations()] == ["imported"] * 20 + ["proposed"]


def test_of_another_space_what_fits_is_taken_over_and_the_rest_learned_from(old, searched, capsys):
    quick_accuracy.study(searched, "other.toml", "dram_channels = [1, 3]")
    answer, said = asked(
        capsys,
        "optimize",
        "--config",
        "other.toml",
        "--budget",
        15,
        "--jobs",
        1,
        "--warm-from",
        old,
        "--study",
        "other.db",
    )
    with Study.open(old, readonly=True) as study:
        fitting = [r for r in study.evaluations() if r.params["dram_channels"] == 1]
    assert f"took over {len(fitting)} of 20 evaluations; learned accuracy from 20\n" in said
    assert answer["evaluations"] == 15
    with Study.open("other.db", readonly=True) as study:
        origins = [r.origin for r in study.evaluations()]
        assert origins.count("imported") == len(fitting)
        assert origins.count("sobol") == max(8 - len(fitting), 0)


def test_bundles_shorten_the_start(old, capsys):
    asked(capsys, "fit-predictors", "--samples", 20, "--jobs", 1, "--study", old)
    _, said = asked(
        capsys,
        "optimize",
        "--config",
        "study.toml",
        "--budget",
        12,
        "--jobs",
        1,
        "--seed",
        2,
        "--predictors",
        "bundles",
        "--study",
        "bundled.db",
    )
    assert "bundle of accuracy: used as a first guess (" in said
    with Study.open("bundled.db", readonly=True) as study:
        assert [r.origin for r in study.evaluations()].count("sobol") == 8


def test_accuracies_and_simulations_are_budgeted_apart(old, capsys):
    file = shutil.copy(old, old.with_name("budgets.db"))
    answer, _ = asked(
        capsys, "optimize", "--accuracy-budget", 22, "--budget", 60, "--jobs", 1, "--study", file
    )
    assert answer["accuracies_measured"] == 22
    assert 22 < answer["evaluations"] <= 60
    state, _ = asked(capsys, "status", "--study", file)
    assert (state["evaluations"], state["accuracies_measured"]) == (answer["evaluations"], 22)
    assert run(["optimize", "--accuracy-budget", "0", "--study", str(file)]) == 2
    assert "--accuracy-budget" in capsys.readouterr().err


def test_a_search_says_what_more_of_it_would_bring(old, capsys):
    file = shutil.copy(old, old.with_name("forecast.db"))
    _, said = asked(capsys, "optimize", "--budget", 22, "--jobs", 1, "--study", file)
    assert "no forecast" in said
    answer, said = asked(
        capsys,
        "optimize",
        "--budget",
        60,
        "--jobs",
        2,
        "--async",
        "--until-converged",
        90,
        "--study",
        file,
    )
    assert "50 more evaluations are expected to add" in said
    assert 30 <= answer["evaluations"] < 60
    assert run(["optimize", "--until-converged", "0", "--study", str(file)]) == 2
    assert "--until-converged" in capsys.readouterr().err


def test_a_budget_below_what_is_stored_evaluates_nothing_and_says_so(old, capsys):
    file = shutil.copy(old, old.with_name("enough.db"))
    answer, said = asked(capsys, "optimize", "--budget", 5, "--jobs", 1, "--study", file)
    assert answer["evaluations"] == 20
    assert "holds 20 evaluations, more than the budget of 5: nothing is evaluated" in said
    assert "measuring" not in said


def test_a_progress_line_names_the_phase_and_what_is_left(capsys):
    progress = Progress()
    for event in [Checked("on the test images", n, 3) for n in range(4)]:
        progress(event)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "measuring 3 designs of the front on the test images",
        "3/3 designs on the test images",
    ]
    assert [duration(s) for s in (5, 100, 7200)] == ["5 s", "2 min", "2.0 h"]


def test_of_each_bundle_it_is_told_whether_it_is_used():
    rows = [{"a": i, "b": i % 3} for i in range(12)]
    model = predictors.fit(rows, [i + 1.0 for i in range(12)], kind="gp")
    priors = dict.fromkeys(("accuracy", "latency_ms", "edp"), model)
    used, computed, other = bundles_told(priors, ["accuracy", "latency_ms"], {"latency_ms"})
    assert used.startswith(
        "bundle of accuracy: used as a first guess (gp, fitted on 12 evaluations"
    )
    assert computed == "bundle of latency_ms: not used, latency_ms is computed exactly"
    assert other == "bundle of edp: not used, the study does not seek it"
