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
    help="Another study of the same problem, such as a random search; may be given several times.",
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
        help="Also show N designs that the search would evaluate next, with predictions.",
    )


@command()
@study_option
@output_option("The file to write.", "report.html")
@baseline_option
@next_option(6)
@click.option(
    "--lite",
    is_flag=True,
    help="Write a smaller file, without layers and without predictions around designs.",
)
@click.option(
    "--serve",
    "is_served",
    is_flag=True,
    help="Write no file; serve a page that follows the running study, to this machine alone.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of --serve; 0: any free one.",
)
def report(*, file: str, out: Path, is_served: bool, port: int, **shown: Any) -> None:
    """Write a study as one HTML file: front, next candidates, hypervolume, predictions, layers. It opens offline.

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
@click.option(
    "--x",
    default=None,
    metavar="METRIC",
    help="Metric across, in a front [default: the second objective].",
)
@click.option(
    "--y",
    default=None,
    metavar="METRIC",
    help="Metric upwards, in a front [default: the first]; an objective on neither axis is the colour.",
)
@baseline_option
@next_option(0)
def plot(*, file: str, out: Path, **shown: Any) -> None:
    """Draw a figure for a paper: the front, hypervolume over evaluations, or predicted against measured.

    Example: cimbo plot --study demo.db --what hypervolume -o curve.svg
    """
    with existing(file) as session:
        click.echo(str(session.plot(out, **shown)))
