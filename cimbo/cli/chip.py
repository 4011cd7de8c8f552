"""Commands about networks and chips, without a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cimbo.cli.fixed_genes import CHIP_TABLES, changed_genes, chip_in_row
from cimbo.cli.grouped import command
from cimbo.cli.options import (
    json_object,
    origin,
    simulator_option,
    simulator_options_option,
    sizes,
)
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.tables import fold_alike
from cimbo.cli.values import part_of_design
from cimbo.errors import naming, printable

if TYPE_CHECKING:
    from cimbo.session.simulation import Simulation
    from cimbo.workloads.layers import Workload

COSTS_TOLD = (
    "latency_ms",
    "energy_uj",
    "area_mm2",
    "inferences_per_s",
    "time_to_first_token_ms",
    "tokens_per_s",
    "energy_per_token_uj",
    "dram_bytes_per_token",
)


# Which network is counted, and for how much; in the order of --help.
COUNT_OPTIONS = (
    click.option(
        "--subnet",
        default=None,
        help="Genes of the sub-network as JSON, or @FILE, which may hold a design [default: the largest].",
    ),
    click.option("--batch", type=int, default=None, help="Inferences at once [default: 1]."),
    click.option(
        "--prompt",
        type=int,
        default=None,
        help="Tokens of a language model's prompt [default: 128].",
    ),
    click.option("--tokens", type=int, default=None, help="Tokens of its answer [default: 128]."),
    click.option(
        "--activity",
        default=None,
        metavar="FILE|measured|stored",
        help="Shares of the bits of inputs and weights that are one, by layer: TOML or JSON; or "
        "measured, of a shipped network; or stored, of an ONNX file's integer weights [default: the chip's activity].",
    ),
    click.option(
        "--copies",
        multiple=True,
        metavar="LAYER=NUMBER",
        help="Copies of the layers of that name or pattern, on a chip whose duplication is given; may be "
        "given several times.",
    ),
    click.option(
        "--set",
        "pairs",
        multiple=True,
        metavar="NAME=SIZE",
        help="A size that an ONNX file leaves open; may be given several times.",
    ),
)


def _count_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command COUNT_OPTIONS."""
    for option in reversed(COUNT_OPTIONS):
        function = option(function)
    return function


def _counted(
    name: str,
    *,
    subnet: str | None,
    pairs: Sequence[str],
    copies: Sequence[str],
    **settings: Any,
) -> Workload:
    """The network that the options name; ``settings``: batch, and lengths of prompt and answer, activity."""
    from cimbo.session import simulation

    genes = None
    where = ""
    if subnet is not None:
        genes = part_of_design("--subnet", subnet, ("architecture",))
        where = origin("--subnet", subnet)
    given = sizes(pairs)
    settings["copies"] = sizes(copies, "--copies")
    return simulation.workload(name, genes, where=where, sizes=given, **settings)


def _shown(rows: Sequence[dict[str, Any]], style: str) -> list[dict[str, Any]]:
    """Layers and their total: as a table, layers that are alike in one line where there are many."""
    if style != "table":
        return list(rows)
    return [*fold_alike(rows[:-1]), rows[-1]]


@command()
@format_option
def presets(style: str) -> None:
    """List the shipped studies.

    Example: cimbo presets --format json
    """
    from cimbo.session.starter import shipped_presets

    rows = [each.to_json() for each in shipped_presets()]
    emit(style, rows, rows)
    say(
        "costs of every preset are modelled by cimbo's chip model; cimbo doctor --preset NAME says what accuracies "
        "are measured on, or modelled from"
    )


@command()
@click.option(
    "--network",
    "name",
    required=True,
    help="A network family, such as fmnist-vit or vit-b, or a file NAME.onnx.",
)
@_count_options
@click.option(
    "--hardware",
    required=True,
    help="Genes of the chip as JSON, or @FILE, which may hold a design of cimbo export KEY --to json; "
    "@FILE#KEY: one design of several in it.",
)
@click.option(
    "--fix",
    "fixes",
    multiple=True,
    metavar="GENE=VALUE",
    help="Change a gene of that chip, such as node_nm=22; may be given several times.",
)
@simulator_option
@simulator_options_option
@format_option
def simulate(
    *,
    name: str,
    hardware: str,
    fixes: tuple[str, ...],
    simulator: str | None,
    simulator_options: str,
    style: str,
    **counted: Any,
) -> int:
    """Simulate one network on one chip: latency, energy, area, and what each layer waits for.

    Example: cimbo simulate --network llama-3-8b --prompt 512 --tokens 128 --hardware @chip.json
    """
    from cimbo.session import simulation

    network = _counted(name, **counted)
    options = json_object("--simulator-options", simulator_options)
    chip = part_of_design("--hardware", hardware, CHIP_TABLES)
    chosen = simulator or "cimbo"
    if chosen == "cimbo":
        chip = chip_in_row(chip)
    chip |= changed_genes(fixes)
    try:
        with naming(origin("--hardware", hardware)):
            found = simulation.simulate(network, chip, simulator=chosen, options=options)
    except RuntimeError as error:  # how simulators say that they cannot
        say(f"{chosen}: {printable(str(error))}; try another design")
        return 1
    emit(style, _shown(found.rows(), style), found.to_json())
    _talk(found, chosen)
    if chosen == "cimbo":
        say(_process_told({**options.get("fixed", {}), **chip}))
    return 0


def _process_told(chip: Mapping[str, Any]) -> str:
    """Say for which process and supply the costs are, and which of the two nobody named."""
    from cimbo.hardware import DEFAULT_GENES

    told = []
    for name in ("node_nm", "supply_v"):
        assumed = "" if name in chip else " (not given, assumed)"
        told.append(f"{name} {chip.get(name, DEFAULT_GENES[name])}{assumed}")
    return ", ".join(told)


def _talk(found: Simulation, simulator: str) -> None:
    """Say the costs of a network on a chip, their bounds, and what should be known of them."""
    from cimbo.session.simulation import pipeline_told

    told = [name for name in COSTS_TOLD if name in found.costs]
    if simulator != "cimbo":  # whose metrics may have any names
        told += [name for name in found.numbers() if name not in told]
    say(", ".join(found.told(name) for name in told))
    residency = found.residency_told()
    if residency is not None:
        say(residency)
    for line in (*found.bounds_told(), *found.merits_told(), *pipeline_told(found.costs)):
        say(line)
    for warning in found.warnings:
        say(f"warning: {warning}")


@command()
@click.argument("name", metavar="FILE|NETWORK")
@_count_options
@format_option
def workload(*, name: str, style: str, **counted: Any) -> None:
    """List what a network multiplies, stores and moves, layer by layer, without a chip.

    Example: cimbo workload vit-b --batch 8
    """
    from cimbo.workloads.summary import summaries, totals

    found = _counted(name, **counted)
    layers = [each.row() for each in summaries(found)]
    whole = totals(found)
    last: dict[str, Any] = {column: whole.get(column) for column in layers[0]}
    last["name"] = "TOTAL"
    document = {**whole, "layers": layers, "warnings": list(found.warnings)}
    emit(style, _shown([*layers, last], style), document)
    for warning in found.warnings:
        say(f"warning: {warning}")
