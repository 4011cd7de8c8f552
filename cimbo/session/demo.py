"""The first front within seconds, from accuracies that were measured earlier and are shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo import _data
from cimbo.config.study_config import preset
from cimbo.errors import BadInput
from cimbo.optimizer.surrogates import targets
from cimbo.problem.objectives import Candidate
from cimbo.session.front import Front, front
from cimbo.session.session import Session
from cimbo.study import records_table
from cimbo.study.study import Study

DEMO_PRESET = "fmnist-vit"
RECORDED_NOTE = (
    "RECORDED: accuracies were measured earlier and are replayed from a table that cimbo ships; "
    "chips are simulated now"
)


@dataclass(frozen=True)
class Demo:
    """A recorded search and a random one beside it, replayed.

    Attributes:
        front: What the search found.
        file: Its study.
        random_file: The study of random designs.
        evaluations: After how many evaluations the two are compared.
        hypervolume: Of the search, then.
        random_hypervolume: Of the random designs, then.
        passed_after: Evaluations after which the search was as far as the random designs in the end; None for never.
    """

    front: Front
    file: Path
    random_file: Path
    evaluations: int
    hypervolume: float
    random_hypervolume: float
    passed_after: int | None

    def to_json(self) -> dict[str, Any]:
        """The front, as ``cimbo demo --format json`` prints it."""
        return self.front.to_json()


def demo(study: str | Path = "demo.db", *, command: str = "") -> Demo:
    """Replay a recorded search in seconds, as a study to try everything else on.

    Beside the study stands one of random designs, NAME-random.db, to compare it with.

    Args:
        study: The file to write.
        command: The command line to keep with it, where one started it.

    Returns:
        Both files, what the search found, and how the hypervolumes compare.

    Raises:
        BadInput: When one of the files exists.
    """
    from cimbo.report import facts

    file = Path(study)
    random_file = Path(f"{file.with_suffix('')}-random.db")
    for path in (file, random_file):
        if path.exists():
            raise BadInput(path, "exists already", "name another file with --study, or remove it")
    with replay("random", random_file, command=command) as other:
        random = facts.volumes(facts.gather(other.study))
    with replay("search", file, command=command) as searched:
        found = front(searched)
        ours = facts.volumes(facts.gather(searched.study))
    n = min(len(ours), len(random))
    passed_after = _first_above(ours, random[n - 1])
    return Demo(found, file, random_file, n, ours[n - 1], random[n - 1], passed_after)


def _first_above(volumes: Sequence[float], level: float) -> int | None:
    """After how many evaluations the hypervolume was above a level; None for never."""
    for count, volume in enumerate(volumes, 1):
        if volume > level:
            return count
    return None


def replay(which: str, file: str | Path, *, command: str = "") -> Session:
    """Write a recorded search that cimbo ships into a study file.

    Accuracies and times are the recorded ones; costs are computed by today's chip model.

    Args:
        which: The record: "search" or "random".
        file: The file to write.
        command: The command line to keep with it, where one started it.

    Returns:
        A session of the study; close it, or use it as a context manager.
    """
    config = preset(DEMO_PRESET)
    problem = config.problem
    metadata = {
        "config": {"name": config.name, "data": dict(config.data)},
        "recorded": RECORDED_NOTE,
        "command": command,
    }
    study = Study.open(
        file,
        problem.space,
        problem.objectives,
        problem.constraints,
        metrics=problem.metrics,
        metadata=metadata,
    )
    rows = list(records_table.read(_data.path(f"demo/{which}.csv"), problem.space))
    costs = config.evaluator().costs([candidate.params for candidate, _, _ in rows])
    for i, (candidate, metrics, told) in enumerate(rows):
        tested = metrics.pop(records_table.TEST_COLUMN, None)
        simulated = {name: float(values[i]) for name, values in costs.items()}
        study.import_evaluation(
            _with_computed(candidate, simulated, targets(problem)),
            metrics | simulated,
            seconds=float(told["seconds"]),
            reason=told["reason"] or None,
        )
        if tested is not None:
            study.record_test_accuracy(candidate.key, tested)
    return Session(study, config, file=str(file))


def _with_computed(
    candidate: Candidate, simulated: Mapping[str, float], metrics: list[str]
) -> Candidate:
    """The candidate with today's costs among its predictions: the search computed what its model did not have to guess."""
    if not candidate.predicted:
        return candidate
    computed = {}
    for name in metrics:
        if name in simulated:
            computed[name] = (simulated[name], 0.0)
    return replace(candidate, predicted={**candidate.predicted, **computed})
