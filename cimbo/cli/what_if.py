"""--fix and --limit: another question to the history of a study, with nothing evaluated again."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from cimbo.cli.fixed_genes import FixedGene, fixed_genes
from cimbo.config.genes import takes_cimbo_chips
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.evaluation.joint import JointEvaluator
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.chip import refuse_replaced_gene
from cimbo.problem.objectives import Constraint
from cimbo.session.session import Session
from cimbo.study.study import Study

logger = logging.getLogger("cimbo")

SIMULATOR_COSTS = ("latency_ms", "energy_uj")  # what every simulator gives of a run
# What tables and files of others write for the values of a gene that is true or false
TRUTH_WORDS = {"yes": "true", "no": "false"}
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
            help="Limit a metric instead of the study's own limit on that side of it. METRIC=BOUND is on the side of the "
            "study's own limit; where it has none, a least value of what is maximised and a most value of all else. "
            "METRIC<=BOUND and METRIC>=BOUND say the side.",
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
    fixed = fixed_values(session, fixes)
    return session.what_if(fixed, _bounds(session, limits))


def fixed_values(session: Session, fixes: Sequence[str]) -> dict[str, Any]:
    """Read the genes that ``--fix`` gives.

    Args:
        session: The study that has the genes.
        fixes: GENE=VALUE, @FILE or @FILE#KEY.

    Returns:
        Values by name of the gene; what every chip of the study has anyway is left out.

    Raises:
        BadInput: For no gene of the study, a value that it cannot take, and a gene with two values.
    """
    fixed: dict[str, Any] = {}
    for gene in fixed_genes(fixes):
        if session.is_chip_property(gene.asked, gene.name, gene.value):
            continue
        value = _pin(session.study, gene)
        if fixed.get(gene.name, value) != value:
            what = f"{gene.name} is fixed at {fixed[gene.name]} too"
            raise BadInput(gene.asked, what, "fix a gene once")
        fixed[gene.name] = value
    return fixed


def _bounds(session: Session, limits: Sequence[str]) -> list[Constraint]:
    """The constraints that are asked for. Raises BadInput for a metric that has two limits on one side."""
    bounds: dict[tuple[str, str], Constraint] = {}
    for text in limits:
        c = _limit(session, text)
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
    value = choice.of_text(asked)
    if value is None and asked.lower() in TRUTH_WORDS:
        value = choice.of_text(TRUTH_WORDS[asked.lower()])
    if value is not None:
        return value
    todo = f"choose one of {list(choice.values)}"
    raise BadInput(gene.asked, f"{gene.name} cannot be {gene.value!r}", todo)


def _limit(session: Session, text: str) -> Constraint:
    """What a limit says; ``area_mm2=120`` is on the side that `_usual_relation` tells, and the log says which."""
    found = LIMIT_PATTERN.fullmatch(text)
    if not found:
        raise BadInput(f"--limit {text}", "is no bound", LIMIT_FORM)
    metric, relation, bound = found.groups()
    known = dict.fromkeys(_measured(session))
    check_known(metric, known, f"--limit {text}", f"{metric!r} is not measured")
    if not math.isfinite(_number(bound)):
        raise BadInput(f"--limit {text}", f"{bound!r} is no finite number", LIMIT_FORM)
    if relation == "=":
        relation = _usual_relation(session.study, metric, text)
        logger.info(f"limit: {metric} {relation} {bound}")
    return Constraint(metric, relation, _number(bound))


def _number(text: str) -> float:
    """What a text writes; not a number where that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _usual_relation(study: Study, metric: str, text: str) -> str:
    """The side of the study's own limit on a metric; without one, at least for what is maximised, else at most.

    Raises BadInput where the study limits both sides.
    """
    own = {c.relation for c in study.problem.constraints if c.metric == metric}
    if len(own) == 1:
        return own.pop()
    for objective in study.problem.objectives:
        if objective.name == metric:
            return ">=" if objective.goal == "max" else "<="
    if own:
        todo = f"write '{text.replace('=', '<=')}' or '{text.replace('=', '>=')}'"
        raise BadInput(f"--limit {text}", f"the study limits both sides of {metric}", todo)
    return "<="


def _measured(session: Session) -> Iterable[str]:
    """The metrics that the study can have: what it seeks and derives, and what was measured.

    Before anything was measured, also what its simulator is known to give.
    """
    problem = session.study.problem
    yield from problem.targets
    yield from problem.metrics
    has_measured = False
    for record in session.study.evaluations():
        yield from record.metrics
        has_measured = has_measured or record.status == "done"
    if has_measured or not session.has_description:
        return
    evaluator = session.evaluator
    if isinstance(evaluator, JointEvaluator):
        is_ours = takes_cimbo_chips(session.config.tables.hardware)
        yield from evaluator.costs_kept if is_ours else SIMULATOR_COSTS
