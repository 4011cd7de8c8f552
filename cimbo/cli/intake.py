"""``cimbo import``: evaluations of any CSV file told into a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import json_object, new_study_options, open_or_start, opened, studied
from cimbo.cli.output import emit, format_option, say
from cimbo.config.study_config import Config
from cimbo.errors import BadInput, naming
from cimbo.evaluation.joint import COSTS, JointEvaluator
from cimbo.io import importers
from cimbo.problem.objectives import Problem
from cimbo.study.study import Study

NAMED_CONTRADICTIONS = 3  # the others are counted


@click.command(name="import")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=NAME",
    help="What a column of the file is: a gene or a metric.",
)
@click.option(
    "--hardware",
    "chip",
    default=None,
    metavar="CHIP",
    help="For networks without a chip: JSON, @FILE or baseline. Costs are then simulated, not read from FILE.",
)
@new_study_options
@format_option
def import_(
    *, source: Path, pairs: Sequence[str], chip: str | None, style: str, **asked: Any
) -> int:
    """Tell a study the evaluations of FILE, a CSV file or an Optuna storage. One wrong row, and nothing is written.

    A column, or a parameter or value of a trial, is a gene or a metric by its name, or by the name that --map gives it.
    Accuracies measured on networks alone, such as the results of DyNAS-T, teach a joint search what they know once --hardware
    puts the networks on a chip.
    """
    problem, names = studied(**asked), dict(_pair(text) for text in pairs)
    if chip is None:
        table = importers.read(source, problem, names)
        with _target(asked) as study:
            before, after, told = _told(study, table.rows)
    else:
        with opened(asked) as (study, config):
            table = importers.read(
                source, problem, names, given=_chip(chip, problem, config), unread=COSTS
            )
            evaluator = config.evaluator()
            rows = [_simulated(row, evaluator) for row in table.rows]
            before, after, told = _told(study, rows)
            say(f"{source}: {_taken(evaluator, problem)}")
    unused = [name for name in table.ignored if chip is None or name not in COSTS]
    if unused:
        say(f"{source}: ignored {', '.join(unused)}, neither gene nor metric of the study")
    if told.contradictions:
        say(f"{source}: {_contradictions(told)}")
    document = {
        "rows": len(table.rows),
        "new": after - before,
        "evaluations": after,
        "ignored": table.ignored,
    }
    if told.replicates:
        document["replicates"] = told.replicates
    emit(style, [document | {"ignored": " ".join(table.ignored)}], document)
    return 0


def _told(study: Study, rows: Sequence[importers.Row]) -> tuple[int, int, importers.Told]:
    """How many evaluations there were before and after, and what became of the rows."""
    before = len(study.evaluations())
    told = importers.tell(study, rows)
    return before, len(study.evaluations()), told


def _contradictions(told: importers.Told) -> str:
    named = ", ".join(told.contradictions[:NAMED_CONTRADICTIONS])
    more = len(told.contradictions) - NAMED_CONTRADICTIONS
    rest = f" and {more} more" if more > 0 else ""
    return (
        f"{len(told.contradictions)} rows say another thing of a design than was known ({named}{rest}); "
        f"{told.replicates} are kept as further measurements, and the search uses the means"
    )


def _chip(text: str, problem: Problem, config: Config) -> dict[str, Any]:
    """The asked chip, or the baseline's. Raises BadInput for what is no gene of a chip, or no value of it."""
    chip = config.baseline() if text == "baseline" else json_object("--hardware", text)
    genes = {c.name: c for c in problem.space.hardware}
    for name, value in chip.items():
        if name not in genes:
            raise BadInput(
                f"--hardware {name}",
                "is no gene of the study's chips",
                f"the genes are {', '.join(genes)}",
            )
        with naming("--hardware"):
            genes[name].index(value)
    return chip


def _taken(evaluator: JointEvaluator, problem: Problem) -> str:
    """What became of the accuracies and costs of a file whose networks were put on a chip."""
    shaping = [c.name for c in problem.space.hardware if c.name in evaluator.shaping()]
    doubt = f"; they are taken to hold for its {', '.join(shaping)}" if shaping else ""
    return f"costs are simulated on the given chip, accuracies are those of the file{doubt}"


def _simulated(row: importers.Row, evaluator: JointEvaluator) -> importers.Row:
    """The row with the costs that the study's simulator gives it; where it cannot, a failed one."""
    if row.reason is not None:
        return row
    try:
        return replace(row, metrics=row.metrics | evaluator.simulated(row.params))
    except RuntimeError as error:  # how simulators say that they cannot
        return importers.Row(row.params, {}, str(error))


def _target(asked: dict[str, Any]) -> Study:
    """The study to write to: one made in Python need not say what evaluates it."""
    told = (asked["preset_name"], asked["config"], asked["simulator"], asked["seed"])
    if Path(asked["file"]).exists() and not any(told):
        return Study.open(asked["file"])
    return open_or_start(**asked)[0]


def _pair(text: str) -> tuple[str, str]:
    column, equals, name = text.rpartition("=")
    if not (column and equals and name):
        raise BadInput(
            f"--map {text}", "is no pair", "write COLUMN=NAME, such as --map bits=adc_bits"
        )
    return column.strip(), name.strip()
