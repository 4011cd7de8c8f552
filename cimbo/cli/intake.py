"""``cimbo import``: evaluations of any CSV file told into a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cimbo import intake
from cimbo.cli.options import new_study_options, open_or_start, studied
from cimbo.cli.output import emit, format_option
from cimbo.errors import BadInput
from cimbo.loop import Study
from cimbo.objectives import candidate


@click.command(name="import")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--map", "pairs", multiple=True, metavar="COLUMN=NAME", help="What a column of the file is: a gene or a metric.")
@new_study_options
@format_option
def import_(*, source: Path, pairs: Sequence[str], style: str, **asked: Any) -> int:
    """Tell a study the evaluations of FILE, a CSV file or an Optuna storage. One wrong row, and nothing is written.

    A column, or a parameter or value of a trial, is a gene or a metric by its name, or by the name that --map gives it.
    """
    table = intake.read(source, studied(**asked), dict(_pair(text) for text in pairs))
    with _target(asked) as study:
        before = len(study.evaluations())
        tell(study, table.rows)
        after = len(study.evaluations())
    if table.ignored:
        click.echo(f"{source}: ignored {', '.join(table.ignored)}, neither gene nor metric of the study", err=True)
    document = {"rows": len(table.rows), "new": after - before, "evaluations": after, "ignored": table.ignored}
    emit(style, [document | {"ignored": " ".join(table.ignored)}], document)
    return 0


def tell(study: Study, rows: Sequence[intake.Row]) -> None:
    """Record evaluations made elsewhere; designs that the study has already keep what it measured."""
    for row in rows:
        c = candidate(study.problem.space, row.params, origin="imported")
        study.tell(c, row.metrics if row.reason is None else None, reason=row.reason)


def _target(asked: dict[str, Any]) -> Study:
    """The study to write to: one made in Python need not say what evaluates it."""
    told = (asked["preset_name"], asked["config"], asked["simulator"], asked["seed"])
    if Path(asked["file"]).exists() and not any(told):
        return Study.open(asked["file"])
    return open_or_start(**asked)[0]


def _pair(text: str) -> tuple[str, str]:
    column, equals, name = text.rpartition("=")
    if not (column and equals and name):
        raise BadInput(f"--map {text}", "is no pair", "write COLUMN=NAME, such as --map bits=adc_bits")
    return column.strip(), name.strip()
