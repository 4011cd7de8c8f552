"""``cimbo completion``: what a shell needs to complete cimbo's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cimbo.cli.grouped import command


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Set up shell completion: eval "$(cimbo completion bash)", or in a start-up file; zsh and fish alike.

    Example: cimbo completion fish
    """
    from cimbo.cli import cimbo

    make = get_completion_class(shell)
    assert make is not None  # click knows the three
    click.echo(make(cimbo, {}, "cimbo", "_CIMBO_COMPLETE").source())
