"""--fix and --limit: another question to the history of a study, with nothing evaluated again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from cimbo.cli.fixed_genes import FixedGene, fixed_genes
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.evaluation.simulated_costs import COST_METRICS
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.chip import refuse_replaced_gene
from cimbo.problem.objectives import Constraint
from cimbo.session.session import Session
from cimbo.study.study import Study

F = TypeVar("F", bound=Callable[..., Any])
LIMIT_FORM = "write METRIC=BOUND, such as area_mm2=120"
LIMIT_PATTERN = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=|=)\s*(\S+)\s*")


def what_if_options(command: F) -> F:
    """Give a command the options --fix GENE=VALUE and --limit METRIC=BOUND, both repeatable.

    Args:
        command: The function to decorate. It is called with ``fixes`` and ``limits``, tuples of
            texts.

    Returns:
        The decorated function.
    """
    for option in (
        click.option(
            "--limit",
            "limits",
            multiple=True,
            metavar="METRIC=BOUND",
            help="Limit a metric, instead of the study's own limit on it; also METRIC<=BOUND or METRIC>=BOUND.",
        ),
        click.option(
            "--fix",
            "fixes",
            multiple=True,
            metavar="GENE=VALUE|@FILE",
            help="Keep a gene at a value, or all genes that a JSON file gives (@FILE#KEY: one design of several in it).",
        ),
    ):
        command = option(command)
    return command


def narrowed(session: Session, fixes: Sequence[str], limits: Sequence[str]) -> Session:
    """Look at a study under other limits, with some genes kept.

    Args:
        session: The study.
        fixes: Values of ``--fix``: GENE=VALUE, @FILE or @FILE#KEY.
        limits: Values of ``--limit``: METRIC=BOUND, METRIC<=BOUND or METRIC>=BOUND.

    Returns:
        The study so narrowed; ``session`` itself where nothing is asked.

    Raises:
        BadInput: For a gene, value, metric or bound that is none, or two that contradict each
            other; it names the option that is wrong.
    """
    if not fixes and not limits:
        return session
    fixed = fixed_values(session.study, fixes)
    return session.what_if(fixed, _bounds(session.study, limits))


def fixed_values(study: Study, fixes: Sequence[str]) -> dict[str, Any]:
    """Read the genes that ``--fix`` gives.

    Args:
        study: What has the genes.
        fixes: GENE=VALUE, @FILE or @FILE#KEY.

    Returns:
        Values by name of the gene.

    Raises:
        BadInput: For no gene of the study, a value that it cannot take, and a gene with two values.
    """
    fixed: dict[str, Any] = {}
    for gene in fixed_genes(fixes):
        value = _pin(study, gene)
        if fixed.get(gene.name, value) != value:
            what = f"{gene.name} is fixed at {fixed[gene.name]} too"
            raise BadInput(gene.asked, what, "fix a gene once")
        fixed[gene.name] = value
    return fixed


def _bounds(study: Study, limits: Sequence[str]) -> list[Constraint]:
    """The constraints that are asked for. Raises BadInput for a metric that has two limits on one side."""
    bounds: dict[tuple[str, str], Constraint] = {}
    for text in limits:
        c = _limit(study, text)
        if bounds.get((c.metric, c.relation), c) != c:
            what = f"{c.metric} has another limit too"
            raise BadInput(f"--limit {text}", what, "limit a metric once")
        bounds[c.metric, c.relation] = c
    return list(bounds.values())


def _pin(study: Study, gene: FixedGene) -> Any:
    """The value that a gene keeps. Raises BadInput for no gene of the study, and for a value that it cannot take."""
    space = study.problem.space
    if gene.name not in space.column:
        refuse_replaced_gene(gene.asked, gene.name)
        todo = choose_from(gene.name, space.names, "the genes are")
        raise BadInput(gene.asked, f"{gene.name!r} is no gene", todo)
    choice = space.choices[space.column[gene.name]]
    asked = gene.value
    if gene.name == "array" and asked not in choice.values:
        asked = FAMILY_ALIASES.get(asked, asked)
    for value in choice.values:
        if str(value) == asked or _equal(value, asked):
            return value
    todo = f"choose one of {list(choice.values)}"
    raise BadInput(gene.asked, f"{gene.name} cannot be {gene.value!r}", todo)


def _equal(value: Any, text: str) -> bool:
    """Whether ``text`` writes the number ``value``: "1.0" is 1."""
    try:
        return not isinstance(value, str) and float(text) == value
    except ValueError:
        return False


def _limit(study: Study, text: str) -> Constraint:
    """``area_mm2=120``: at most, but at least for what is maximised."""
    found = LIMIT_PATTERN.fullmatch(text)
    if not found:
        raise BadInput(f"--limit {text}", "is no bound", LIMIT_FORM)
    metric, relation, bound = found.groups()
    known = dict.fromkeys(_measured(study))
    check_known(metric, known, f"--limit {text}", f"{metric!r} is not measured")
    if not math.isfinite(_number(bound)):
        raise BadInput(f"--limit {text}", f"{bound!r} is no finite number", LIMIT_FORM)
    if relation == "=":
        relation = _usual_relation(study, metric)
    return Constraint(metric, relation, _number(bound))


def _number(text: str) -> float:
    """What a text writes; not a number where that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _usual_relation(study: Study, metric: str) -> str:
    """At least for what is maximised, at most for all else."""
    for objective in study.problem.objectives:
        if objective.name == metric and objective.goal == "max":
            return ">="
    return "<="


def _measured(study: Study) -> Iterable[str]:
    yield from study.problem.targets
    for record in study.evaluations():
        yield from record.metrics
    if "config" in study.metadata:  # evaluated by a simulator of chips
        yield from COST_METRICS
