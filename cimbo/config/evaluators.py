"""Sets up a study's evaluator: a network on simulated chips, a user's function, or a program."""

from __future__ import annotations

from collections.abc import Sequence

from cimbo.config.metric_checks import kept_costs, needed_metrics
from cimbo.config.network_settings import inference_settings, stage_bits
from cimbo.config.roles import chip_roles
from cimbo.config.tables import (
    EvaluatorTable,
    ExpensiveTable,
    HardwareTable,
    NetworkTable,
)
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.low_fidelity import LowFidelities
from cimbo.evaluation.programs.program import DEFAULT_TIMEOUT_S, Program
from cimbo.evaluation.whole import FunctionEvaluator, ProgramEvaluator, WholeEvaluator
from cimbo.problem.objectives import Problem
from cimbo.workloads.inference import InferenceSettings


def joint_evaluator(
    network: NetworkTable,
    hardware: HardwareTable,
    *,
    accuracy: str,
    problem: Problem,
    stages: Sequence[int] = (),
    low_fidelities: LowFidelities | None = None,
    expensive: ExpensiveTable | None = None,
) -> JointEvaluator:
    """Set up the evaluation of networks on simulated chips.

    Args:
        network: What the study says of its network.
        hardware: What the study says of its hardware.
        accuracy: Name of the source of accuracy.
        problem: What the study searches for; costs that it needs are kept.
        stages: Numbers of images that the accuracy is measured on before all of them.
        low_fidelities: Cheaper settings that come before those of the full measurement.
        expensive: What the study says of its expensive metric.

    Returns:
        The evaluator.
    """
    # The genes that accuracy depends on, where the study says so
    told_genes = None
    if expensive is not None and expensive.metric == published.metric_of(accuracy):
        told_genes = expensive.genes
    return JointEvaluator(
        network.name,
        accuracy,
        hardware.simulator,
        hardware.options,
        hardware.fixed,
        accuracy_options=network.options,
        sizes_of_file=network.sizes,
        inference=inference_settings(network),
        more_costs=kept_costs(problem),
        wanted=needed_metrics(problem),
        stage_bits=stage_bits(network),
        stages=tuple(stages),
        low_fidelities=low_fidelities,
        chip_genes=tuple(choice.name for choice in problem.space.hardware),
        told_genes=None if told_genes is None else tuple(told_genes),
        roles=chip_roles(hardware),
        files=tuple(network.files),
        simulator_files=tuple(hardware.files),
    )


def refuse_unwatched_files(network: NetworkTable | None, hardware: HardwareTable) -> None:
    """Refuse files of a network or of hardware beside an evaluator of the user's, which has a key of its own.

    Args:
        network: What the study says of its network, if it has one.
        hardware: What it says of its hardware.

    Raises:
        BadInput: Where one of them names files.
    """
    tables: dict[str, NetworkTable | HardwareTable] = {"hardware": hardware}
    if network is not None:
        tables["network"] = network
    for name, table in tables.items():
        if table.files:
            what = "is not watched beside [evaluator], which measures by itself"
            raise BadInput(f"{name}.files", what, "move the files to [evaluator] files")


def whole_evaluator(
    table: EvaluatorTable, architecture: Sequence[str], network: NetworkTable | None
) -> WholeEvaluator:
    """Set up the evaluator that a table [evaluator] describes.

    Args:
        table: The table.
        architecture: Names of the architecture's genes.
        network: What the study says of its network, if it has one.

    Returns:
        A function or a program as the study's evaluator.

    Raises:
        BadInput: Where the table names nothing, or two things, or has settings of the other kind.
    """
    _check_names_one(table)
    if table.python is not None:
        _check_no_settings_of_a_command(table)
        evaluator: WholeEvaluator = FunctionEvaluator(table.python, table.options)
    else:
        if table.options:
            todo = "write them into the command"
            raise BadInput("evaluator.options", "are for a function", todo)
        evaluator = _program_evaluator(table, architecture, network)
    evaluator.files = tuple(table.files)
    evaluator.fixed = dict(table.fixed)
    return evaluator


def _check_names_one(table: EvaluatorTable) -> None:
    """Refuse a table that names neither a function nor a program, or both."""
    if (table.python is None) != (table.command is None):
        return
    if table.python is None:
        wrong = "names nothing"
    else:
        wrong = "names both a function and a program"
    raise BadInput("evaluator", wrong, 'give python = "package:function" or command = [...]')


def _check_no_settings_of_a_command(table: EvaluatorTable) -> None:
    """Refuse settings that only a command has, for a function."""
    is_set = {
        "server": table.server,
        "batch": table.batch > 1,
        "weights": table.weights is not None,
        "timeout_s": table.timeout_s is not None,
    }
    for name, given in is_set.items():
        if given:
            raise BadInput(f"evaluator.{name}", "is for a command", "leave it out")


def _program_evaluator(
    table: EvaluatorTable, architecture: Sequence[str], network: NetworkTable | None
) -> ProgramEvaluator:
    """Set up the program that a table [evaluator] names; it is told of the study's network where there is one."""
    assert table.command is not None
    timeout_s = table.timeout_s or DEFAULT_TIMEOUT_S
    program = Program("evaluator.command", table.command, timeout_s, table.server)
    if network is None:
        name, sizes, inference = "", {}, InferenceSettings()
    else:
        name, sizes, inference = network.name, network.sizes, inference_settings(network)
    return ProgramEvaluator(
        program,
        architecture,
        network=name,
        sizes_of_file=sizes,
        inference=inference,
        weights=table.weights,
        batch=table.batch,
    )
