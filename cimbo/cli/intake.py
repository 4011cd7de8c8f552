"""``cimbo import``: evaluations of any CSV file told into a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.cli.fixed_genes import CHIP_TABLES
from cimbo.cli.grouped import command
from cimbo.cli.options import AskedStudy, new_study_options
from cimbo.cli.output import emit, format_option
from cimbo.cli.values import part_of_design
from cimbo.errors import BadInput
from cimbo.session.importing import BASELINE_CHIP


@command(name="import")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--map",
    "mapped",
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
    *, source: Path, mapped: Sequence[str], chip: str | None, style: str, asked: AskedStudy
) -> None:
    """Add the evaluations of FILE, a CSV file or an Optuna storage, to a study. One wrong row, and nothing is written.

    A column, or a parameter or value of a trial, is a gene or a metric by its name, or by the name that --map gives it.
    Accuracies measured on networks alone, such as the results of DyNAS-T, teach a joint search what they know once --hardware
    puts the networks on a chip.

    Example: cimbo import measured.csv --map bits=adc_bits --study mine.db
    """
    names = _pairs(mapped)
    hardware: dict[str, Any] | str | None = chip
    if chip is not None and chip != BASELINE_CHIP:
        hardware = part_of_design("--hardware", chip, CHIP_TABLES)
    with asked.open() as session:
        found = session.import_evaluations(source, names=names, hardware=hardware)
    document = found.to_json()
    emit(style, [document | {"ignored": " ".join(found.ignored)}], document)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for text in texts:
        column, name = _pair(text)
        if names.get(column, name) != name:
            raise BadInput(f"--map {text}", f"{column} is {names[column]} too", "map a column once")
        names[column] = name
    return names


def _pair(text: str) -> tuple[str, str]:
    column, equals, name = text.rpartition("=")
    if not (column and equals and name):
        raise BadInput(
            f"--map {text}", "is no pair", "write COLUMN=NAME, as in --map bits=adc_bits"
        )
    return column.strip(), name.strip()
