"""``cimbo init``: a study.toml to edit."""

from __future__ import annotations

from pathlib import Path

import click

from cimbo.cli.grouped import command
from cimbo.cli.output import say
from cimbo.config.study_config import DEFAULT_PRESET


@command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("study.toml"))
@click.option(
    "--preset",
    "name",
    default=DEFAULT_PRESET,
    show_default=True,
    help="The shipped study to start from.",
)
def init(file: Path, name: str) -> None:
    """Write a commented study.toml, and beside it the schema that lets an editor check it.

    Example: cimbo init mine.toml --preset vit-b-imagenet
    """
    from cimbo.session.starter import write_study_toml

    click.echo(str(write_study_toml(file, name=name)))
    say(f"edit it, then: cimbo doctor --config {file}; cimbo optimize --config {file} --budget 200")
