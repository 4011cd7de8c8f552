"""The chosen chip and network as the files that ZigZag reads, and the chip as the variables of AccelForge's analog macro."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo.evaluators import accelforge, zigzag
from cimbo.hardware.circuit import circuit
from cimbo.hardware.space import columns
from cimbo.workload import Workload

#: What each tool cannot express, and the nearest that it can.
NEAREST: dict[str, dict[str, Any]] = {
    "zigzag": {"planes": 1, "columns_per_adc": 1, "cell_bits": 1},
    "accelforge": {"planes": 1, "columns_per_adc": 1, "macros_per_pe": 1, "pes": 1},
}


def nearest(tool: str, chip: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """gene -> (the chip's value, the tool's nearest), for each gene that ``tool`` cannot express as it is."""
    full = {name: values[0] for name, values in columns(chip).items()}
    return {gene: (full[gene], to) for gene, to in NEAREST[tool].items() if full[gene] != to}


def write_zigzag(folder: Path, workload: Workload, chip: Mapping[str, Any]) -> list[Path]:
    """accelerator.yaml and mapping.yaml, a workload file for each distinct layer, and network.yaml, which says what layer is
    in which file and how often it runs. ZigZag takes one layer at a time on a chip that computes in memory, as cimbo does.

    Raises BadInput where ZigZag cannot express the chip.
    """
    accelerator, mapping, layers = zigzag.inputs(workload, chip)
    files: dict[str, str] = {}
    network = []
    for layer, description in zip(workload.layers, layers, strict=True):
        name = files.setdefault(json.dumps(description), f"layer_{len(files):02}")
        times = layer.groups if layer.dynamic else 1
        network.append({"layer": layer.name, "workload": f"{name}.yaml", "times": times})
    distinct = {name: json.loads(text) for text, name in files.items()}
    return _write(folder, {"accelerator": accelerator, "mapping": mapping, "network": network, **distinct})


def write_accelforge(folder: Path, workload: Workload, chip: Mapping[str, Any]) -> list[Path]:
    """variables.yaml: what AccelForge's basic analog macro is set to, with its rows, columns and the layers' sizes.

    Raises BadInput where one macro of AccelForge cannot express the chip.
    """
    full = {name: values[0] for name, values in columns(chip).items()}
    accelforge.check(full)
    variables = accelforge.variables(full, float(circuit(columns(chip)).clock_ns[0]))
    document = {
        "variables": variables,
        "array": {"rows": int(full["rows"]), "columns": int(full["cols"])},
        "layers": [
            {"name": e.name, "M": e.px, "K": e.reduction, "N": e.columns, "times": e.groups} for e in workload.layers
        ],
    }
    return _write(folder, {"variables": document})


def _write(folder: Path, documents: Mapping[str, Any]) -> list[Path]:
    """JSON is YAML, and needs no library."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.yaml" for name in documents]
    for path, document in zip(paths, documents.values(), strict=True):
        path.write_text(json.dumps(document, indent=1, default=lambda v: v.item()) + "\n", encoding="utf-8")
    return paths
