"""A study for the tools already on the desk."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, check_known
from cimbo.session.context import StudyContext
from cimbo.session.design import accuracy_label, design, find
from cimbo.session.front import front_records
from cimbo.session.text import as_csv
from cimbo.study import records_table
from cimbo.study.records_table import FEASIBLE_COLUMN, FRONT_COLUMN

TEXT_FORMATS = ("csv", "json")
TABLE_FORMATS = (*TEXT_FORMATS, "parquet", "optuna", "study")
DESIGN_TEXT_FORMATS = ("json",)
DESIGN_FORMATS = ("onnx", "zigzag", "accelforge", *DESIGN_TEXT_FORMATS)

logger = logging.getLogger("cimbo")


def evaluation_rows(context: StudyContext) -> list[dict[str, Any]]:
    """Flatten every evaluation of a study into a row.

    Args:
        context: The study.

    Returns:
        A row for each evaluation, by column. ``feasible`` and ``on_front`` are 1 or 0; what the
        study fixes for every chip has columns too. Where accuracies are modelled, the column
        ``accuracy_is`` says what each one is.
    """
    study, provenance = context.study, context.accuracy_provenance
    on_front = {record.key for record in front_records(study)}
    records = study.evaluations()
    rows = records_table.rows(records, study.test_accuracies())
    for row, record in zip(rows, records, strict=True):
        for name, value in context.chip_properties.items():
            row.setdefault(name, value)
        is_done = record.status == "done"
        row.setdefault(FEASIBLE_COLUMN, int(is_done and study.problem.feasible(record.metrics)))
        row.setdefault(FRONT_COLUMN, int(record.key in on_front))
        label = accuracy_label(provenance, row["origin"], row)
        if label is not None:
            row["accuracy_is"] = label
    return rows


def as_text(context: StudyContext, to: str) -> str:
    """Write every evaluation of a study as text, a row each.

    Args:
        context: The study.
        to: "csv" or "json".

    Returns:
        The text.
    """
    rows = evaluation_rows(context)
    if to == "csv":
        return as_csv(rows)
    return json.dumps(rows, indent=1) + "\n"


def check_table_format(to: str) -> None:
    """Check that a whole study can be written in a format.

    Args:
        to: Name of the format.

    Raises:
        BadInput: It is no format of a whole study.
    """
    if to in DESIGN_FORMATS and to not in TABLE_FORMATS:
        todo = f"give the KEY of one, as cimbo pareto lists it: cimbo export KEY --to {to} -o PATH"
        raise BadInput(f"--to {to}", "is a format of one design", todo)
    check_known(to, TABLE_FORMATS, f"--to {to}", "is no format of a study")


def check_design_format(to: str) -> None:
    """Check that one design can be written in a format.

    Args:
        to: Name of the format.

    Raises:
        BadInput: It is no format of one design.
    """
    if to in TABLE_FORMATS and to not in DESIGN_FORMATS:
        todo = (
            f"leave out KEY, or give one of {', '.join(f'--to {name}' for name in DESIGN_FORMATS)}"
        )
        raise BadInput(f"--to {to}", "is a format of all evaluations", todo)
    check_known(to, DESIGN_FORMATS, f"--to {to}", "is no format of a design")


def design_as_json(context: StudyContext, key: str) -> str:
    """Write one design as JSON, as ``cimbo pareto --format json`` lists it.

    Args:
        context: The study.
        key: The design's key, which may be shortened.

    Returns:
        The text.
    """
    return json.dumps(design(context, find(context, key)).to_json(), indent=1) + "\n"


def export_study(context: StudyContext, path: str | Path, *, to: str = "csv") -> Path:
    """Write every evaluation of a study.

    Args:
        context: The study.
        path: The file to write.
        to: "csv", "json", "parquet", "optuna" (a storage), or "study" (a backup of one in use).

    Returns:
        The file.

    Raises:
        BadInput: For another format, and where the file cannot be written.
    """
    from cimbo.session.text import write_text

    check_table_format(to)
    path = Path(path)
    if to in TEXT_FORMATS:
        write_text(path, as_text(context, to))
    elif to == "parquet":
        _write_parquet(context, path)
    elif to == "optuna":
        _write_optuna(context, path)
    else:
        context.study.backup(path)
    return path


def export_design(
    context: StudyContext, key: str, path: str | Path, *, to: str, nearest: bool = False
) -> list[Path]:
    """Write the network of a design as ONNX, or its chip for another simulator.

    Args:
        context: The study.
        key: The design's key, which may be shortened.
        path: The file, or the folder of YAML files, to write.
        to: "json", "onnx", "zigzag" or "accelforge".
        nearest: Where a tool cannot express the chip, write the nearest one that it can.

    Returns:
        The files that were written.

    Raises:
        BadInput: For another format, and for a chip that the tool cannot express.
    """
    from cimbo.session.text import write_text

    check_design_format(to)
    path = Path(path)
    if to in DESIGN_TEXT_FORMATS:
        write_text(path, design_as_json(context, key))
        return [path]
    if to == "onnx":
        return [_write_onnx(context, key, path)]
    return _write_chip(context, key, path, tool=to, nearest=nearest)


def _write_parquet(context: StudyContext, path: Path) -> None:
    try:
        import pandas as pd

        pd.DataFrame(evaluation_rows(context)).to_parquet(path)
    except ImportError:
        what = "pandas and pyarrow are not installed"
        raise BadInput("export", what, "pip install 'cimbo[parquet]'") from None
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise BadInput(path, what, "choose another place") from None


def _write_optuna(context: StudyContext, path: Path) -> None:
    from cimbo.io import optuna_export

    study = context.study
    name = str((context.metadata.get("config") or {}).get("name", "cimbo"))
    about = {"seed": study.seed, "title": context.title}
    optuna_export.write(path, name, study.problem, study.evaluations(), about=about)
    logger.info(f"optuna-dashboard sqlite:///{path}")


def _write_onnx(context: StudyContext, key: str, path: Path) -> Path:
    from cimbo.io import onnx_export

    params = find(context, key).params
    architecture = context.study.problem.space.architecture_of(params)
    made = _own_module(context, architecture)
    if made is not None:
        module, arguments = made
        onnx_export.write_module(path, module, arguments)
        logger.warning(
            f"{path}: the module that build makes of this design, with the weights that build gives it"
        )
        return path
    onnx_export.write(path, context.evaluator.accuracy, architecture)
    return path


def _own_module(
    context: StudyContext, architecture: Mapping[str, Any]
) -> tuple[Any, tuple[Any, ...]] | None:
    """A user's own module of a design, and what it is called with; None where the network is none of torch_family."""
    if not context.has_description or context.config.tables.network is None:
        return None
    module = getattr(context.config.family, "module", None)
    if module is None:
        return None
    made: tuple[Any, tuple[Any, ...]] = module(architecture)
    return made


def _write_chip(
    context: StudyContext, key: str, path: Path, *, tool: str, nearest: bool
) -> list[Path]:
    from cimbo.io import chip_exports

    workload, own = context.evaluator.placed(find(context, key).params)
    chip = {**context.chip_properties, **own}
    writers = {
        "zigzag": chip_exports.write_zigzag,
        "accelforge": chip_exports.write_accelforge,
    }
    changed = {}
    if nearest:
        changed = chip_exports.nearest(tool, chip)
    written = dict(chip)
    for gene, (now, to) in changed.items():
        logger.info(f"{gene} {now:g} is written as {to:g}, the nearest that {tool} has")
        written[gene] = to
    try:
        return writers[tool](path, workload, written)
    except BadInput as error:
        if nearest or not chip_exports.nearest(tool, chip):
            raise
        todo = "add --nearest to write the nearest chip that it can"
        raise BadInput(error.where, error.what, todo) from None
