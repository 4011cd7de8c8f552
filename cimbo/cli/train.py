"""``cimbo train-supernet``: the command that made the shipped weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cimbo.cli.options import positive
from cimbo.errors import BadInput


@click.command()
@click.argument("name")
@click.option("--data", "folder", type=click.Path(path_type=Path), default=Path("/usr/share/datasets/fashion-mnist"), show_default=True,
              help="Folder of gzipped IDX files; Debian's package dataset-fashion-mnist puts them there.")  # fmt: skip
@click.option("--epochs", type=int, default=None, help="Passes over the training images [default: the recipe's].")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=None, help="The weights [default: NAME.safetensors]."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def train_supernet(name: str, folder: Path, epochs: int | None, out: Path | None, seed: int, threads: int) -> None:
    """Train super-network NAME (fmnist-vit or fmnist-mobilenet) with the sandwich rule and in-place distillation."""
    import torch

    from cimbo.networks import network
    from cimbo.supernets.build import RECIPES, build

    if name not in RECIPES:
        raise BadInput(f"super-network {name!r}", "is unknown", f"use one of {', '.join(RECIPES)}")
    recipe = replace(RECIPES[name], seed=seed)
    if epochs is not None:
        recipe = replace(recipe, epochs=positive("--epochs", epochs))
    torch.set_num_threads(positive("--threads", threads))
    target = out or Path(f"{name}.safetensors")
    build(name, network(name).choices(), folder, out=target, recipe=recipe, say=lambda line: click.echo(line, err=True))
    click.echo(str(target))
