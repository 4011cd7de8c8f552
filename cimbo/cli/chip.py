"""Commands about networks and chips, without a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import json_object, simulator_option, simulator_options_option, study_option
from cimbo.cli.output import emit, format_option, write


@click.command()
@format_option
def presets(style: str) -> None:
    """The shipped studies."""
    from cimbo import config

    rows = [
        {"preset": name, "title": title, "default": name == config.DEFAULT_PRESET,
         "accuracy": config.preset(name).standing()["kind"]}
        for name, title in config.presets().items()
    ]  # fmt: skip
    emit(style, rows, rows)


@click.command()
@click.option("--network", "name", required=True, help="A network family, such as fmnist-vit or vit-b.")
@click.option("--subnet", default=None, help="Genes of the sub-network as JSON, or @FILE [default: the largest].")
@click.option("--hardware", required=True, help="Genes of the chip as JSON, or @FILE.")
@simulator_option
@simulator_options_option
@format_option
def simulate(
    *, name: str, subnet: str | None, hardware: str, simulator: str | None, simulator_options: str, style: str
) -> None:
    """One network on one chip: latency, energy, area, and what bounds each layer."""
    from cimbo.evaluators import simulators
    from cimbo.networks import network

    family = network(name)
    genes = family.largest() if subnet is None else json_object("--subnet", subnet)
    _check_genes(genes, [c.name for c in family.choices()])
    who = simulators.simulator(simulator or "cimbo", **json_object("--simulator-options", simulator_options))
    answer = dict(who.simulate(family.workload(genes), json_object("--hardware", hardware)))
    layers = answer.pop("layers", [])
    rows = [_layer_row(layer) for layer in layers]
    rows.append({"layer": "TOTAL", "cycles": answer.get("cycles"), "bound": "", "energy_uj": answer.get("energy_uj")})
    emit(style, rows, answer | {"layers": layers})
    click.echo(
        ", ".join(f"{k} {answer[k]:.5g}" for k in ("latency_ms", "energy_uj", "area_mm2") if k in answer), err=True
    )
    for warning in answer.get("warnings", []):
        click.echo(f"warning: {warning}", err=True)


def _check_genes(genes: dict[str, Any], known: list[str]) -> None:
    from cimbo.errors import BadInput

    for name in genes:
        if name not in known:
            raise BadInput(f"--subnet, {name}", "is no gene of this network", f"the genes are {', '.join(known)}")


def _layer_row(layer: dict[str, Any]) -> dict[str, Any]:
    """One line of the table; another simulator than ours may say less of a layer."""
    energy = layer.get("energy_uj")
    total = float(sum(energy.values())) if isinstance(energy, dict) else energy
    return {
        "layer": layer.get("name"),
        "cycles": layer.get("cycles"),
        "bound": layer.get("bound", ""),
        "energy_uj": total,
    }


@click.command()
@click.argument("key")
@click.option("--picture", type=click.Path(path_type=Path), default=None, help="Write time and energy as an SVG file.")
@study_option
@format_option
def explain(key: str, picture: Path | None, file: str, style: str) -> None:
    """Where the time and energy of an evaluated design go, layer by layer, and what each knob is worth."""
    from cimbo import hardware
    from cimbo.cli.options import existing
    from cimbo.cli.view import find, sides
    from cimbo.config import from_definition
    from cimbo.networks import network
    from cimbo.report import breakdown

    with existing(file) as study:
        config = from_definition(file, study.store.definition)
        record = find(study, key)
        parts = sides(study, record)
    chip = {**config.evaluator().fixed, **parts["hardware"]}
    answer = hardware.explain(network(config.network).workload(parts["architecture"]), chip)
    emit(style, [_layer_row(layer) for layer in answer["layers"]], {"key": record.key, **answer})
    for title, values in (
        ("time by bound, ms", answer["time_by_bound_ms"]),
        ("energy by part, uJ", answer["energy_by_part_uj"]),
    ):
        click.echo(_bars(title, values), err=True)
    if picture is not None:
        write(picture, breakdown.picture(answer))


def _bars(title: str, values: Mapping[str, float]) -> str:
    total = sum(values.values()) or 1.0
    shown = sorted(((v, k) for k, v in values.items() if v > 0), reverse=True)
    lines = [f"  {k:13} {v:10.4g} {100 * v / total:5.1f} %  {'#' * round(40 * v / total)}".rstrip() for v, k in shown]
    return "\n".join([title, *lines])
