"""``cimbo export``: a study for the tools already on the desk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cimbo import tabular
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import as_csv, show, write
from cimbo.cli.view import labelled, standing
from cimbo.errors import BadInput
from cimbo.loop import Study

Writer = Callable[[Study, Path | None], None]


@click.command()
@click.option("--to", "target", default="csv", show_default=True, help="csv, json or parquet.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=None, help="The file to write [default: stdout].")
@study_option
def export(target: str, out: Path | None, file: str) -> None:
    """Every evaluation, a row each."""
    if target not in _TABLES:
        raise BadInput(f"--to {target}", "is no format", f"use one of {', '.join(_TABLES)}")
    with existing(file) as study:
        _TABLES[target](study, out)


def _print(text: str, out: Path | None) -> None:
    if out is None:
        show(text)
    else:
        write(out, text)


def _rows(study: Study) -> list[dict[str, Any]]:
    label = labelled(standing(study))
    return [row | label for row in tabular.rows(study.evaluations(), study.tested())]


def _csv(study: Study, out: Path | None) -> None:
    _print(as_csv(_rows(study)), out)


def _json(study: Study, out: Path | None) -> None:
    _print(json.dumps(_rows(study), indent=1) + "\n", out)


def _parquet(study: Study, out: Path | None) -> None:
    if out is None:
        raise BadInput("export", "Parquet is no text", "name a file with -o")
    try:
        study.frame().to_parquet(out)
    except ImportError:
        raise BadInput("export", "pandas and pyarrow are not installed", "pip install 'cimbo[parquet]'") from None
    except OSError as error:
        raise BadInput(out, f"cannot be written ({error.strerror})", "choose another place") from None


_TABLES: dict[str, Writer] = {"csv": _csv, "json": _json, "parquet": _parquet}
