"""A study that a shell script drives: ask and tell as processes, side by side, killed, told wrongly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.session.leases import duration

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
CIMBO = f"{sys.executable} -m cimbo"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an empty study of 36 designs."""
    monkeypatch.chdir(tmp_path)
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    space = SearchSpace(
        [Choice("depth", [1, 2, 3])], [Choice("rows", [64, 128, 256]), Choice("bits", [4, 5, 6, 7])]
    )
    Study.open("s.db", space, [Objective("accuracy", "max"), Objective("edp", "min")]).close()
    return tmp_path


def cimbo(capsys, *words):
    code = run([*words, "--study", "s.db", "--format", "json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def started(*words, text=None):
    """A process of the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "cimbo", *words, "--study", "s.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def measured(design):
    return {
        "key": design["key"],
        "metrics": {"accuracy": design["params"]["depth"], "edp": design["params"]["rows"]},
    }


def write(path, value):
    Path(path).write_text(json.dumps(value))


def test_ask_tell_status_and_show(folder, capsys):
    code, asked, _ = cimbo(capsys, "ask", "-n", "3", "--by", "me", "--lease", "90m")
    assert code == 0
    assert [set(design) for design in asked] == [{"key", "params"}] * 3
    _, status, _ = cimbo(capsys, "status")
    assert [lease["by"] for lease in status["leases"]] == ["me"] * 3
    write("t.json", [measured(asked[0]), {"key": asked[1]["key"], "failed": "no licence"}])
    code, told, _ = cimbo(capsys, "tell", "t.json", "--source", "sim 1")
    assert (code, told["new"], told["evaluations"]) == (0, 2, 2)
    assert cimbo(capsys, "tell", "t.json")[1]["known"] == 2
    _, status, _ = cimbo(capsys, "status")
    assert status["failed"] == 1
    assert status["measured_by"] == ["sim 1"]
    assert len(status["leases"]) == 1
    _, again, said = cimbo(capsys, "retry")
    assert [design["key"] for design in again] == [asked[1]["key"]]
    assert "1 designs will be asked anew" in said
    assert cimbo(capsys, "ask")[1][0]["key"] == asked[1]["key"]
    assert "@" in cimbo(capsys, "show", asked[0]["key"])[1]["told_by"]


def test_wrong_rows_are_a_line_each_and_the_others_are_recorded(folder, capsys):
    _, asked, _ = cimbo(capsys, "ask", "-n", "8")
    keys = [design["key"] for design in asked]
    rows = [
        measured(asked[0]),
        {"key": "nonsense", "metrics": {"accuracy": 1, "edp": 1}},
        {"key": keys[1], "metrics": {"acuracy": 1, "edp": 1}},
        {"key": keys[1], "metrics": {"accuracy": "high", "edp": 1}},
        {"key": keys[1], "metric": {"accuracy": 1, "edp": 1}},
        {"key": keys[1]},
        {"metrics": {"accuracy": 1, "edp": 1}},
        17,
        {"key": keys[1], "failed": True},
        {"key": keys[2], "metrics": {"accuracy": float("nan"), "edp": 1}},
        measured(asked[3]),
    ]
    write("t.json", rows)
    code, told, said = cimbo(capsys, "tell", "t.json")
    assert (code, told["new"], len(told["refused"])) == (2, 3, 8)
    lines = said.splitlines()
    assert [line.split(",")[1].split()[1] for line in lines] == list("23456789")
    assert f"t.json, row 3 ({keys[1]}), accuracy: is not told; did you mean it by acuracy?" in said
    assert "metric: is no field of a row; did you mean metrics?" in said
    assert said.count("Traceback") == 0
    with Study.open("s.db", readonly=True) as study:
        assert [r.status for r in study.evaluations()] == ["done", "failed", "done"]
        assert study.evaluations()[1].reason == "accuracy is nan"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"key": "a", "metrics": {}},\n oops]', "t.json, line 2: is no JSON"),
        ("{", "t.json, line 1: is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "is no text"),
    ],
)
def test_what_is_no_json_is_one_line(folder, capsys, text, message):
    Path("t.json").write_text(text, errors="surrogateescape")
    code, _, said = cimbo(capsys, "tell", "t.json")
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1


def test_rows_may_follow_one_another(folder, capsys, monkeypatch):
    _, asked, _ = cimbo(capsys, "ask", "-n", "4")
    rows = [json.dumps(measured(design)) for design in asked]
    Path("t.json").write_text(f"{rows[0]}\n{rows[1]}\n[{rows[2]},\n{rows[3]}]\n")
    assert cimbo(capsys, "tell", "t.json")[1]["new"] == 4


def test_tasks_that_ask_and_tell_at_once_lose_nothing(folder):
    asking = [started("ask", "-n", "2", "--by", f"task-{i}", "--format", "json") for i in range(6)]
    answers = [json.loads(process.communicate()[0]) for process in asking]
    designs = [design for answer in answers for design in answer]
    assert len({design["key"] for design in designs}) == 12
    telling = [started("tell", "-", "--by", f"task-{i}") for i in range(6)]
    for process, answer in zip(telling, answers, strict=True):
        process.stdin.write(json.dumps([measured(design) for design in answer]))
        process.stdin.close()
    assert [process.wait() for process in telling] == [0] * 6
    with Study.open("s.db", readonly=True) as study:
        assert {r.key for r in study.evaluations()} == {design["key"] for design in designs}
        assert {r.extra["told_by"] for r in study.evaluations()} == {f"task-{i}" for i in range(6)}
        assert not study.running()


def test_telling_that_is_killed_is_told_again(folder, capsys):
    _, asked, _ = cimbo(capsys, "ask", "-n", "30")
    write("t.json", [measured(design) for design in asked])
    for pause in (1.5, 1.7, 2.0):
        process = started("tell", "t.json")
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    code, told, _ = cimbo(capsys, "tell", "t.json")
    assert (code, told["evaluations"], told["again"]) == (0, 30, 0)


def test_the_budget_ends_a_loop(folder, capsys):
    assert len(cimbo(capsys, "ask", "-n", "8", "--budget", "5")[1]) == 5
    code, asked, said = cimbo(capsys, "ask", "-n", "8", "--budget", "5")
    assert (code, asked) == (0, [])
    assert "0 of 8 designs" in said


def test_who_asks_is_the_job_of_a_queue(folder, capsys, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    cimbo(capsys, "ask")
    assert cimbo(capsys, "status")[1]["leases"][0]["by"] == "slurm-12_3"
    assert cimbo(capsys, "renew", "--by", "slurm-12_3", "--lease", "2d")[1][0]["until"]
    assert len(cimbo(capsys, "retry", "--by", "slurm-12_3")[1]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ask", "-n", "0"], "ask: 0 is not positive"),
        (["ask", "--lease", "soon"], "--lease: is 'soon'; give a duration"),
        (["ask", "--budget", "0"], "--budget: 0 is not positive"),
        (["tell", "none.json"], "none.json: cannot be read"),
        (["renew"], "names no design"),
        (["renew", "abc"], "KEY abc: is that of 0 designs"),
        (["retry", "abc"], "KEY abc: has neither failed nor been handed out"),
    ],
)
def test_mistakes_are_a_line(folder, capsys, words, message):
    code, _, said = cimbo(capsys, *words)
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1


def test_durations():
    assert [duration("x", t) for t in ("90", "90s", "1.5h", "1h30m", "2d")] == [
        90,
        90,
        5400,
        5400,
        172800,
    ]
    for text in ("", "h", "5 h", "-3h", "0", "400d", "1h x"):
        with pytest.raises(BadInput):
            duration("x", text)


def test_a_shell_loop_drives_a_study(folder):
    script = f"""
    set -e
    while true; do
        {CIMBO} ask -n 4 --budget 12 --study s.db --format json > batch.json
        [ "$(cat batch.json)" = "[]" ] && break
        {sys.executable} measure.py batch.json > measured.json
        {CIMBO} tell measured.json --study s.db > /dev/null
    done
    """
    Path("measure.py").write_text(
        "import json, sys\n"
        "rows = [{'key': d['key'], 'metrics': {'accuracy': d['params']['depth'], 'edp': d['params']['rows']}}\n"
        "        for d in json.load(open(sys.argv[1]))]\n"
        "print(json.dumps(rows))\n"
    )
    done = subprocess.run(["sh", "-c", script], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Study.open("s.db", readonly=True) as study:
        assert len(study.evaluations()) == 12
        assert study.pareto()


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"accuracy": 910.0, "latency_ms": 1.0}, "accuracy: is 910; tell percent, from 0 to 100"),
        ({"accuracy": 91.0, "latency_ms": -1.0}, "latency_ms: is -1, and such an amount is never"),
        ({"accuracy": 0.91, "latency_ms": 1.0}, "a share; tell percent: 91"),
        ({"accuracy": 91.0, "latency_ms": 0.0}, "latency_ms: is 0, and no chip works in no time"),
        (
            {"accuracy": 88.0, "accuracy_fidelity": 50.0, "latency_ms": 1.0},
            "accuracy_fidelity: is 50; give the share of the full measurement",
        ),
        (
            {"accuracy": 88.0, "accuracy_fidelity": -1.0, "latency_ms": 1.0},
            "accuracy_fidelity: is -1; give the share of the full measurement",
        ),
        (
            {"accuracy": 88.0, "accuracy_std": -2.0, "latency_ms": 1.0},
            "accuracy_std: is -2; give a standard deviation",
        ),
        (
            {"accuracy": 88.0, "accuracy_low": 99.0, "accuracy_high": 12.0, "latency_ms": 1.0},
            "accuracy_low: is 99, above accuracy_high (12)",
        ),
    ],
)
def test_impossible_figures_are_refused_and_nothing_is_recorded(
    tmp_path, monkeypatch, capsys, metrics, told
):
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(
        '[network]\nname = "fmnist-vit"\naccuracy = "none"\n'
        '[[objectives]]\nname = "latency_ms"\ngoal = "min"\n'
    )
    words = ["ask", "--config", "study.toml", "--study", "s.db", "--format", "json"]
    assert run(words) == 0
    [design] = json.loads(capsys.readouterr().out)
    write("rows.json", [{"key": design["key"], "metrics": {**metrics, "energy_uj": 1.0}}])
    assert cimbo(capsys, "tell", "rows.json")[0] == 2
    code, _, said = cimbo(capsys, "tell", "rows.json")
    assert (code, told in said) == (2, True), said
    with Study.open("s.db", readonly=True) as study:
        assert study.evaluations() == []
