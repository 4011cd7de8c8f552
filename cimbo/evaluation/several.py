"""Chips for several networks at once: what each network costs on a chip, the mean and the worst.

Named in a study as ``[evaluator] python = "cimbo.evaluation.several:evaluate"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.workloads import network
from cimbo.workloads.layers import Workload
from cimbo.workloads.summary import is_onnx

SHARED_COSTS = ("latency_ms", "energy_uj")


def evaluate(
    design: Mapping[str, Any], networks: Sequence[str], weights: Sequence[float] = ()
) -> dict[str, float]:
    """Cost every network, at its largest, on one chip of cimbo's model.

    Args:
        design: genes of the chip.
        networks: names that `cimbo.workloads.network` takes: families, ONNX files, timm:NAME, hf:NAME.
        weights: how often each runs, for the mean; equally often by default.

    Returns:
        ``latency_ms`` and ``energy_uj``, the means over the networks; ``worst_latency_ms`` and ``worst_energy_uj``;
        the same of each network, as ``latency_ms_NAME``; and ``area_mm2``.

    Raises:
        BadInput: for an unknown network, and where weights are not one positive number a network.
    """
    workloads = _workloads(tuple(networks))
    shares = np.array(list(weights) or [1.0] * len(workloads), dtype=float)
    if len(shares) != len(workloads) or not (shares > 0).all():
        what = f"{list(weights)} are not {len(workloads)} positive numbers"
        raise BadInput("weights", what, "give one for each network")
    costs_of_networks = hardware.simulate_batch(
        list(workloads.values()), [dict(design)] * len(workloads)
    )
    metrics = {"area_mm2": float(hardware.area_mm2([dict(design)])[0])}
    for metric in SHARED_COSTS:
        costs = np.asarray(costs_of_networks[metric], dtype=float)
        metrics[metric] = float(shares @ costs / shares.sum())
        metrics[f"worst_{metric}"] = float(costs.max())
        for name, cost in zip(workloads, costs.tolist(), strict=True):
            metrics[f"{metric}_{name}"] = cost
    return metrics


def _workloads(networks: Sequence[str]) -> dict[str, Workload]:
    """The largest sub-network of each network, by a name that can stand in an expression.

    Raises BadInput where there is none, or two have the same name.

    Returns:
        Name to layers, in the order of ``networks``.
    """
    workloads: dict[str, Workload] = {}
    for name in networks:
        family = network(name)
        short = _short_name(name)
        if short in workloads:
            raise BadInput("networks", f"name {short} twice", "rename one of the files")
        workloads[short] = family.workload(family.largest())
    if not workloads:
        raise BadInput("networks", "are none", "name at least one")
    return workloads


def _short_name(name: str) -> str:
    """A network's name, or that of its file, with _ in place of all but letters and digits."""
    called = Path(name).stem if is_onnx(name) else name
    return "".join(letter if letter.isalnum() else "_" for letter in called)
