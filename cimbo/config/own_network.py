"""Makes the description of a study of chips from nothing but the name of a network, or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.config.reading import PRESETS_FOLDER, preset_names, read_preset, read_toml
from cimbo.config.study_config import Config
from cimbo.errors import BadInput
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.evaluation.several import evaluate
from cimbo.workloads import is_family_name, network
from cimbo.workloads.summary import is_onnx

COSTS_ALONE_FILE = PRESETS_FOLDER / "bases" / "costs-alone.toml"
SEVERAL_NETWORKS_OBJECTIVES = ("worst_latency_ms", "energy_uj", "area_mm2")
EVALUATE_SEVERAL = "cimbo.evaluation.several:evaluate"
# The reference of each objective, as a multiple of the baseline chip's cost
WORST_OF_BASELINE = 4.0
# The shipped study whose chips are searched for a family that has no shipped study
USUAL_JOINT_PRESET = "vit-b-imagenet"


def of_names(
    names: Sequence[str], sizes: Mapping[str, int] | None = None, *, has_weights: bool = False
) -> Config:
    """Describe a study from nothing but names of networks.

    Args:
        names: ONNX files, families, or networks of a library.
        sizes: Free sizes of an ONNX file, by name; of one network only.
        has_weights: Whether the user has weights of the network, so that its sub-networks are searched too.

    Returns:
        The description: chips for one network at its largest, or for several; with weights of one
        network its sub-networks and chips.

    Raises:
        BadInput: For an unknown network, one that is named twice, and sizes of several.
    """
    if len(names) > 1:
        if sizes:
            raise BadInput("--set", "is of one network", "export the files with fixed sizes")
        return of_networks(names)
    if has_weights:
        return of_measured_network(names[0])
    return of_network(names[0], sizes)


def of_network(name: str, sizes: Mapping[str, int] | None = None) -> Config:
    """Describe a study of chips for one network, in which only costs are measured.

    Since no accuracy is measured, genes that it depends on stay at values at which an array's converters
    lose nothing. The references of the objectives are four times the costs of a middling chip.

    Args:
        name: A file NAME.onnx, or a family, which stays at its largest sub-network.
        sizes: Free sizes of an ONNX file, by name.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network.
    """
    table: dict[str, Any] = {
        "name": _full_path(name),
        "accuracy": NO_ACCURACY,
        "subnetwork": "largest",
    }
    if sizes:
        table["sizes"] = dict(sizes)
    network(table["name"], sizes)  # raises BadInput for an unknown name
    data = read_toml(COSTS_ALONE_FILE)
    data["network"] = table
    data["title"] = f"Chips for {_title_name(name)} ({data['title']})"
    costs = Config(name, data).baseline_costs()
    for objective in data["objectives"]:
        objective["reference"] = WORST_OF_BASELINE * costs[objective["name"]]
    return Config(name, data)


def of_measured_network(name: str) -> Config:
    """Describe the joint study of a family's sub-networks and chips, for a user who has weights of it.

    It is the family's shipped study where there is one. Otherwise chips, baseline, objectives and
    constraints are those of USUAL_JOINT_PRESET. The accuracy then has no reference, as nothing is
    known of it before it is measured.

    Args:
        name: A family. Of anything else no weights can be read; it is described as `of_network` does.

    Returns:
        The description; its source of accuracy is still to be set (`Config.with_checkpoint`).

    Raises:
        BadInput: For an unknown network.
    """
    if not is_family_name(name):
        return of_network(name)
    network(name)  # raises BadInput for an unknown name
    for shipped in preset_names():
        data = read_preset(shipped)
        if data.get("network", {}).get("name") == name:
            return Config(shipped, data)
    data = read_preset(USUAL_JOINT_PRESET)
    data["title"] = f"Elastic {name} (accuracy measured), chips of the baseline's area"
    data["network"] = {"name": name, "accuracy": NO_ACCURACY}
    costs = Config(name, data).baseline_costs()
    data["objectives"] = [
        {"name": "accuracy", "goal": "max"},
        {
            "name": "latency_ms",
            "goal": "min",
            "reference": WORST_OF_BASELINE * costs["latency_ms"],
        },
    ]
    return Config(name, data)


def _full_path(name: str) -> str:
    """The full path of an ONNX file; the name of any other network as it is."""
    if is_onnx(name):
        return str(Path(name).resolve())
    return name


def _title_name(name: str) -> str:
    """A network's name for a title: an ONNX file's without folder and suffix."""
    if is_onnx(name):
        return Path(name).stem
    return name


def of_networks(names: Sequence[str]) -> Config:
    """Describe a study of chips for several networks, which minimises worst latency, mean energy and area.

    Args:
        names: Files, families, or networks of a library; each at its largest.

    Returns:
        The description.

    Raises:
        BadInput: For an unknown network, or one that is named twice.
    """
    networks = [_full_path(name) for name in names]
    shipped = read_toml(COSTS_ALONE_FILE)
    hardware = dict(shipped["hardware"])
    hardware.pop("simulator", None)
    titles = [Path(name).stem for name in names]
    return Config(
        ", ".join(names),
        {
            "title": f"Chips for {', '.join(titles)}",
            "hardware": hardware,
            "evaluator": {"python": EVALUATE_SEVERAL, "options": {"networks": networks}},
            "objectives": _objectives(evaluate(shipped["baseline"], networks)),
        },
    )


def _objectives(costs: Mapping[str, float]) -> list[dict[str, Any]]:
    """The tables of the objectives for several networks, with references from the costs of a middling chip."""
    objectives = []
    for metric in SEVERAL_NETWORKS_OBJECTIVES:
        reference = WORST_OF_BASELINE * costs[metric]
        objectives.append({"name": metric, "goal": "min", "reference": reference})
    return objectives
