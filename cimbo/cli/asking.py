"""``cimbo ask``, ``tell``, ``retry`` and ``renew``: a study that is driven by a script or a queue of jobs."""

from __future__ import annotations

import sys
from typing import Any

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import AskedStudy, new_study_options, study_option
from cimbo.cli.output import emit, format_option, say
from cimbo.errors import BadInput
from cimbo.problem.candidates import Candidate
from cimbo.session import asking, leases
from cimbo.session.opening import open_to_tell
from cimbo.session.text import genes_text
from cimbo.study.asked import AskedDesign

lease_option = click.option(
    "--lease",
    default="24h",
    show_default=True,
    help="How long whoever asks may take: 30m, 24h, 2d. Then the designs are given out again.",
)
by_option = click.option(
    "--by",
    default=None,
    metavar="NAME",
    help="Who holds or tells them [default: the job of SLURM, PBS, LSF or SGE, or user@machine].",
)


@command()
@click.option("-n", "count", type=int, default=1, show_default=True, help="How many designs.")
@click.option(
    "--budget",
    type=int,
    default=None,
    help="Evaluations in the study, in all, with those under way: none is printed when it is spent.",
)
@lease_option
@by_option
@new_study_options
@format_option
def ask(
    *, count: int, budget: int | None, lease: str, by: str | None, asked: AskedStudy, style: str
) -> None:
    """Print designs to evaluate elsewhere, and remember who has them; a new study is started where there is none.

    First come those that were lost (nobody told of them in time), then new ones, chosen knowing what is recorded and what
    others are evaluating.

    Example: cimbo ask -n 8 --preset fmnist-vit --study asked.db --format json
    """
    seconds = leases.duration("--lease", lease)
    with asked.open_to_ask() as session:
        designs = session.ask(count, by=by, lease_s=seconds, budget=budget)
    _print(designs, style)
    if len(designs) < count:
        say(f"{len(designs)} of {count} designs: the space or the budget is exhausted")


@command()
@click.argument("rows_file", metavar="FILE")
@click.option(
    "--source",
    default=None,
    metavar="TEXT",
    help="What measured, such as a program and its version; kept as provenance.",
)
@click.option("--accept-changed", is_flag=True, help="Take rows of another --source than before.")
@by_option
@study_option
@format_option
def tell(
    *,
    rows_file: str,
    file: str,
    source: str | None,
    accept_changed: bool,
    by: str | None,
    style: str,
) -> int:
    """Record what was measured elsewhere: FILE (or - for stdin) holds rows with key and metrics, or key and failed.

    JSON: a list, or one row after another. A row that is wrong is named on stderr and not recorded; the others are, and
    the exit code is 2. Telling the same row twice changes nothing.

    Example: cimbo tell measured.json --study asked.db
    """
    stdin = None
    if rows_file == "-":
        stdin = sys.stdin.read()
    text = asking.read_text(rows_file, stdin)
    with open_to_tell(file) as session:
        try:
            told = session.tell(text, by=by, source=source, accept_changed=accept_changed)
        except BadInput as error:
            raise _of_file(error, rows_file) from None
    document = told.to_json()
    counts = {"withdrawn": len(told.withdrawn), "refused": len(told.refused)}
    emit(style, [document | counts], document)
    for line in (*told.withdrawn, *told.refused):
        say(f"{rows_file}, {line}")
    return 2 if told.refused else 0


def _of_file(error: BadInput, file: str) -> BadInput:
    """The error with the name of the file, where it is about a line of it."""
    if error.where.startswith("line ") or error.where == "the rows":
        return BadInput(f"{file}, {error.where}", error.what, error.todo)
    return error


@command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--by", default=None, metavar="NAME", help="All that NAME holds, as status shows it.")
@study_option
@format_option
def retry(*, keys: tuple[str, ...], by: str | None, file: str, style: str) -> None:
    """Hand designs out again: those of KEY..., those that --by has, or all that failed or were lost.

    The next cimbo ask gives them out before any new one. Keys may be shortened.

    Example: cimbo retry --study asked.db
    """
    with open_to_tell(file) as session:
        designs = session.retry(keys, by=by)
    _print(designs, style)
    say(f"{len(designs)} designs will be asked anew")


@command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--by", default=None, metavar="NAME", help="All that NAME holds, as status shows it.")
@lease_option
@study_option
@format_option
def renew(*, keys: tuple[str, ...], by: str | None, lease: str, file: str, style: str) -> None:
    """Extend leases, to --lease from now: those of KEY..., or all that --by has.

    Example: cimbo renew --by slurm-123 --lease 12h --study asked.db
    """
    seconds = leases.duration("--lease", lease)
    with open_to_tell(file) as session:
        renewed = session.renew(keys, by=by, lease_s=seconds)
    document = [each.to_json() for each in renewed]
    emit(style, document, document)


def _print(designs: list[AskedDesign], style: str) -> None:
    chosen = [asked.candidate for asked in designs]
    document = [{"key": each.key, "params": dict(each.params)} for each in chosen]
    emit(style, [_row(each, style) for each in chosen], document)


def _row(chosen: Candidate, style: str) -> dict[str, Any]:
    """A line of a table, with all genes in one cell, or of another format with a cell for each."""
    if style == "table":
        return {"key": chosen.key, "genes": genes_text(chosen.params)}
    return {"key": chosen.key, **chosen.params}
