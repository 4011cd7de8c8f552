"""``cimbo train-supernet``: the command that made the shipped weights."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import positive
from cimbo.cli.output import say
from cimbo.errors import BadInput

NOISE = ("adc_bits", "cell_noise", "rows", "cell_bits", "dac_bits")


@click.command()
@click.argument("name")
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("/usr/share/datasets/fashion-mnist"),
    show_default=True,
    help="Folder of gzipped IDX files; Debian's package dataset-fashion-mnist puts them there.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="The weights [default: NAME.safetensors].",
)
@click.option(
    "--from", "start", type=click.Path(path_type=Path), default=None, help="Weights to go on from."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change the recipe, such as epochs=6.",
)
@click.option(
    "--noise",
    default="",
    metavar="NAME=VALUE,...",
    help="Train under the noise of arrays: adc_bits=4,rows=256,cell_bits=2,dac_bits=2,cell_noise=0.02. Goes well with --from.",
)
@click.option(
    "--stop-after", type=int, default=None, help="Epochs to run of the recipe's [default: all]."
)
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def train_supernet(
    *,
    name: str,
    folder: Path,
    out: Path | None,
    start: Path | None,
    changes: tuple[str, ...],
    noise: str,
    stop_after: int | None,
    threads: int,
) -> None:
    """Train super-network NAME (fmnist-vit or fmnist-mobilenet) with the sandwich rule and in-place distillation."""
    import torch

    from cimbo.supernets.recipes import RECIPES, Run, build, trained
    from cimbo.workloads import network

    if name not in RECIPES:
        raise BadInput(f"super-network {name!r}", "is unknown", f"use one of {', '.join(RECIPES)}")
    changed: dict[str, Any] = dict(_change(RECIPES[name], text) for text in changes)
    changed |= dict(_noise(RECIPES[name], text) for text in filter(None, noise.split(",")))
    recipe = replace(RECIPES[name], **changed)
    torch.set_num_threads(positive("--threads", threads))
    target = out or Path(f"{name}.safetensors")
    stop = positive("--stop-after", stop_after) if stop_after is not None else recipe.epochs
    run = Run(
        trained(name, network(name).choices()), folder, target, recipe, start=start, stop_after=stop
    )
    build(name, run, say=say)
    click.echo(str(target))


def _noise(recipe: Any, text: str) -> tuple[str, float]:
    """One part of ``--noise``. Raises BadInput for what is no noise."""
    if text.partition("=")[0] not in NOISE:
        raise BadInput(
            f"--noise {text}",
            "is no noise of an array",
            f"use {' or '.join(f'{n}=VALUE' for n in NOISE)}",
        )
    return _change(recipe, text)


def _change(recipe: Any, text: str) -> tuple[str, float]:
    """``NAME=VALUE`` as a field of the recipe and its new value. Raises BadInput."""
    name, _, value = text.partition("=")
    kinds = {f.name: type(getattr(recipe, f.name)) for f in fields(recipe)}
    if name not in kinds:
        raise BadInput(
            f"--set {text}", f"{name!r} is no part of a recipe", f"use one of {', '.join(kinds)}"
        )
    try:
        number = kinds[name](value)
    except ValueError:
        raise BadInput(
            f"--set {text}", f"{value!r} is no number", f"give {name} a number"
        ) from None
    return name, number if name == "seed" or number >= 0 else positive(f"--set {name}", number)
