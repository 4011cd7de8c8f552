"""Every entry-point group that the documentation names is reachable from ``cimbo optimize`` or ``cimbo compare``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: group -> the name that the package below gives its plug-in
GROUPS = {
    "cimbo.networks": "my-network",
    "cimbo.simulators": "my-simulator",
    "cimbo.accuracy": "my-accuracy",
    "cimbo.surrogates": "my-surrogate",
    "cimbo.chip_spaces": "my-chips",
    "cimbo.listeners": "my-listener",
}
COMPARED_GROUP = "cimbo.methods"  # search methods: other than cimbo's, so no part of its search
ENTRY_POINTS = """
[cimbo.networks]
my-network = my_plugins:MyNetwork

[cimbo.simulators]
my-simulator = my_plugins:MySimulator

[cimbo.accuracy]
my-accuracy = my_plugins:MyAccuracy

[cimbo.surrogates]
my-surrogate = my_plugins:fit

[cimbo.chip_spaces]
my-chips = my_plugins:chips

[cimbo.listeners]
my-listener = my_plugins:Listener

[cimbo.methods]
my-method = my_plugins:FirstDesigns
"""
PROGRAM = '''
from pathlib import Path

import numpy as np

from cimbo import Choice
from cimbo.hardware import chip_choices
from cimbo.workloads import network


def called(what):
    with Path("called.txt").open("a") as file:
        file.write(what + "\\n")


class MyNetwork:
    """A family of its own name, over another's layers."""

    name = "my-network"

    def __init__(self):
        self.inner = network("fmnist-vit")

    def choices(self):
        return self.inner.choices()

    def workload(self, subnet):
        called("cimbo.networks")
        return self.inner.workload(subnet)

    def largest(self):
        return self.inner.largest()

    def smallest(self):
        return self.inner.smallest()


class MySimulator:
    """Compute or bandwidth, whichever is slower."""

    name = "my-simulator"

    def simulate(self, workload, chip):
        called("cimbo.simulators")
        peak = chip["pes"] * chip["macros_per_pe"] * chip["rows"] * chip["cols"] / 64
        layers = []
        for layer in workload.layers:
            cycles = max(layer.macs / peak, 8 * layer.parameters / (50 * chip["dram_channels"]))
            layers.append({"name": layer.name, "cycles": cycles, "energy_uj": 1e-6 * layer.macs})
        return {
            "latency_ms": sum(layer["cycles"] for layer in layers) * 1e-6,
            "energy_uj": sum(layer["energy_uj"] for layer in layers),
            "area_mm2": 1e-4 * peak,
            "layers": layers,
        }


def chips():
    """The shipped genes, without digital arrays."""
    called("cimbo.chip_spaces")
    genes = [choice for choice in chip_choices() if choice.name != "array"]
    return [Choice(choice.name, choice.values) for choice in genes]


class MyAccuracy:
    """Larger networks are more accurate."""

    genes = ()
    parts = ("validation",)

    def measure(self, design, part="validation"):
        called("cimbo.accuracy")
        macs = network("fmnist-vit").workload(design).macs
        return 60 + 30 * macs / (macs + 2e6)


class Prediction:
    def __init__(self, mean, std):
        self.mean = mean
        self.std = std


class Ridge:
    """A linear model, equally unsure everywhere."""

    def __init__(self, X, y):
        A = np.column_stack([X, np.ones(len(X))])
        self.weights = np.linalg.solve(A.T @ A + 0.1 * np.eye(A.shape[1]), A.T @ y)
        self.error = float((y - A @ self.weights).std())

    def predict(self, X):
        mean = np.column_stack([X, np.ones(len(X))]) @ self.weights
        return Prediction(mean, np.full(len(X), self.error))


class Listener:
    """Told of every event."""

    def __call__(self, event):
        called("cimbo.listeners")


def fit(X, y):
    called("cimbo.surrogates")
    return Ridge(X, y)


class FirstDesigns:
    """A search method: the first designs of a Sobol sequence."""

    def __init__(self, task):
        called("cimbo.methods")
        self.designs = task.problem.space.sobol(40)
        self.told = 0

    def ask(self, n):
        return self.designs[self.told : self.told + n]

    def tell(self, designs, measured):
        self.told += len(designs)
'''
CONFIG = """
[network]
name = "my-network"
accuracy = "my-accuracy"

[hardware]
simulator = "my-simulator"
space = "my-chips"

[[objectives]]
name = "accuracy"
goal = "max"
reference = 60.0

[[objectives]]
name = "latency_ms"
goal = "min"
reference = 10.0

[search]
initial = 6
batch = 3
surrogate = "{surrogate}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the package as pip would install it."""
    about = tmp_path / "my_plugins-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugins\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "my_plugins.py").write_text(PROGRAM)
    return tmp_path


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "cimbo", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


def search(folder: Path, surrogate: str, budget: int) -> subprocess.CompletedProcess[str]:
    (folder / "study.toml").write_text(CONFIG.format(surrogate=surrogate))
    words = ("optimize", "--config", "study.toml", "--study", "s.db", "--format", "json")
    options = ("--budget", str(budget), "--cost-model", "surrogate", "--listener", "my-listener")
    return command(folder, *words, *options)


def test_every_documented_group_is_reached_by_a_search(folder: Path) -> None:
    documented = set(re.findall(r"^\| `(cimbo\.\w+)` \|", _plugin_section(), re.MULTILINE))
    assert documented == {*GROUPS, COMPARED_GROUP}
    done = search(folder, "my-surrogate", budget=9)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["evaluations"] == 9
    assert set((folder / "called.txt").read_text().split()) == set(GROUPS)


def test_a_search_method_is_reached_by_a_comparison(folder: Path) -> None:
    words = ("compare", "--problem", "zdt1", "--methods", "random,my-method", "--budget", "10")
    done = command(folder, *words, "--seeds", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert set((folder / "called.txt").read_text().split()) == {COMPARED_GROUP}
    assert "my-method" in done.stdout


def test_the_kits_find_them_too(folder: Path) -> None:
    done = command(folder, "doctor", "my-surrogate", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_surrogate_is_refused_before_anything_is_evaluated(folder: Path) -> None:
    done = search(folder, "no-such", budget=9)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "'no-such' is unknown" in line
    assert "my-surrogate" in line
    called = (folder / "called.txt").read_text().split()
    assert not {"cimbo.simulators", "cimbo.accuracy"} & set(called)


def _plugin_section() -> str:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    return reference.split("## Plug-ins", 1)[1].split("\n## ", 1)[0]
