"""An in-house simulator as docs/architect.md has it: own genes, own metrics, failures; killed, resumed, decided on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cimbo import Study
from cimbo.processes import PROC_FOLDER

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "architect.md"
FILE_BLOCK = re.compile(r"^```\w+\n# file: (in_house\.\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LONGEST_TOML = 25  # lines
BUDGET = 14
# Accuracies of a formula, for the machine's sake; those of super-networks are measured in other tests.
QUICK_NETWORK = """name = "fmnist-vit"
accuracy = "command"
options = { command = ["python", "accuracy.py"], server = true }"""
ACCURACY = """
import json, sys
for line in sys.stdin:
    design = json.loads(line)["design"]
    print(json.dumps({"accuracy": 80 + design["depth"] + design["embed"] / 32}), flush=True)
"""


def cimbo(folder, *words):
    command = [sys.executable, "-m", "cimbo", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done


def running(folder):
    """Whether a simulator of that folder runs."""
    found = []
    for entry in PROC_FOLDER.glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            here = (entry / "cwd").resolve() == folder
        except OSError:
            continue
        if here and b"in_house.py" in words:
            found.append(entry.name)
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study that was killed and resumed."""
    folder = tmp_path_factory.mktemp("in_house").resolve()
    files = dict(FILE_BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")))
    assert len(files["in_house.toml"].strip().splitlines()) <= LONGEST_TOML
    toml = files["in_house.toml"].replace('name = "fmnist-vit"', QUICK_NETWORK)
    (folder / "in_house.toml").write_text(toml.replace('"python"', json.dumps(sys.executable)))
    (folder / "accuracy.py").write_text(ACCURACY)
    (folder / "in_house.py").write_text(files["in_house.py"].replace("sleep(0.5)", "sleep(0.05)"))
    words = ["optimize", "--config", "in_house.toml", "--study", "in_house.db"]
    words += ["--budget", str(BUDGET), "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cimbo", *words], cwd=folder, stderr=subprocess.DEVNULL
    )
    database, end = folder / "in_house.db", time.monotonic() + 300
    count = 0
    while count < 4 and time.monotonic() < end:
        time.sleep(0.5)
        if database.exists():
            with Study.open(database, readonly=True) as study:
                count = len(study.evaluations())
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.5)
    if os.name == "posix" and PROC_FOLDER.exists():
        assert not running(folder)
    with Study.open(database, readonly=True) as study:
        kept = [r.key for r in study.evaluations()]
    assert 4 <= len(kept) < BUDGET
    cimbo(folder, *words)
    with Study.open(database, readonly=True) as study:
        assert [r.key for r in study.evaluations()][: len(kept)] == kept
    return folder


def test_a_front_over_own_metrics(searched):
    document = json.loads(
        cimbo(searched, "pareto", "--study", "in_house.db", "--format", "json").stdout
    )
    assert document["evaluations"] == BUDGET
    assert document["pareto"]
    for design in document["pareto"]:
        metrics = design["metrics"]
        assert metrics["edp"] == pytest.approx(metrics["latency_ms"] * metrics["energy_uj"])
        assert metrics["settling_ns"] <= 8.0
        assert set(design["hardware"]) == {"adc_type", "rows", "dac_mv"}


def test_its_log_is_kept(searched):
    document = json.loads(
        cimbo(searched, "pareto", "--study", "in_house.db", "--format", "json").stdout
    )
    key = document["pareto"][0]["key"]
    shown = json.loads(
        cimbo(searched, "show", key, "--study", "in_house.db", "--format", "json").stdout
    )
    assert Path(shown["log"]).read_text().startswith("simulated ")


def test_it_is_decided_on(searched):
    document = json.loads(
        cimbo(searched, "pareto", "--study", "in_house.db", "--format", "json").stdout
    )
    key = document["pareto"][0]["key"]
    assert cimbo(searched, "explain", key, "--study", "in_house.db").stdout
    assert cimbo(searched, "robust", "--study", "in_house.db").stdout
    cimbo(searched, "report", "--study", "in_house.db", "-o", "in_house.html", "--next", "0")
    assert "tops_per_watt" in (searched / "in_house.html").read_text()
    assert "PASS" in cimbo(searched, "doctor", "--config", "in_house.toml", "--budget", "60").stdout
