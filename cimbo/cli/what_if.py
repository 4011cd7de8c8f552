"""--fix and --limit: another question to the history of a study, with nothing evaluated again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from cimbo.errors import BadInput, choose_from
from cimbo.evaluation.joint import COSTS
from cimbo.problem.objectives import Constraint
from cimbo.session.session import Session
from cimbo.study.study import Study

F = TypeVar("F", bound=Callable[..., Any])
LIMIT_PATTERN = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=|=)\s*(\S+)\s*")


def what_if_options(command: F) -> F:
    """--fix GENE=VALUE and --limit METRIC=BOUND, both repeatable."""
    for option in (
        click.option(
            "--limit",
            "limits",
            multiple=True,
            metavar="METRIC=BOUND",
            help="Bound a metric (METRIC<=BOUND and METRIC>=BOUND too); takes the place of the study's.",
        ),
        click.option(
            "--fix", "fixes", multiple=True, metavar="GENE=VALUE", help="Keep a gene at a value."
        ),
    ):
        command = option(command)
    return command


def narrowed(session: Session, fixes: Sequence[str], limits: Sequence[str]) -> Session:
    """The study under the asked limits, with the asked genes kept. Raises BadInput naming the option that is wrong."""
    if not fixes and not limits:
        return session
    study = session.study
    fixed: dict[str, Any] = {}
    for text in fixes:
        name, value = _pin(study, text)
        if fixed.get(name, value) != value:
            raise BadInput(
                f"--fix {text}", f"{name} is fixed at {fixed[name]} too", "fix a gene once"
            )
        fixed[name] = value
    bounds: dict[tuple[str, str], Constraint] = {}
    for text in limits:
        c = _limit(study, text)
        if bounds.get((c.metric, c.relation), c) != c:
            raise BadInput(
                f"--limit {text}", f"{c.metric} has another limit too", "limit a metric once"
            )
        bounds[c.metric, c.relation] = c
    return session.what_if(fixed, list(bounds.values()))


def _pin(study: Study, text: str) -> tuple[str, Any]:
    space, (name, _, value) = study.problem.space, text.partition("=")
    if name not in space.column:
        raise BadInput(
            f"--fix {text}", f"{name!r} is no gene", choose_from(name, space.names, "the genes are")
        )
    choice = space.choices[space.column[name]]
    matches = [v for v in choice.values if str(v) == value or _equal(v, value)]
    if not matches:
        raise BadInput(
            f"--fix {text}", f"{name} cannot be {value!r}", f"choose one of {list(choice.values)}"
        )
    return name, matches[0]


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
        raise BadInput(f"--limit {text}", "is no bound", "write METRIC=BOUND, such as area_mm2=120")
    metric, relation, bound = found.groups()
    known = dict.fromkeys(_measured(study))
    if metric not in known:
        raise BadInput(f"--limit {text}", f"{metric!r} is not measured", choose_from(metric, known))
    try:
        value = float(bound)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(
            f"--limit {text}",
            f"{bound!r} is no finite number",
            "write METRIC=BOUND, such as area_mm2=120",
        )
    maximised = {o.name for o in study.problem.objectives if o.goal == "max"}
    return Constraint(
        metric, (">=" if metric in maximised else "<=") if relation == "=" else relation, value
    )


def _measured(study: Study) -> Iterable[str]:
    yield from (o.name for o in study.problem.objectives)
    yield from (c.metric for c in study.problem.constraints)
    for record in study.evaluations():
        yield from record.metrics
    if "config" in study.metadata:  # evaluated by a simulator of chips
        yield from COSTS
