"""The chosen chip and network as the files that ZigZag and AccelForge read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo.evaluation.simulators import zigzag
from cimbo.hardware import simulate
from cimbo.hardware.chip_columns import columns
from cimbo.io import accelforge_export
from cimbo.workloads.layers import Workload

#: What each tool cannot express, and the nearest that it can.
NEAREST_SUPPORTED: dict[str, dict[str, Any]] = {
    "zigzag": {"planes": 1, "columns_per_adc": 1, "cell_bits": 1},
    "accelforge": {},  # it takes any chip
}


def nearest(tool: str, chip: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """List what a tool cannot express of a chip.

    Args:
        tool: A key of NEAREST_SUPPORTED.
        chip: Genes of one chip; others are at their defaults.

    Returns:
        Gene -> (the chip's value, the tool's nearest), for each gene that it cannot express as it
        is.

    Raises:
        BadInput: Where ``chip`` is no chip.
    """
    full = _whole(chip)
    nearest = {}
    for gene, to in NEAREST_SUPPORTED[tool].items():
        if full[gene] != to:
            nearest[gene] = (full[gene], to)
    return nearest


def _whole(chip: Mapping[str, Any]) -> dict[str, Any]:
    """All genes of a chip, those that are not given at their defaults."""
    return {name: values[0] for name, values in columns(chip).items()}


def write_zigzag(folder: Path, workload: Workload, chip: Mapping[str, Any]) -> list[Path]:
    """Write the files that ZigZag reads.

    These are accelerator.yaml and mapping.yaml, a workload file for each distinct layer, and
    network.yaml, which says what layer is in which file and how often it runs. ZigZag takes one
    layer at a time on a chip that computes in memory, as cimbo does.

    Args:
        folder: Where files are written; made where it is not there, files of the same names
            replaced.
        workload: The network.
        chip: Genes of one chip.

    Returns:
        The files.

    Raises:
        BadInput: Where ZigZag cannot express the chip.
    """
    accelerator, mapping, layers = zigzag.inputs(workload, chip)
    # A dynamic layer is written as one of its groups, such as a head of attention; ZigZag knows groups of the others.
    times = [layer.groups if layer.dynamic else 1 for layer in workload.layers]
    texts = [_yaml(layer) for layer in layers]
    network, files = _distinct(workload, texts, times)
    fixed = {
        "accelerator": _yaml(accelerator),
        "mapping": _yaml(mapping),
        "network": _yaml(network),
    }
    return _write(folder, fixed | files)


def write_accelforge(folder: Path, workload: Workload, chip: Mapping[str, Any]) -> list[Path]:
    """Write the files that AccelForge reads.

    These are arch.yaml, a workload file for each distinct layer, and network.yaml, which says what
    layer is in which file and how often it runs: ``accelforge.Spec.from_yaml("arch.yaml",
    "layer_00.yaml").map_workload_to_arch()``.

    Args:
        folder: Where files are written; made where it is not there, files of the same names
            replaced.
        workload: The network.
        chip: Genes of one chip.

    Returns:
        The files.

    Raises:
        BadInput: Where ``chip`` is no chip.
    """
    full = _whole(chip)
    bits = int(full["act_bits"]), int(full["weight_bits"])
    layers = [accelforge_export.product(layer, bits) for layer in workload.layers]
    groups = [layer.groups for layer in workload.layers]
    network, files = _distinct(workload, layers, groups)
    arch = accelforge_export.architecture(chip, resident=simulate(workload, chip)["resident"])
    return _write(folder, {"arch": arch, "network": _yaml(network), **files})


def _distinct(
    workload: Workload, layers: list[str], times: list[int]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The network, layer by layer, and the text of each distinct layer under the name that the network gives it."""
    names: dict[str, str] = {}
    network = []
    for layer, text, often in zip(workload.layers, layers, times, strict=True):
        name = names.setdefault(text, f"layer_{len(names):02}")
        network.append({"layer": layer.name, "workload": f"{name}.yaml", "times": often})
    return network, {name: text for text, name in names.items()}


def _yaml(document: Any) -> str:
    """JSON is YAML, and needs no library."""
    return json.dumps(document, indent=1, default=lambda v: v.item()) + "\n"


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
