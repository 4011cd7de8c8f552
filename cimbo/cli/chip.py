"""Commands about networks and chips, without a study."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from cimbo.cli.options import json_object, origin, simulator_option, simulator_options_option
from cimbo.cli.output import emit, format_option, say
from cimbo.errors import BadInput, naming, printable

if TYPE_CHECKING:
    from cimbo.workloads.layers import Workload


@click.command()
@format_option
def presets(style: str) -> None:
    """The shipped studies."""
    from cimbo.config import study_config

    rows = [
        {
            "preset": name,
            "title": title,
            "default": name == study_config.DEFAULT_PRESET,
            "accuracy": study_config.preset(name).accuracy_provenance()["kind"],
        }
        for name, title in study_config.presets().items()
    ]
    emit(style, rows, rows)


@click.command()
@click.option(
    "--network",
    "name",
    required=True,
    help="A network family, such as fmnist-vit or vit-b, or a file NAME.onnx.",
)
@click.option(
    "--subnet",
    default=None,
    help="Genes of the sub-network as JSON, or @FILE [default: the largest].",
)
@click.option("--hardware", required=True, help="Genes of the chip as JSON, or @FILE.")
@simulator_option
@simulator_options_option
@format_option
def simulate(
    *,
    name: str,
    subnet: str | None,
    hardware: str,
    simulator: str | None,
    simulator_options: str,
    style: str,
) -> int:
    """One network on one chip: latency, energy, area, and what bounds each layer."""
    from cimbo.evaluation import simulators

    workload = _workload(name, subnet)
    who = simulators.simulator(
        simulator or "cimbo", **json_object("--simulator-options", simulator_options)
    )
    chip = json_object("--hardware", hardware)
    try:
        with naming(origin("--hardware", hardware)):
            answer = dict(who.simulate(workload, chip))
    except RuntimeError as error:  # how simulators say that they cannot
        say(f"{who.name}: {printable(str(error))}; try another design")
        return 1
    layers = answer.pop("layers", [])
    rows = [layer_row(layer) for layer in layers]
    rows.append(
        {
            "layer": "TOTAL",
            "cycles": answer.get("cycles"),
            "bound": "",
            "energy_uj": answer.get("energy_uj"),
        }
    )
    emit(style, rows, answer | {"layers": layers})
    say(
        ", ".join(
            f"{k} {answer[k]:.5g}" for k in ("latency_ms", "energy_uj", "area_mm2") if k in answer
        )
    )
    for warning in answer.get("warnings", []):
        say(f"warning: {warning}")
    return 0


def _workload(name: str, subnet: str | None) -> Workload:
    """What ``--network`` and ``--subnet`` name: a sub-network of a family, or the network of an ONNX file."""
    from cimbo.workloads import network
    from cimbo.workloads.onnx.reader import from_onnx

    if name.endswith(".onnx"):
        if subnet is not None:
            raise BadInput(
                "--subnet", f"chooses within a family, but {name} is one network", "leave it out"
            )
        return from_onnx(name)
    family = network(name)
    genes = family.largest() if subnet is None else json_object("--subnet", subnet)
    _check_genes(genes, [c.name for c in family.choices()])
    with naming(origin("--subnet", subnet)) if subnet is not None else nullcontext():
        return family.workload(genes)


def _check_genes(genes: dict[str, Any], known: list[str]) -> None:
    for name in genes:
        if name not in known:
            raise BadInput(
                f"--subnet, {name}",
                "is no gene of this network",
                f"the genes are {', '.join(known)}",
            )


def layer_row(layer: dict[str, Any]) -> dict[str, Any]:
    """One line of the table; another simulator than ours may say less of a layer."""
    energy = layer.get("energy_uj")
    total = float(sum(energy.values())) if isinstance(energy, dict) else energy
    return {
        "layer": layer.get("name"),
        "cycles": layer.get("cycles"),
        "bound": layer.get("bound", ""),
        "energy_uj": total,
    }
