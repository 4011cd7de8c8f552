"""Commands about networks and chips, without a study."""

from __future__ import annotations

import click

from cimbo.cli.options import json_object, origin, simulator_option, simulator_options_option
from cimbo.cli.output import emit, format_option, say
from cimbo.errors import naming, printable

COSTS_TOLD = ("latency_ms", "energy_uj", "area_mm2")


@click.command()
@format_option
def presets(style: str) -> None:
    """The shipped studies.

    Example: cimbo presets --format json
    """
    from cimbo.session.starter import shipped_presets

    rows = [each.to_json() for each in shipped_presets()]
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
    """One network on one chip: latency, energy, area, and what bounds each layer.

    Example: cimbo simulate --network vit-b --hardware @chip.json
    """
    from cimbo.session import simulation

    genes, where = None, ""
    if subnet is not None:
        genes, where = json_object("--subnet", subnet), origin("--subnet", subnet)
    workload = simulation.workload(name, genes, where=where)
    options = json_object("--simulator-options", simulator_options)
    chip = json_object("--hardware", hardware)
    try:
        with naming(origin("--hardware", hardware)):
            found = simulation.simulate(
                workload, chip, simulator=simulator or "cimbo", options=options
            )
    except RuntimeError as error:  # how simulators say that they cannot
        say(f"{simulator or 'cimbo'}: {printable(str(error))}; try another design")
        return 1
    emit(style, found.rows(), found.to_json())
    costs = [f"{name} {found.costs[name]:.5g}" for name in COSTS_TOLD if name in found.costs]
    say(", ".join(costs))
    for warning in found.warnings:
        say(f"warning: {warning}")
    return 0
