"""The study of chips for one network, which nobody has described: what is added to the network's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.config.reading import PRESETS_FOLDER, read_toml
from cimbo.config.study_config import Config
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.evaluation.several import evaluate
from cimbo.workloads import network
from cimbo.workloads.summary import is_onnx

COSTS_ALONE_FILE = PRESETS_FOLDER / "bases" / "costs-alone.toml"
SEVERAL_NETWORKS_OBJECTIVES = ("worst_latency_ms", "energy_uj", "area_mm2")
EVALUATE_SEVERAL = "cimbo.evaluation.several:evaluate"
WORST_OF_BASELINE = 4.0  # times the baseline's costs still count, where nobody says what does


def of_network(name: str, sizes: Mapping[str, int] | None = None) -> Config:
    """Describe the study of chips for one network, of which costs alone are measured.

    Genes that accuracy depends on stay where the converters of an array lose nothing. The worst
    costs that count for the hypervolume are those of a middling chip, four times.

    Args:
        name: A file NAME.onnx, or a family, whose genes are searched too.
        sizes: Free sizes of an ONNX file, by name.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network.
    """
    about: dict[str, Any] = {"name": name, "accuracy": NO_ACCURACY}
    called = name
    if is_onnx(name):
        about["name"] = str(Path(name).resolve())
        called = Path(name).stem
    if sizes:
        about["sizes"] = dict(sizes)
    network(about["name"], sizes)
    data = read_toml(COSTS_ALONE_FILE)
    data["network"] = about
    data["title"] = f"Chips for {called} ({data['title']})"
    costs = Config(name, data).baseline_costs()
    for objective in data["objectives"]:
        objective["reference"] = WORST_OF_BASELINE * costs[objective["name"]]
    return Config(name, data)


def of_networks(names: Sequence[str]) -> Config:
    """Describe the study of chips for several networks: the worst latency, the mean energy, and the area.

    Args:
        names: Files, families, or networks of a library; each at its largest.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network, or one that is named twice.
    """
    found = [str(Path(name).resolve()) if is_onnx(name) else name for name in names]
    data = read_toml(COSTS_ALONE_FILE)
    costs = evaluate(data["baseline"], found)
    objectives = []
    for metric in SEVERAL_NETWORKS_OBJECTIVES:
        reference = WORST_OF_BASELINE * costs[metric]
        objectives.append({"name": metric, "goal": "min", "reference": reference})
    hardware = {}
    for name, value in data["hardware"].items():
        if name != "simulator":
            hardware[name] = value
    return Config(
        ", ".join(names),
        {
            "title": f"Chips for {', '.join(Path(name).stem for name in names)}",
            "hardware": hardware,
            "evaluator": {"python": EVALUATE_SEVERAL, "options": {"networks": found}},
            "objectives": objectives,
        },
    )
