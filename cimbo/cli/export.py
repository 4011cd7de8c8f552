"""``cimbo export``: a study for the tools already on the desk."""

from __future__ import annotations

from pathlib import Path

import click

from cimbo.cli.grouped import command, output_option
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import show
from cimbo.errors import BadInput
from cimbo.session import exporting

NO_TEXT = {
    "parquet": "parquet is no text",
    "optuna": "an Optuna storage is no text",
    "study": "a study is no text",
}


@command()
@click.argument("key", required=False)
@click.option(
    "--to",
    "target",
    default="csv",
    show_default=True,
    help="csv, json, parquet, optuna or study (a backup of one in use); with KEY: json, onnx, zigzag or accelforge.",
)
@output_option("The file, or the folder of YAML files, to write [default: stdout, if it is text].")
@click.option(
    "--nearest",
    is_flag=True,
    help="Where ZigZag cannot express a chip, write the nearest one that it can.",
)
@study_option
def export(*, key: str | None, target: str, out: Path | None, nearest: bool, file: str) -> None:
    """Write every evaluation as a row; or, with KEY, one design: as JSON, its network as ONNX or its chip for a simulator.

    Example: cimbo export --to csv -o evaluations.csv --study demo.db
    """
    if key is None:
        check = exporting.check_table_format
    else:
        check = exporting.check_design_format
    check(target)
    with existing(file) as session:
        if key is not None:
            if out is None and target in exporting.DESIGN_TEXT_FORMATS:
                show(exporting.design_as_json(session, key))
                return
            if out is None:
                raise BadInput("export", f"{target} needs a place", "name it with -o")
            for path in session.export_design(key, out, to=target, nearest=nearest):
                click.echo(str(path))
        elif out is not None:
            session.export(out, to=target)
        elif target in exporting.TEXT_FORMATS:
            show(exporting.as_text(session, target))
        else:
            raise BadInput("export", NO_TEXT[target], "name a file with -o")
