"""``cimbo demo``: the first front within seconds, from accuracies that were measured earlier and are shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cimbo.cli.options import command_line
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.view import front_document, front_rows
from cimbo.errors import BadInput
from cimbo.study.study import Study

PRESET = "fmnist-vit"
RECORDED = "RECORDED: accuracies were measured earlier and are replayed from a table that cimbo ships; chips are simulated now"


@click.command()
@click.option(
    "--study", "file", default="demo.db", show_default=True, help="The study file to write."
)
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
        say(f"\n{RECORDED}.")
        say(_told(study, other))
        say(_next(file, random, front[len(front) // 2].key[:8]))


def replay(which: str, file: str) -> Study:
    """The shipped record ``which`` ("search" or "random") as a study in ``file``."""
    from cimbo import _data
    from cimbo.config.study_config import preset
    from cimbo.optimizer.surrogates import targets
    from cimbo.study import records_table

    config = preset(PRESET)
    problem, evaluator = config.problem, config.evaluator()
    about = {
        "config": {"name": config.name, "data": dict(config.data)},
        "recorded": RECORDED,
        "command": command_line(),
    }
    study = Study.open(file, problem.space, problem.objectives, problem.constraints, metadata=about)
    rows = list(records_table.read(_data.path(f"demo/{which}.csv"), problem.space))
    costs = evaluator.costs([candidate.params for candidate, _, _ in rows])
    for i, (candidate, metrics, told) in enumerate(rows):
        tested = metrics.pop(records_table.TESTED, None)
        simulated = {name: float(values[i]) for name, values in costs.items()}
        if candidate.predicted:  # the search computed what its model did not have to guess
            computed = {
                name: (simulated[name], 0.0) for name in targets(problem) if name in simulated
            }
            candidate = replace(candidate, predicted={**candidate.predicted, **computed})
        study.import_evaluation(
            candidate,
            metrics | simulated,
            seconds=float(told["seconds"]),
            reason=told["reason"] or None,
        )
        if tested is not None:
            study.record_test_accuracy(candidate.key, tested)
    return study


def _told(study: Study, other: Study) -> str:
    """The two searches after equally many evaluations, and how early ours was as far."""
    from cimbo.report import facts

    ours, random = (facts.volumes(facts.gather(each)) for each in (study, other))
    n = min(len(ours), len(random))
    passed = next((i for i, volume in enumerate(ours, 1) if volume > random[n - 1]), None)
    early = f", which the search passed with its evaluation {passed}" if passed else ""
    so_far = f"After {n} evaluations the search's hypervolume was {ours[n - 1]:.4g}"
    return f"{so_far}, that of random designs {random[n - 1]:.4g}{early}."


def _next(file: str, random: str, key: str) -> str:
    steps = {
        f"cimbo explain {key} --study {file}": "why this chip, and what to change",
        f"cimbo report --study {file} --baseline {random}": "everything, as one HTML file",
        "cimbo doctor": "what a search of your own would take",
        "cimbo optimize --budget 200": "measure for yourself",
    }
    width = max(map(len, steps))
    return "\n".join(
        ["Next:", *(f"  {command.ljust(width)}  {why}" for command, why in steps.items())]
    )
