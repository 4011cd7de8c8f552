"""The command line as a user meets it: real evaluations of the shipped super-networks, exit codes, one-line errors."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import predictors
from cimbo import _data
from cimbo.cli import run
from cimbo.cli.progress import Progress
from cimbo.cli.search import optimize
from cimbo.config.study_config import preset
from cimbo.session.finalists import FEWEST_IMAGES
from cimbo.session.optimize import SearchSettings
from cimbo.storage import Store
from cimbo.study.events import Proposed

CHIP = dict(preset("fmnist-vit").baseline())


def cimbo(*arguments, folder, env=None):
    """Run the installed program in ``folder``; what it did."""
    command = [sys.executable, "-m", "cimbo", *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A real study of the default preset, small: 24 verified evaluations in two processes."""
    folder = tmp_path_factory.mktemp("searched")
    done = cimbo(
        "optimize",
        "--budget",
        24,
        "--jobs",
        2,
        "--bit-accurate-images",
        100,
        "--format",
        "json",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def test_optimize_verifies_for_real_and_prints_the_front(searched):
    folder, done = searched
    answer = json.loads(done.stdout)
    assert answer["evaluations"] == 24
    assert answer["hypervolume"] > 0
    bound = preset("fmnist-vit").problem.constraints[0].bound
    for design in answer["pareto"]:
        assert set(design) == {"key", "architecture", "hardware", "metrics"}
        assert 0 < design["metrics"]["area_mm2"] <= bound
        assert abs(design["metrics"]["accuracy"] - design["metrics"]["accuracy_test"]) < 4
    for design in answer["pareto"]:  # all are verified bit-accurately, and ranked by what was found
        metrics = design["metrics"]
        assert abs(metrics["exact_form_points"]) < 6
        if design["hardware"]["array"] == "digital_sram":
            assert metrics["exact_form_points"] == 0
    exact = [d["metrics"]["accuracy_exact"] for d in answer["pareto"]]
    assert exact == sorted(exact, reverse=True)
    assert answer["hypervolume_exact"] > 0
    assert not set(answer["dropped_in_exact_form"]) & {d["key"] for d in answer["pareto"]}
    assert "24/24 evaluations, hypervolume" in done.stderr
    with Store.open(folder / "cimbo.db", readonly=True) as store:
        records = store.records()
        assert [r.status for r in records] == ["done"] * 24
        assert len({r.key for r in records}) == 24
        assert {r.origin for r in records} == {"sobol", "proposed"}
        proposed = next(r for r in records if r.origin == "proposed")
        assert set(proposed.extra["predicted"]) == {"accuracy", "latency_ms", "area_mm2"}


def test_optimize_verifies_its_front_bit_accurately_unless_told_not_to():
    defaults = {option.name: option.default for option in optimize.params}
    assert defaults["bit_accurate_images"] >= FEWEST_IMAGES
    assert SearchSettings().bit_accurate_images == defaults["bit_accurate_images"]


def test_the_same_command_resumes_and_adds_nothing_when_the_budget_is_spent(searched):
    folder, done = searched
    again = cimbo(
        "optimize", "--budget", 24, "--bit-accurate-images", 100, "--format", "json", folder=folder
    )
    assert again.returncode == 0
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert "24 of 24 evaluations stored" in again.stderr


def test_views_agree_with_one_another(searched):
    folder, done = searched
    answer = json.loads(done.stdout)
    assert json.loads(cimbo("pareto", "--format", "json", folder=folder).stdout) == answer
    rows = list(
        csv.DictReader(io.StringIO(cimbo("pareto", "--format", "csv", folder=folder).stdout))
    )
    assert [r["key"] for r in rows] == [d["key"] for d in answer["pareto"]]
    key = answer["pareto"][0]["key"]
    shown = json.loads(cimbo("show", key[:8], "--format", "json", folder=folder).stdout)
    assert (shown["key"], shown["on_front"]) == (key, True)
    state = json.loads(cimbo("status", "--format", "json", folder=folder).stdout)
    assert (state["evaluations"], state["failed"], state["preset"]) == (24, 0, "fmnist-vit")
    table = cimbo("pareto", folder=folder).stdout
    assert all(d["key"] in table for d in answer["pareto"])
    exported = list(csv.DictReader(io.StringIO(cimbo("export", folder=folder).stdout)))
    assert len(exported) == 24


def test_report_is_one_file_with_the_front_in_it(searched):
    folder, done = searched
    assert cimbo("report", "-o", "out.html", folder=folder).returncode == 0
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert all(d["key"] in page for d in json.loads(done.stdout)["pareto"])
    assert len(page) < 300_000


def test_explain_adds_up_to_the_study_s_latency(searched):
    folder, done = searched
    best = json.loads(done.stdout)["pareto"][0]
    answer = json.loads(cimbo("explain", best["key"], "--format", "json", folder=folder).stdout)
    assert answer["latency_ms"] == pytest.approx(best["metrics"]["latency_ms"], rel=1e-9)
    assert sum(layer["cycles"] for layer in answer["layers"]) == pytest.approx(
        answer["cycles"], rel=1e-9
    )


def test_fit_predictors_writes_bundles_another_process_and_study_can_use(searched, tmp_path):
    folder, _ = searched
    done = cimbo(
        "fit-predictors",
        "--samples",
        24,
        "--out",
        tmp_path / "b",
        "--format",
        "json",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer["objectives"]) == {"accuracy", "latency_ms"}
    for name, scores in answer["objectives"].items():
        assert {"n", "kind", "rmse", "mape", "r2", "kendall_tau", "coverage_90", "verdict"} <= set(
            scores
        )
        assert set(scores["kinds"]) >= {"xgboost", "gp"}
        assert predictors.load(tmp_path / "b" / f"{name}.cimpred").schema.target == name
        assert predictors.load(tmp_path / "b" / f"{name}.xgboost.cimpred").kind == "xgboost"
        assert predictors.load(tmp_path / "b" / f"{name}.gp.cimpred").kind == "gp"
        assert f"{name}: {scores['kind']}" in done.stderr
    listed = cimbo("predictors", "list", tmp_path / "b", folder=folder)
    assert listed.returncode == 0, listed.stderr
    head, *lines = listed.stdout.splitlines()
    assert head.split()[:3] == ["file", "target", "unit"]
    assert len(lines) == len(list((tmp_path / "b").glob("*.cimpred")))
    assert all(line.split()[0].endswith(".cimpred") for line in lines)
    other = cimbo(
        "optimize",
        "--budget",
        21,
        "--predictors",
        tmp_path / "b",
        "--cost-model",
        "surrogate",
        "--seed",
        1,
        "--study",
        "other.db",
        "--bit-accurate-images",
        0,
        "--format",
        "json",
        folder=folder,
    )
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout)["evaluations"] == 21
    for name, scores in answer["objectives"].items():
        used = (
            f"bundle of {name}: used as a first guess ({scores['kind']}, fitted on 24 evaluations"
        )
        assert used in other.stderr
    refused = cimbo("optimize", "--predictors", tmp_path / "none", "--study", "x.db", folder=folder)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1


def test_an_interrupted_search_keeps_everything_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "cimbo", "optimize", "--budget", "50", "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    stored = 0
    while stored < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        if (tmp_path / "cimbo.db").exists():
            with sqlite3.connect(f"file:{tmp_path / 'cimbo.db'}?mode=ro", uri=True) as connection:
                stored = connection.execute("SELECT count(*) FROM evaluation").fetchone()[0]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    again = errors.partition("to go on: ")[2].split()
    assert again == ["cimbo", "optimize", "--budget", "50", "--jobs", "2"]
    with Store.open(tmp_path / "cimbo.db", readonly=True) as store:
        kept = store.count()
    assert kept >= 2
    more = cimbo(
        "optimize",
        "--budget",
        kept + 1,
        "--bit-accurate-images",
        0,
        "--format",
        "json",
        folder=tmp_path,
    )
    assert json.loads(more.stdout)["evaluations"] == kept + 1


def test_simulate_prints_one_chip(tmp_path):
    done = cimbo(
        "simulate",
        "--network",
        "vit-b",
        "--hardware",
        json.dumps(CHIP),
        "--format",
        "json",
        folder=tmp_path,
    )
    answer = json.loads(done.stdout)
    assert {"latency_ms", "energy_uj", "area_mm2", "cycles", "layers"} <= set(answer)
    assert answer["energy_uj"] == pytest.approx(
        sum(v for layer in answer["layers"] for v in layer["energy_uj"].values()), rel=1e-6
    )


def bad(capsys, *arguments):
    """Run in this process; the one line that was said."""
    code = run([str(a) for a in arguments])
    said = capsys.readouterr()
    assert code == 2, said.err
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert ": " in lines[0]
    assert ";" in lines[0]
    return lines[0]


@pytest.mark.parametrize("budget", ["0", "-5", "many"])
def test_a_wrong_budget(capsys, budget, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "--budget" in bad(capsys, "optimize", "--budget", budget)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("optimize", "--preset", "nope"), "nope"),
        (("optimize", "--config", "missing.toml"), "missing.toml"),
        (("optimize", "--preset", "fmnist-vit", "--config", "x.toml"), "--config"),
        (("optimize", "--jobs", "0"), "--jobs"),
        (("optimize", "--bit-accurate-images", "-1"), "--bit-accurate-images"),
        (("optimize", "--predictors", "nowhere"), "nowhere"),
        (("optimize", "--fix", "rows=77"), "rows"),
        (("optimize", "--fix", "colour=3"), "colour"),
        (("optimize", "--warm-from", "missing.db"), "missing.db"),
        (("optimize", "--limit", "area_mm2"), "area_mm2"),
        (("optimize", "--limit", "area_mm2=big"), "big"),
        (("optimize", "--limit", "colour=3"), "colour"),
        (("fit-predictors", "--samples", "0"), "--samples"),
        (("pareto", "--study", "missing.db"), "missing.db"),
        (("show", "abc", "--study", "missing.db"), "missing.db"),
        (("simulate", "--network", "nope", "--hardware", "{}"), "nope"),
        (("simulate", "--network", "vit-b", "--hardware", "{"), "--hardware"),
        (
            ("simulate", "--network", "vit-b", "--hardware", json.dumps({**CHIP, "colour": 3})),
            "colour",
        ),
        (
            ("simulate", "--network", "vit-b", "--hardware", json.dumps({**CHIP, "rows": -1})),
            "rows",
        ),
        (
            (
                "simulate",
                "--network",
                "vit-b",
                "--subnet",
                '{"nope": 1}',
                "--hardware",
                json.dumps(CHIP),
            ),
            "nope",
        ),
        (("train-supernet", "nope"), "nope"),
        (("train-supernet", "fmnist-vit", "--noise", "colour=3"), "is no noise of an array"),
        (("train-supernet", "fmnist-vit", "--data", "nowhere"), "nowhere"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_input_is_one_line(capsys, monkeypatch, tmp_path, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert word in bad(capsys, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_study(capsys, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a study")
    assert "notes.txt" in bad(capsys, "optimize", "--study", file)
    assert file.read_text() == "not a study"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(capsys, tmp_path):
    tmp_path.chmod(0o500)
    assert "cimbo.db" in bad(capsys, "optimize", "--study", tmp_path / "cimbo.db")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("title = ", "TOML"),
        ("[network]\nname = 'fmnist-vit'\n", "objectives"),
        (
            "colour = 1\n[network]\nname='fmnist-vit'\n[[objectives]]\nname='accuracy'\ngoal='max'\n",
            "colour",
        ),
        ("[network]\nname='fmnist-vit'\n[[objectives]]\nname='accuracy'\ngoal='up'\n", "accuracy"),
        ("network = 3\n[[objectives]]\nname='accuracy'\ngoal='max'\n", "network"),
        (
            "[network]\nname='fmnist-vit'\n[hardware]\nspace='huge'\n[[objectives]]\nname='accuracy'\ngoal='max'\n",
            "huge",
        ),
        (
            "[network]\nname='fmnist-vit'\n[search]\nbatch='x'\n[[objectives]]\nname='accuracy'\ngoal='max'\n",
            "batch",
        ),
        (
            "[network]\nname='fmnist-vit'\n[hardware.genes]\nrows=3\n[[objectives]]\nname='accuracy'\ngoal='max'\n",
            "rows",
        ),
        (
            "[network]\nname='fmnist-vit'\n[[objectives]]\nname='accuracy'\ngoal='max'\n"
            "[[constraints]]\nmetric='area_mm2'\nbound='big'\n",
            "area_mm2",
        ),
    ],
)
def test_a_wrong_study_toml(capsys, tmp_path, text, word):
    file = tmp_path / "study.toml"
    file.write_text(text)
    line = bad(capsys, "optimize", "--config", file, "--study", tmp_path / "x.db")
    assert word in line
    assert not (tmp_path / "x.db").exists()


def test_presets_are_listed(capsys):
    assert run(["presets", "--format", "json"]) == 0
    rows = {row["preset"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"fmnist-vit", "fmnist-mobilenet"} <= set(rows)
    assert rows["reviews-minilm"]["cpu_s_budget_30"] > 0
    assert rows["reviews-minilm"]["memory_mb"] > 0


def test_help_starts_without_torch():
    code = "import sys, cimbo.cli; cimbo.cli.run(['--help']); sys.exit('torch' in sys.modules or 'xgboost' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        == 0
    )


def test_the_shipped_weights_say_how_they_were_made():
    from cimbo.supernets.recipes import TRAINING_RECIPES, recorded

    for name in TRAINING_RECIPES:
        stages = recorded(Path(_data.path(f"supernets/{name}.safetensors")))["stages"]
        assert stages
        assert all(stage["epochs_done"] >= 1 for stage in stages)


def test_an_interrupt_that_foreign_code_drops_is_granted_at_the_next_event(monkeypatch):
    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)

    class Noisy:
        def __del__(self) -> None:
            signal.raise_signal(
                signal.SIGINT
            )  # Python reports what a destructor raises, and drops it

    def watched() -> None:
        with Progress(0) as progress:
            noisy = Noisy()
            del noisy
            assert len(dropped) == 1
            progress(Proposed(1, 0.0, ()))

    with pytest.raises(KeyboardInterrupt):
        watched()

    def unwatched() -> None:
        with Progress(0):
            noisy = Noisy()
            del noisy

    with pytest.raises(KeyboardInterrupt):
        unwatched()
