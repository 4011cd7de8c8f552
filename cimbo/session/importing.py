"""Evaluations that were made elsewhere, told into a study."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, choose_from, naming
from cimbo.evaluation.joint import COSTS, JointEvaluator
from cimbo.io import importers
from cimbo.problem.objectives import Problem
from cimbo.session.context import StudyContext

BASELINE_CHIP = "baseline"

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        rows: Evaluations in the file.
        new: Of these, how many the study did not hold.
        evaluations: Evaluations in the study now.
        ignored: Columns that are neither gene nor metric of the study.
    """

    rows: int
    new: int
    evaluations: int
    ignored: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo import --format json``."""
        return {**vars(self), "ignored": list(self.ignored)}


def import_evaluations(
    context: StudyContext,
    source: str | Path,
    *,
    names: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | str | None = None,
) -> Imported:
    """Tell a study the evaluations of a CSV file or an Optuna storage. One wrong row, and nothing is written.

    Args:
        context: The study.
        source: The file.
        names: What a column is, a gene or a metric, where it is not called so.
        hardware: For networks without a chip: genes of one, or "baseline". Costs are then simulated, not read.

    Raises:
        BadInput: For a file, a row or a chip that does not fit the study.
    """
    study, source = context.study, Path(source)
    given = None if hardware is None else _chip(context, hardware)
    simulated = () if given is None else COSTS
    table = importers.read(source, study.problem, dict(names or {}), given=given, unread=simulated)
    rows = table.rows
    if given is not None:
        rows = [_simulated(row, context.evaluator) for row in rows]
    before = len(study.evaluations())
    importers.tell(study, rows)
    after = len(study.evaluations())
    if given is not None:
        logger.info(f"{source}: {_taken(context.evaluator, study.problem)}")
    unused = [name for name in table.ignored if name not in simulated]
    if unused:
        told = f"ignored {', '.join(unused)}, neither gene nor metric of the study"
        logger.info(f"{source}: {told}")
    return Imported(len(rows), after - before, after, tuple(table.ignored))


def _chip(context: StudyContext, hardware: Mapping[str, Any] | str) -> dict[str, Any]:
    """The asked chip, or the baseline's. Raises BadInput for what is no gene of a chip, or no value of it."""
    if isinstance(hardware, str):
        if hardware != BASELINE_CHIP:
            raise BadInput("--hardware", f"is {hardware!r}", "give genes of a chip, or baseline")
        hardware = context.config.baseline()
    genes = {choice.name: choice for choice in context.study.problem.space.hardware}
    for name, value in hardware.items():
        if name not in genes:
            todo = choose_from(name, genes, "the genes are")
            raise BadInput(f"--hardware {name}", "is no gene of the study's chips", todo)
        with naming("--hardware"):
            genes[name].index(value)
    return dict(hardware)


def _taken(evaluator: JointEvaluator, problem: Problem) -> str:
    """What became of the accuracies and costs of a file whose networks were put on a chip."""
    shaping = [c.name for c in problem.space.hardware if c.name in evaluator.shaping()]
    doubt = f"; they are taken to hold for its {', '.join(shaping)}" if shaping else ""
    return f"costs are simulated on the given chip, accuracies are those of the file{doubt}"


def _simulated(row: importers.Row, evaluator: JointEvaluator) -> importers.Row:
    """The row with the costs that the study's simulator gives it; where it cannot, a failed one."""
    if row.reason is not None:
        return row
    try:
        return replace(row, metrics=row.metrics | evaluator.simulated(row.params))
    except RuntimeError as error:  # how simulators say that they cannot
        return importers.Row(row.params, {}, str(error))
