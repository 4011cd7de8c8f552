"""``cimbo silicon``: the chip model held to published chips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cimbo.cli.grouped import command
from cimbo.cli.output import emit, format_option, say


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
    for row in found["rows"]:
        for reason in row["left_out"].values():
            say(f"line {row['line']}: left out, {reason}")
    for row in found["not_expressible"]:
        say(f"line {row['line']}: no chip of the space, {row['reason']}")
    say(f"{len(found['not_expressible'])} rows are no chip of the space")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the table: the chip, and its ratios."""
    genes = row["genes"]
    known = {name: genes[name] for name in ("array", "node_nm", "supply_v", "rows", "cols")}
    return {"chip": row["index"], "group": row["group"], **known, **row["ratio"]}


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
