"""Exactly one design, evaluated because somebody asks for it and not because a search proposes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.space import Params, SearchSpace
from cimbo.session.design import find
from cimbo.session.optimize import SearchSettings, optimizer_options, search
from cimbo.session.session import Session
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.continuation import was_stopped_in_a_stage
from cimbo.study.replicates import FAILURES_FIELD
from cimbo.study.study import Study

MOST_ATTEMPTS = 5  # another process may take the place in the budget


@dataclass(frozen=True)
class EvaluatedDesign:
    """A design that was asked for, and whether it was evaluated, or measured to its end, only now."""

    record: Record
    is_new: bool


def evaluate_design(
    session: Session,
    key: str,
    changes: Mapping[str, Any],
    workers: Workers,
    *,
    accept_changed: bool = False,
    listener: events.Listener = events.ignore,
) -> EvaluatedDesign:
    """Evaluate an evaluated design with some of its genes changed, and record it.

    Args:
        session: The study, open for writing.
        key: The design to start from, which may be shortened.
        changes: New values by gene. A gene that begins to exist by them has its first value.
        workers: Where the evaluation runs.
        accept_changed: Go on although what evaluates is not what it was.
        listener: Told of the evaluation.

    Returns:
        The design's evaluation, measured in full. One that the study holds already is not repeated;
        where a stage stopped it, it goes on.

    Raises:
        BadInput: For a gene that the changed design does not have, a design that the constraints
            between genes exclude, and whatever keeps it from being evaluated.
    """
    study = session.study
    space = study.problem.space
    params = changed_design(space, find(session, key).params, changes)
    alone = session.what_if(params, ())
    design_key = space.key(params)
    known = _recorded(study, design_key)
    if known is not None and not was_stopped_in_a_stage(known):
        return EvaluatedDesign(known, is_new=False)

    def searched(budget: int, settings: SearchSettings) -> Record | None:
        """Search this design alone, and return what is recorded of it then."""
        options = optimizer_options(alone, settings)
        search(alone, budget, options, workers, listener=listener, settings=settings)
        return _recorded(study, design_key)

    settings = SearchSettings(accept_changed=accept_changed)
    for _ in range(MOST_ATTEMPTS):
        if known is not None:
            break
        known = searched(len(study.evaluations()) + 1, settings)
    if known is not None and was_stopped_in_a_stage(known):
        settings = replace(settings, in_full=(design_key,))
        known = searched(len(study.evaluations()), settings)
    if known is None or was_stopped_in_a_stage(known):
        raise _not_evaluated(design_key, known)
    return EvaluatedDesign(known, is_new=True)


def _not_evaluated(key: str, known: Record | None) -> BadInput:
    """What to tell of a design that was not evaluated, or not to its end."""
    failures = known.extra.get(FAILURES_FIELD) if known is not None else None
    if failures:
        what = f"could not be measured in full: {failures[-1]}"
        return BadInput(f"design {key}", what, "correct what evaluates and try again")
    what = "is being evaluated by another process"
    return BadInput(f"design {key}", what, "cimbo status says by which")


def changed_design(space: SearchSpace, start: Params, changes: Mapping[str, Any]) -> Params:
    """Change genes of a design.

    Args:
        space: What has the genes.
        start: The design.
        changes: New values by gene.

    Returns:
        The changed design in its canonical form.

    Raises:
        BadInput: For a gene that the changed design does not have, and a design that the constraints
            between genes exclude.
    """
    every = {choice.name: choice.values[0] for choice in space.choices}
    params = space.canonical({**every, **start, **changes})
    for name in changes:
        if name not in params:
            conditions = space.choices[space.column[name]].active_if
            told = ", ".join(f"{gate} in {list(values)}" for gate, values in conditions.items())
            raise BadInput(f"gene {name}", "does not exist in this design", f"it needs {told}")
    if not space.allowed_rows(space.rows([params])).all():
        what = f"does not keep {' and '.join(space.constraints)}"
        raise BadInput("design", what, "change other genes too")
    return params


def _recorded(study: Study, key: str) -> Record | None:
    """The last evaluation of a design; None where there is none."""
    found = None
    for record in study.evaluations():
        if record.key == key:
            found = record
    return found
