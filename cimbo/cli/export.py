"""``cimbo export``: a study for the tools already on the desk."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import existing, study_option
from cimbo.cli.output import as_csv, say, show, write
from cimbo.cli.report import title
from cimbo.cli.view import accuracy_provenance, find, labelled, sides
from cimbo.config.study_config import from_definition
from cimbo.errors import BadInput
from cimbo.storage import Record
from cimbo.study import records_table
from cimbo.study.study import Study

Writer = Callable[[Study, Path | None], None]
Design = Callable[..., list[Path]]  # (study, record, out, *, nearest)


@click.command()
@click.argument("key", required=False)
@click.option(
    "--to",
    "target",
    default="csv",
    show_default=True,
    help="csv, json, parquet, optuna or study (a backup of one in use); with KEY: onnx, zigzag or accelforge.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="The file, or the folder of YAML files, to write [default: stdout, if it is text].",
)
@click.option(
    "--nearest",
    is_flag=True,
    help="Where ZigZag cannot express a chip, write the nearest one that it can.",
)
@study_option
def export(*, key: str | None, target: str, out: Path | None, nearest: bool, file: str) -> None:
    """Every evaluation, a row each; or, with KEY, a design's network as ONNX or its chip for another simulator."""
    known: dict[str, Any] = _TABLES if key is None else _DESIGNS
    if target not in known:
        other = "leave out KEY" if target in _TABLES else "give the KEY of a design"
        todo = other if target in {**_TABLES, **_DESIGNS} else f"use one of {', '.join(known)}"
        raise BadInput(
            f"--to {target}", "is no format of a design" if key else "is no format of a study", todo
        )
    with existing(file) as study:
        if key is None:
            _TABLES[target](study, out)
            return
        if out is None:
            raise BadInput("export", f"{target} needs a place", "name it with -o")
        for path in _DESIGNS[target](study, find(study, key), out, nearest=nearest):
            click.echo(str(path))


def _print(text: str, out: Path | None) -> None:
    if out is None:
        show(text)
    else:
        write(out, text)


def _rows(study: Study) -> list[dict[str, Any]]:
    about = accuracy_provenance(study)
    return [
        row | labelled(about, row["origin"])
        for row in records_table.rows(study.evaluations(), study.test_accuracies())
    ]


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
        raise BadInput(
            "export", "pandas and pyarrow are not installed", "pip install 'cimbo[parquet]'"
        ) from None
    except OSError as error:
        raise BadInput(
            out, f"cannot be written ({error.strerror})", "choose another place"
        ) from None


def _optuna(study: Study, out: Path | None) -> None:
    if out is None:
        raise BadInput("export", "an Optuna storage is no text", "name a file with -o")
    from cimbo.io import optuna_export

    stored = study.metadata.get("config") or {}
    name = str(stored.get("name", "cimbo"))
    about = {"seed": study.seed, "title": title(study)}
    optuna_export.write(out, name, study.problem, study.evaluations(), about=about)
    say(f"optuna-dashboard sqlite:///{out}")


def _backup(study: Study, out: Path | None) -> None:
    if out is None:
        raise BadInput("export", "a study is no text", "name a file with -o")
    study.backup(out)


def _onnx(study: Study, record: Record, out: Path, *, nearest: bool) -> list[Path]:
    from cimbo.io import onnx_export

    config = from_definition(study.path, study.metadata)
    onnx_export.write(out, config.evaluator().accuracy, sides(study, record)["architecture"])
    return [out]


def _chip(tool: str, study: Study, record: Record, out: Path, *, nearest: bool) -> list[Path]:
    from cimbo.io import chip_exports

    evaluator = from_definition(study.path, study.metadata).evaluator()
    workload, chip = evaluator.placed(record.params)
    changed = chip_exports.nearest(tool, chip) if nearest else {}
    for gene, (now, to) in changed.items():
        say(f"{gene} {now:g} is written as {to:g}, the nearest that {tool} has")
    write = chip_exports.write_zigzag if tool == "zigzag" else chip_exports.write_accelforge
    try:
        return write(out, workload, {**chip, **{gene: to for gene, (_, to) in changed.items()}})
    except BadInput as error:
        if nearest or not chip_exports.nearest(tool, chip):
            raise
        raise BadInput(
            error.where, error.what, "add --nearest to write the nearest chip that it can"
        ) from None


_TABLES: dict[str, Writer] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "optuna": _optuna,
    "study": _backup,
}
_DESIGNS: dict[str, Design] = {
    "onnx": _onnx,
    "zigzag": partial(_chip, "zigzag"),
    "accelforge": partial(_chip, "accelforge"),
}
