"""Evaluations that were made elsewhere, told into a study."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, check_known, cut_list, naming
from cimbo.evaluation.simulated_costs import COST_METRICS
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.io import importers
from cimbo.problem.objectives import Problem
from cimbo.session.context import StudyContext

BASELINE_CHIP = "baseline"
NAMED_CONTRADICTIONS = 3  # so many contradictions are named, the others counted

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        rows: Evaluations in the file.
        new: Of these, how many the study did not hold.
        evaluations: Evaluations in the study now.
        ignored: Columns that are neither gene nor metric of the study.
        replicates: Rows that were kept as further measurements of a design.
        contradictions: Designs of which the file says another thing than was known.
    """

    rows: int
    new: int
    evaluations: int
    ignored: tuple[str, ...]
    replicates: int = 0
    contradictions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo import --format json``."""
        document: dict[str, Any] = {
            "rows": self.rows,
            "new": self.new,
            "evaluations": self.evaluations,
            "ignored": list(self.ignored),
        }
        if self.replicates:
            document["replicates"] = self.replicates
        return document


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

    Returns:
        How many evaluations the file holds, how many were new, and what was left out.

    Raises:
        BadInput: For a file, a row or a chip that does not fit the study.
    """
    study = context.study
    source = Path(source)
    given = None
    simulated: tuple[str, ...] = ()
    if hardware is not None:
        given = _chip(context, hardware)
        simulated = COST_METRICS
    table = importers.read(
        source, study.problem, names, given=given, unread=simulated, check=_property_check(context)
    )
    rows = table.rows
    if given is not None:
        rows = [_simulated(row, context.evaluator) for row in rows]
    before = len(study.evaluations())
    told = importers.tell(study, rows)
    after = len(study.evaluations())
    if given is not None:
        logger.info(f"{source}: {_taken(context.evaluator, study.problem)}")
    used = (*simulated, *context.chip_properties)
    unused = [name for name in table.ignored if name not in used]
    if unused:
        logger.info(f"{source}: ignored {', '.join(unused)}, neither gene nor metric of the study")
    if told.contradictions:
        logger.warning(f"{source}: {_contradictions(told)}")
    return Imported(
        rows=len(rows),
        new=after - before,
        evaluations=after,
        ignored=tuple(table.ignored),
        replicates=told.replicates,
        contradictions=tuple(told.contradictions),
    )


def _property_check(context: StudyContext) -> importers.CellCheck:
    """What refuses a row whose chip has another property than every chip of the study."""

    def check(where: str, cells: Mapping[str, Any]) -> None:
        for name in context.chip_properties:
            value = cells.get(name)
            if value not in importers.EMPTY_CELLS:
                context.is_chip_property(where, name, value)

    return check


def _chip(context: StudyContext, hardware: Mapping[str, Any] | str) -> dict[str, Any]:
    """The asked chip, or the baseline's. Raises BadInput for what is no gene of a chip, or no value of it."""
    if isinstance(hardware, str):
        if hardware != BASELINE_CHIP:
            raise BadInput("--hardware", f"is {hardware!r}", "give genes of a chip, or baseline")
        hardware = context.config.baseline()
    genes = {choice.name: choice for choice in context.study.problem.space.hardware}
    chip = {}
    for name, value in hardware.items():
        if context.is_chip_property(f"--hardware {name}", name, value):
            continue
        check_known(
            name, genes, f"--hardware {name}", "is no gene of the study's chips", "the genes are"
        )
        with naming("--hardware"):
            genes[name].index(value)
        chip[name] = value
    return chip


def _contradictions(told: importers.Told) -> str:
    named = cut_list(told.contradictions, NAMED_CONTRADICTIONS)
    return (
        f"{len(told.contradictions)} rows say another thing of a design than was known ({named}); "
        f"{told.replicates} are kept as further measurements, and the search uses the means"
    )


def _taken(evaluator: StudyEvaluator, problem: Problem) -> str:
    """What became of the accuracies and costs of a file whose networks were put on a chip."""
    shaping = []
    for choice in problem.space.hardware:
        if choice.name in evaluator.accuracy_genes():
            shaping.append(choice.name)
    doubt = ""
    if shaping:
        doubt = f"; they are taken to hold for its {', '.join(shaping)}"
    return f"costs are simulated on the given chip, accuracies are those of the file{doubt}"


def _simulated(row: importers.Row, evaluator: StudyEvaluator) -> importers.Row:
    """The row with the costs that the study's simulator gives it; where it cannot, a failed one."""
    if row.reason is not None:
        return row
    try:
        return replace(row, metrics=row.metrics | evaluator.simulated(row.params))
    except RuntimeError as error:  # how simulators say that they cannot
        return importers.Row(row.params, {}, str(error))
