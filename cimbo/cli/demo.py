"""``cimbo demo``: the first front within seconds, from accuracies that were measured earlier and are shipped."""

from __future__ import annotations

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import command_line
from cimbo.cli.output import format_option, say
from cimbo.cli.view import print_front
from cimbo.session.demo import RECORDED_NOTE, Demo
from cimbo.session.demo import demo as recorded_demo


@command()
@click.option(
    "--study", "file", default="demo.db", show_default=True, help="The study file to write."
)
@format_option
def demo(file: str, style: str) -> None:
    """Replay a recorded search in seconds: print the front it found, and leave a study to try every other command on.

    Beside the study stands one of random designs, NAME-random.db, to compare it with.

    Example: cimbo demo --study first.db
    """
    found = recorded_demo(file, command=command_line())
    print_front(found.front, style)
    say(f"\n{RECORDED_NOTE}.")
    say(_comparison(found))
    say(_next_steps(found))


def _comparison(found: Demo) -> str:
    """The two searches after equally many evaluations, and how early ours was as far."""
    early = ""
    if found.passed_after is not None:
        early = f", which the search passed with its evaluation {found.passed_after}"
    return (
        f"After {found.evaluations} evaluations the search's hypervolume was {found.hypervolume:.4g}, "
        f"that of random designs {found.random_hypervolume:.4g}{early}."
    )


def _next_steps(found: Demo) -> str:
    steps = _commands_to_try(found)
    width = max(map(len, steps))
    lines = [f"  {command.ljust(width)}  {why}" for command, why in steps.items()]
    return "\n".join(["Next:", *lines])


def _commands_to_try(found: Demo) -> dict[str, str]:
    """Commands that lead on from the demo, and what each of them tells."""
    designs = found.front.designs
    key = designs[len(designs) // 2].key[:8]
    return {
        f"cimbo explain {key} --study {found.file}": "why this chip, and what to change",
        f"cimbo report --study {found.file} --baseline {found.random_file}": "everything, as one HTML file",
        "cimbo doctor": "what a search of your own would take",
        "cimbo optimize --budget 200": "measure for yourself",
    }
