"""``cimbo evaluate``: exactly one design, evaluated and recorded."""

from __future__ import annotations

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import evaluation_options, study_option
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.progress import watched
from cimbo.cli.view import design_rows
from cimbo.cli.what_if import fixed_values
from cimbo.session.front import key_or_knee
from cimbo.session.one_design import evaluate_design
from cimbo.session.opening import open_to_tell
from cimbo.session.workers import Workers


@command()
@click.argument("key", required=False)
@click.option(
    "--fix",
    "fixes",
    multiple=True,
    metavar="GENE=VALUE|@FILE",
    help="Change a gene of the design, or all genes that a JSON file gives (@FILE#KEY: one design of several in it).",
)
@evaluation_options
@study_option
@format_option
def evaluate(
    *,
    key: str | None,
    fixes: tuple[str, ...],
    workers: Workers,
    accept_changed: bool,
    file: str,
    style: str,
) -> int:
    """Evaluate exactly one design and record it: an evaluated one with the genes that --fix changes.

    KEY may be shortened; without it the knee of the front is changed. What the study holds already is not evaluated again.

    Example: cimbo evaluate fad64b39 --fix rows=128 --study demo.db
    """
    with open_to_tell(file) as session:
        changes = fixed_values(session, fixes)
        start = key_or_knee(session, key)
        with watched(session.study) as progress:
            found = evaluate_design(
                session, start, changes, workers, accept_changed=accept_changed, listener=progress
            )
        if not found.is_new:
            say(f"{found.record.key} is evaluated already")
        details = session.show(found.record.key)
    emit(style, design_rows(details, style), details.to_json())
    return 0 if found.record.status == "done" else 1
