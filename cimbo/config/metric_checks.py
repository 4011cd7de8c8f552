"""Which metrics a study may name: checks of its objectives, constraints and derived metrics before anything is evaluated."""

from __future__ import annotations

from cimbo.config.genes import takes_cimbo_chips
from cimbo.config.tables import ExpensiveTable, NetworkTable, StudyTable
from cimbo.errors import BadInput, check_known
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.joint import JOINT_METRICS
from cimbo.evaluation.measured_accuracy import DIE_ACCURACY, NO_ACCURACY
from cimbo.evaluation.simulated_costs import MORE_COSTS
from cimbo.hardware.generation import GENERATION_METRICS
from cimbo.plugins import is_python_name
from cimbo.problem.derived import SHIPPED_METRICS
from cimbo.problem.expressions import unknown_name
from cimbo.problem.objectives import Problem
from cimbo.workloads import network


def kept_costs(problem: Problem) -> tuple[str, ...]:
    """List the metrics beyond the usual ones that an objective, a constraint or a derived metric needs.

    Args:
        problem: What the study searches for.

    Returns:
        Names of the metrics; an evaluation keeps them besides those that it always returns.
    """
    named = _named_metrics(problem)
    return tuple(name for name in (*MORE_COSTS, DIE_ACCURACY) if name in named)


def _named_metrics(problem: Problem) -> set[str]:
    """Names of the targets, and of all metrics and genes in the expressions of derived metrics."""
    named = set(problem.targets)
    for expression in problem.derived.expressions.values():
        named.update(expression.names)
    return named


def needed_metrics(problem: Problem) -> tuple[str, ...]:
    """List the metrics for which every evaluation has to give a number.

    Args:
        problem: What the study searches for.

    Returns:
        Objectives, constrained and declared metrics, and the metrics in their expressions; no genes.
    """
    needed: dict[str, None] = {}
    for name in (*problem.targets, *problem.metrics):
        for part in (name, *problem.derived.parts(name)):
            if part not in problem.space.column:
                needed[part] = None
    return tuple(needed)


def check_metrics(problem: Problem, tables: StudyTable, accuracy: str) -> None:
    """Check that evaluations return every metric that the study names.

    Nothing is checked where the evaluator or the simulator is not cimbo's: what these return is not
    known before they run. A user's function that gives the accuracy may also give further metrics; what
    it returns is checked when it is first called.

    Args:
        problem: What the study searches for.
        tables: The description of the study.
        accuracy: Name of its source of accuracy.

    Raises:
        BadInput: For a metric that no evaluation returns.
    """
    if tables.evaluator is not None or not takes_cimbo_chips(tables.hardware):
        return
    measured = _measured_metrics(accuracy)
    if accuracy == NO_ACCURACY:
        _check_accuracy_unused(problem, tables.network)
    if not is_python_name(accuracy):
        _check_expressions(problem, measured)
        _check_targets(problem, measured)
    _check_generates(problem, tables.network)


def _measured_metrics(accuracy: str) -> list[str]:
    """Names of the metrics that an evaluation returns with this source of accuracy."""
    measured = list(JOINT_METRICS)
    # A language model has another metric, such as its perplexity, in the place of an accuracy
    quality = published.metric_of(accuracy)
    if quality not in measured:
        measured[measured.index("accuracy")] = quality
    if accuracy == NO_ACCURACY:
        measured.remove("accuracy")
    return measured


def _check_accuracy_unused(problem: Problem, table: NetworkTable | None) -> None:
    """Refuse a study that measures no accuracy but has a target or a metric that needs one."""
    family = "" if table is None else table.name
    for name in (*problem.targets, *problem.metrics):
        if "accuracy" in problem.derived.parts(name):
            todo = 'name what measures it: [network] accuracy = "..."'
            raise BadInput("accuracy", f"is not measured for {family}", todo)


def check_new_names(problem: Problem, tables: StudyTable, accuracy: str) -> None:
    """Check that no derived metric of a new study stands in the place of a measured one.

    Nothing is checked where the evaluator or the simulator is not cimbo's, see `check_metrics`.

    Args:
        problem: What the study searches for.
        tables: The description of the study.
        accuracy: Name of its source of accuracy.

    Raises:
        BadInput: For a derived metric that every evaluation returns.
    """
    if tables.evaluator is not None or not takes_cimbo_chips(tables.hardware):
        return
    measured = _measured_metrics(accuracy)
    for name, text in problem.metrics.items():
        if name in measured and SHIPPED_METRICS.get(name) != text:
            todo = "rename it, or leave it out"
            raise BadInput(f"metrics.{name}", "is measured by every evaluation", todo)


def _check_expressions(problem: Problem, measured: list[str]) -> None:
    """Refuse a derived metric whose expression names something that is neither measured, derived nor a gene."""
    expressions = problem.derived.expressions
    for name, expression in expressions.items():
        others = [other for other in expressions if other != name]
        error = unknown_name(expression, [*measured, *others, *problem.space.names])
        if error is not None:
            raise error


def _check_targets(problem: Problem, measured: list[str]) -> None:
    """Refuse an objective or a constraint on a metric that is neither measured nor derived."""
    known = dict.fromkeys((*measured, *problem.derived.expressions, *SHIPPED_METRICS))
    for metric in problem.targets:
        check_known(metric, known, metric, "is measured by no evaluation")


def _check_generates(problem: Problem, table: NetworkTable | None) -> None:
    """Refuse metrics of generated tokens where the network generates none."""
    needed = kept_costs(problem)
    of_tokens = [name for name in GENERATION_METRICS if name in needed]
    if not of_tokens or table is None:
        return
    if not _generates_tokens(table):
        what = f"is of a language model, and {table.name} generates no tokens"
        raise BadInput(of_tokens[0], what, "leave it out, or name one such as gpt2-s")


def _generates_tokens(table: NetworkTable) -> bool:
    """Whether the network is a language model: its workload has a loop over tokens."""
    family = network(table.name, table.sizes)
    return family.workload(family.largest()).loop is not None


def check_expensive(problem: Problem, expensive: ExpensiveTable | None) -> None:
    """Check the table [expensive] of a study.

    Args:
        problem: What the study searches for.
        expensive: The table, if there is one.

    Raises:
        BadInput: For a metric that the study does not seek, or a gene that it does not have.
    """
    if expensive is None:
        return
    check_known(
        expensive.metric,
        problem.targets,
        "expensive.metric",
        f"{expensive.metric} is no objective and has no constraint",
    )
    for name in expensive.genes or ():
        check_known(name, problem.space.names, "expensive.genes", f"{name} is no gene")
