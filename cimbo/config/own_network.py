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
        name: A file NAME.onnx, or a family, which stays at its largest sub-network.
        sizes: Free sizes of an ONNX file, by name.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network.
    """
    about: dict[str, Any] = {"name": _found(name), "accuracy": NO_ACCURACY, "subnetwork": "largest"}
    if sizes:
        about["sizes"] = dict(sizes)
    network(about["name"], sizes)  # raises BadInput for an unknown name
    data = read_toml(COSTS_ALONE_FILE)
    data["network"] = about
    data["title"] = f"Chips for {_called(name)} ({data['title']})"
    costs = Config(name, data).baseline_costs()
    for objective in data["objectives"]:
        objective["reference"] = WORST_OF_BASELINE * costs[objective["name"]]
    return Config(name, data)


def _found(name: str) -> str:
    """The whole path of an ONNX file; the name of another network as it is."""
    if is_onnx(name):
        return str(Path(name).resolve())
    return name


def _called(name: str) -> str:
    """A network in a title: an ONNX file without its folder and suffix."""
    if is_onnx(name):
        return Path(name).stem
    return name


def of_networks(names: Sequence[str]) -> Config:
    """Describe the study of chips for several networks: the worst latency, the mean energy, and the area.

    Args:
        names: Files, families, or networks of a library; each at its largest.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network, or one that is named twice.
    """
    found = [_found(name) for name in names]
    shipped = read_toml(COSTS_ALONE_FILE)
    hardware = dict(shipped["hardware"])
    hardware.pop("simulator", None)
    titles = [Path(name).stem for name in names]
    return Config(
        ", ".join(names),
        {
            "title": f"Chips for {', '.join(titles)}",
            "hardware": hardware,
            "evaluator": {"python": EVALUATE_SEVERAL, "options": {"networks": found}},
            "objectives": _objectives(evaluate(shipped["baseline"], found)),
        },
    )


def _objectives(costs: Mapping[str, float]) -> list[dict[str, Any]]:
    """Minimise what counts of several networks, with references from the costs of a middling chip."""
    objectives = []
    for metric in SEVERAL_NETWORKS_OBJECTIVES:
        reference = WORST_OF_BASELINE * costs[metric]
        objectives.append({"name": metric, "goal": "min", "reference": reference})
    return objectives
