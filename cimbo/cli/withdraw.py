"""``cimbo withdraw``: evaluations that are known to be wrong count no more."""

from __future__ import annotations

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import study_option
from cimbo.cli.output import emit, format_option, say
from cimbo.session.opening import open_to_tell


@command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--since", type=int, default=None, metavar="NUMBER", help="From this evaluation on.")
@click.option(
    "--where",
    default=None,
    metavar="CONDITION",
    help='Where genes, metrics and number are such: "accuracy > 99 and rows == 64".',
)
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept.")
@click.option("--again", is_flag=True, help="Measure these designs anew, before any other.")
@study_option
@format_option
def withdraw(
    *,
    keys: tuple[str, ...],
    since: int | None,
    where: str | None,
    reason: str,
    again: bool,
    file: str,
    style: str,
) -> None:
    """Withdraw evaluations that are known to be wrong: they count no more for front, surrogates and budget.

    Meant are those for which all that is given holds. Their values stay in the file, marked as withdrawn with --reason. With
    --again the next cimbo optimize (or cimbo ask, where they were told) measures their designs first; without it no search
    proposes them any more. Their numbers are not given again.

    Example: cimbo withdraw --where "accuracy > 99" --reason "wrong weights" --again --study demo.db
    """
    with open_to_tell(file) as session:
        found = session.withdraw(keys, since=since, where=where, reason=reason, again=again)
    rows = []
    for record in found:
        rows.append({"number": record.number, "key": record.key, **record.metrics})
    document = []
    for record in found:
        about = {"number": record.number, "key": record.key, "reason": reason}
        document.append({**about, "metrics": record.metrics})
    emit(style, rows, document)
    told = f"{len(found)} evaluations are withdrawn"
    if reason:
        told += f" ({reason})"
    if again:
        told += "; their designs are measured first by the next cimbo optimize or cimbo ask"
    say(told)
