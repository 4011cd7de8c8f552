"""Before a search is planned: whether its evaluator can evaluate at all, and where what it says is kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from cimbo.errors import BadInput, choose_from
from cimbo.evaluation.undeclared_files import undeclared_files
from cimbo.execution.crash_guard import GUARD
from cimbo.plugins import OPENED_FILES
from cimbo.problem.objectives import Metrics, Problem
from cimbo.problem.space import Params, canonical_key
from cimbo.storage.store import IN_MEMORY
from cimbo.study.ask_tell import measured_under_its_name
from cimbo.study.interrupted import runs_code_of_a_user
from cimbo.study.log import StudyLog

logger = logging.getLogger("cimbo")

# So many designs are tried before a search is refused: with some simulators every twentieth
# design fails.
N_TRIED_FIRST = 3
LOGS_SUFFIX = "-logs"  # the folder of logs has the name of the study file and this suffix


def logs_folder(log: StudyLog) -> str | None:
    """Return the folder in which the logs of a study's evaluations are kept.

    Args:
        log: The study.

    Returns:
        Its path beside the study file, whether it exists or not; None for a study in memory.
    """
    if log.path == IN_MEMORY:
        return None
    return f"{log.path}{LOGS_SUFFIX}"


def log_file(log: StudyLog, key: str) -> str | None:
    """Return the file with what the programs that evaluated a design printed.

    Args:
        log: The study.
        key: The key of the design.

    Returns:
        The path of the file; None where nothing is kept.
    """
    folder = logs_folder(log)
    if folder is None:
        return None
    file = Path(folder, f"{key}.log")
    if file.is_file():
        return str(file)
    return None


def get_ready(log: StudyLog, evaluate: object, *, is_here: bool) -> None:
    """Check an evaluator that can be checked, and let one that can be tried show that it works.

    It is tried on designs that the search begins with, and not in a study in which something has succeeded before.

    Args:
        log: The study.
        evaluate: What is going to evaluate.
        is_here: Whether it does so on this machine; on others there may be programs that are not here.

    Raises:
        BadInput: For an evaluator that cannot evaluate, or fails on everything.
    """
    check = getattr(evaluate, "check", None)
    if callable(check):
        check()
    keep_logs = getattr(evaluate, "keep_logs", None)
    folder = logs_folder(log)
    if callable(keep_logs) and folder is not None:
        keep_logs(folder)
    if is_here and not _works(log):
        if not runs_code_of_a_user(evaluate):
            _try(log, evaluate)
            return
        guard = GUARD.watching("one of the first designs, tried before the search,")
        with guard, OPENED_FILES.watching():
            _try(log, evaluate)
        told = undeclared_files(evaluate, OPENED_FILES.paths)
        OPENED_FILES.paths.clear()
        if told is not None:
            logger.warning(told)


def _works(log: StudyLog) -> bool:
    """Whether something has succeeded in the study."""
    return any(record.status == "done" for record in log.evaluations())


def _try(log: StudyLog, evaluate: object) -> None:
    """Let an evaluator that can be tried evaluate the first designs. Raises BadInput where that shows a mistake."""
    try_first = getattr(evaluate, "try_first", None)
    if callable(try_first):
        designs = _first_designs(log)
        try_first(designs)
        _check_metrics(log, evaluate, designs)


def _check_metrics(log: StudyLog, evaluate: object, designs: list[Params]) -> None:
    """Check that what was tried says every metric that the study needs.

    Args:
        log: The study.
        evaluate: What was tried; ``prepared`` are metrics of designs by key, ``measured_later`` names what it measures
            only in a search.
        designs: The designs that were tried.

    Raises:
        BadInput: As `check_measured` does.
    """
    prepared = getattr(evaluate, "prepared", {})
    later = getattr(evaluate, "measured_later", ())
    for design in designs:
        metrics = prepared.get(canonical_key(design))
        if metrics is not None:
            check_measured(log.problem, metrics, design, later)


def check_measured(
    problem: Problem, metrics: Metrics, design: Params, later: Iterable[str] = ()
) -> None:
    """Check that an evaluation says every metric that the study needs or derives others from.

    Args:
        problem: What is searched.
        metrics: What was measured of a design.
        design: Its genes.
        later: Names of what is measured of a design only in a search.

    Raises:
        BadInput: For a metric with the name of a gene, an expression of a name that is neither measured nor a gene or under
            whose own name another value is measured, and for an objective or a constraint on a metric that is not measured.
    """
    for name, value in metrics.items():
        if name in problem.space.column and design.get(name) != value:
            what = f"what evaluates returns {name}, which is a gene, as a metric of another value"
            raise BadInput(f"metrics.{name}", what, "rename the metric, or the gene")
    completed = problem.completed(metrics, design)
    for name in problem.derived.contradicted(metrics, completed):
        raise measured_under_its_name(name, metrics[name], completed[name])
    known = [*dict.fromkeys((*later, *metrics))]
    for name in problem.metrics:
        lacking = problem.derived.missing(name, [*known, *problem.space.names])
        if lacking:
            what = f"{lacking[0]} is neither measured nor a gene"
            raise BadInput(f"metrics.{name}", what, choose_from(lacking[0], known))
    told = problem.unmeasured({**metrics, **dict.fromkeys(later, 1.0)}, design)
    if told is not None:
        todo = (
            f"name a metric that it measures ({', '.join(known)}), or one that follows from these"
        )
        raise BadInput("objectives and constraints", f"what evaluates {told}", todo)


def _first_designs(log: StudyLog) -> list[Params]:
    """Designs of the Sobol sequence, with the fixed genes at their values."""
    space = log.problem.space
    rows = space.sobol_rows(N_TRIED_FIRST, int(log.metadata.get("seed", 0)))
    return space.designs(space.with_values(rows, log.fixed))
