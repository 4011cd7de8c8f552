"""``cimbo silicon``: the chip model held to published chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.cli.grouped import command
from cimbo.cli.output import emit, format_option, say
from cimbo.errors import cut_list

SHOWN_GENES = ("array", "node_nm", "supply_v", "rows", "cols")
MOST_LINES_TOLD = 10


@command()
@click.option(
    "--table",
    required=True,
    type=click.Path(path_type=Path),
    help="Chips with reported figures: a CSV with columns array, rows, ... area_mm2, or those of UIUC-IMC-Benchmarking.",
)
@format_option
def silicon(*, table: Path, style: str) -> None:
    """Compare published chips with the chip model: modelled over reported area, cycle and energy.

    Example: cimbo silicon --table chips.csv --format json
    """
    from cimbo.hardware.silicon_comparison import CHIP_GROUPS, COMPARED_QUANTITIES, compare_table

    found = compare_table(table)
    emit(style, [_line(row) for row in found["rows"]], found)
    for group in CHIP_GROUPS:
        for quantity in COMPARED_QUANTITIES:
            say(_sentence(group, quantity, found[group][quantity]))
    _say_assumed(found["rows"])
    for row in found["rows"]:
        if row["in_fit"] is not None:
            say(
                f"line {row['line']}: the model's constants were fitted on it (chip {row['in_fit']})"
            )
        for reason in row["left_out"].values():
            say(f"line {row['line']}: left out, {reason}")
    for row in found["not_expressible"]:
        say(f"line {row['line']}: no chip of the space, {row['reason']}")
    say(f"{len(found['not_expressible'])} rows are no chip of the space")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the table: the chip, and its ratios."""
    from cimbo.hardware.chip import DEFAULT_GENES

    genes = row["genes"]
    known = {name: genes.get(name, DEFAULT_GENES.get(name)) for name in SHOWN_GENES}
    return {"chip": row["index"], "group": row["group"], **known, **row["ratio"]}


def _say_assumed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say what was taken for process and supply of chips of which the table does not tell."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row["assumed"].items():
            lines.setdefault(f"{name} {value:g}", []).append(str(row["line"]))
    for taken, numbers in lines.items():
        say(f"not given, {taken} is assumed: line {cut_list(numbers, MOST_LINES_TOLD)}")


def _sentence(group: str, quantity: str, agreement: dict[str, Any]) -> str:
    if not agreement["n"]:
        return f"{group} {quantity}: none"
    return (
        f"{group} {quantity}: median {_figure(agreement['median'], '.2f')} of {agreement['n']}, "
        f"{_figure(agreement['within_2x'], '.0%')} within a factor of 2, "
        f"spread x{_figure(agreement['spread'], '.1f')}"
    )


def _figure(value: float | None, form: str) -> str:
    """A figure in a sentence; a statistic may be none."""
    if value is None:
        return "unknown"
    return format(value, form)
