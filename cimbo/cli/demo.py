"""``cimbo demo``: the first front within seconds, from accuracies that were measured earlier and are shipped."""

from __future__ import annotations

from pathlib import Path

import click

from cimbo.cli.output import emit, format_option
from cimbo.cli.view import front_document, front_rows
from cimbo.errors import BadInput
from cimbo.loop import Study

PRESET = "fmnist-mobilenet"
RECORDED = "RECORDED: accuracies were measured earlier and are replayed from a table that cimbo ships; chips are simulated now"


@click.command()
@click.option("--study", "file", default="demo.db", show_default=True, help="The study file to write.")
@format_option
def demo(file: str, style: str) -> None:
    """A recorded search, replayed in seconds: the front it found, and a study to try every other command on.

    Beside the study stands one of random designs, NAME-random.db, to compare it with.
    """
    random = str(Path(file).with_suffix("")) + "-random.db"
    for name in (file, random):
        if Path(name).exists():
            raise BadInput(name, "exists already", "name another file with --study, or remove it")
    with replay("random", random) as other, replay("search", file) as study:
        front = study.pareto()
        emit(style, front_rows(study), front_document(study))
        click.echo(f"\n{RECORDED}.", err=True)
        click.echo(_told(study, other), err=True)
        click.echo(_next(file, random, front[len(front) // 2].key[:8]), err=True)


def replay(which: str, file: str) -> Study:
    """The shipped record ``which`` ("search" or "random") as a study in ``file``."""
    from cimbo import _data, tabular
    from cimbo.config import preset

    config = preset(PRESET)
    problem, evaluator = config.problem, config.evaluator()
    about = {"config": {"name": config.name, "data": dict(config.data)}, "recorded": RECORDED}
    study = Study.open(file, problem.space, problem.objectives, problem.constraints, about=about)
    rows = list(tabular.read(_data.path(f"demo/{which}.csv"), problem.space))
    costs = evaluator.costs([candidate.params for candidate, _, _ in rows])
    for i, (candidate, metrics, told) in enumerate(rows):
        metrics |= {name: float(values[i]) for name, values in costs.items()}
        study.replay(candidate, metrics, seconds=float(told["seconds"]))
    return study


def _told(study: Study, other: Study) -> str:
    """The two searches after equally many evaluations, and where the longer one ended."""
    from cimbo.report import facts

    ours, random = (facts.volumes(facts.gather(each)) for each in (study, other))
    n = min(len(ours), len(random))
    return (
        f"After {n} evaluations the search's hypervolume was {ours[n - 1]:.4g}, that of random designs {random[n - 1]:.4g}; "
        f"after {len(ours)} the search's was {ours[-1]:.4g}."
    )


def _next(file: str, random: str, key: str) -> str:
    steps = {
        f"cimbo explain {key} --study {file}": "why this chip, and what to change",
        f"cimbo report --study {file} --baseline {random}": "everything, as one HTML file",
        "cimbo doctor": "what a search of your own would take",
        "cimbo optimize --budget 200": "measure for yourself",
    }
    width = max(map(len, steps))
    return "\n".join(["Next:", *(f"  {command.ljust(width)}  {why}" for command, why in steps.items())])
