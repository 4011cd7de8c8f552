"""``cimbo report`` and ``cimbo plot``: a study to read, and its figures for a paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cimbo.cli.grouped import command, output_option
from cimbo.cli.options import existing, study_option
from cimbo.cli.serve import DEFAULT_PORT, serve

MOST_FOLLOWING = 200  # designs after those that are verified; choosing a thousand takes a minute

baseline_option = click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="FILE",
    help="Another study of the same problem, such as a random search; may be repeated.",
)


def next_option(n: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option --next N, given to the command as ``following``.

    Args:
        n: Its default.

    Returns:
        A decorator of commands.
    """
    return click.option(
        "--next",
        "following",
        type=click.IntRange(0, MOST_FOLLOWING),
        default=n,
        show_default=True,
        metavar="N",
        help="Also show N designs that the search would verify next, as predicted.",
    )


@command()
@study_option
@output_option("The file to write.", "report.html")
@baseline_option
@next_option(6)
@click.option(
    "--lite",
    is_flag=True,
    help="A smaller file: without layers, and what surrogates say around designs.",
)
@click.option(
    "--serve",
    "is_served",
    is_flag=True,
    help="Write nothing; show the running study on a page that follows it, to this machine alone.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Where --serve listens; 0 for any free port.",
)
def report(*, file: str, out: Path, is_served: bool, port: int, **shown: Any) -> None:
    """One HTML file: front, next candidates, hypervolume, predicted against verified, layers. It needs no network.

    Example: cimbo report --study demo.db --baseline demo-random.db -o demo.html
    """
    if is_served:
        serve(file, port)
        return
    with existing(file) as session:
        click.echo(str(session.report(out, **shown)))


@command()
@study_option
@output_option("The file to write; its ending says the format: pdf, png or svg.", "front.pdf")
@click.option(
    "--what",
    type=click.Choice(["front", "hypervolume", "calibration"]),
    default="front",
    show_default=True,
    help="The figure.",
)
@baseline_option
@next_option(0)
def plot(*, file: str, out: Path, **shown: Any) -> None:
    """A figure for a paper: the front, hypervolume over evaluations, or predicted against verified.

    Example: cimbo plot --study demo.db --what hypervolume -o curve.svg
    """
    with existing(file) as session:
        click.echo(str(session.plot(out, **shown)))
