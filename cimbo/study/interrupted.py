"""What a process was evaluating when it ended: noted in the study file, and told by the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cimbo.evaluation.accuracy.sources import is_own
from cimbo.evaluation.joint import JointEvaluator
from cimbo.execution.crash_guard import GUARD
from cimbo.problem.space import Params, canonical_key
from cimbo.storage import Store, location
from cimbo.study import stored_values
from cimbo.study.log import StudyLog

UNDER_WAY_NAME = "under_way"  # a study file keeps under it what is evaluated in the process itself
MOST_SUDDEN_ENDS = 2  # of the program in one design; then the design counts as failed
FAILED_REASON = "ended the process each time that it was evaluated"


def runs_code_of_a_user(evaluate: object) -> bool:
    """Tell whether an evaluation runs code in this process that may end it.

    Args:
        evaluate: What evaluates.

    Returns:
        False for cimbo's own accuracies.
    """
    if isinstance(evaluate, JointEvaluator):
        return evaluate.has_accuracy and is_own(evaluate.accuracy)
    return True


@dataclass(frozen=True)
class NotedEvaluation:
    """Evaluates, and notes each design meanwhile, so that a sudden end of this process is told with its key.

    Attributes:
        store: The study file.
        evaluate: What evaluates.
    """

    store: Store
    evaluate: Callable[[Params], Mapping[str, float]]

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Evaluate a design, noted as being under way."""
        key = canonical_key(params)
        with _noted(self.store, key), GUARD.watching(f"the evaluation of design {key}"):
            return self.evaluate(params)

    @property
    def prepared_seconds(self) -> Mapping[str, float]:
        """Return the seconds spent on designs before the search, by key, as `cimbo.execution` asks for them."""
        return getattr(self.evaluate, "prepared_seconds", {})


@contextmanager
def _noted(store: Store, key: str) -> Iterator[None]:
    """Keep in the file that a design is under way; what ends as it should is recorded or forgotten."""
    before = _under_way(store) or {}
    times = 1
    if before.get("key") == key:
        times += before["times"]
    about = {"key": key, "process": location.identity(), "times": times}
    store.set_meta(UNDER_WAY_NAME, about)
    try:
        yield
    except Exception:
        raise  # it is recorded as a failure
    except BaseException:  # the user ended it
        store.set_meta(UNDER_WAY_NAME, None)
        raise


def sudden_end(log: StudyLog) -> tuple[str, bool] | None:
    """Find the design whose evaluation ended the process that evaluated it.

    Args:
        log: The study.

    Returns:
        Its key, and whether it is to be given up; None where nothing of that kind happened.
    """
    about = _under_way(log.store)
    if about is None or location.alive(about["process"]):
        return None
    if any(record.key == about["key"] for record in log.evaluations()):
        return None
    return about["key"], about["times"] >= MOST_SUDDEN_ENDS


def _under_way(store: Store) -> dict[str, Any] | None:
    """What is noted as under way. Raises BadInput where that is damaged."""
    found: dict[str, Any] | None = stored_values.read(store, UNDER_WAY_NAME, _is_note)
    return found


def _is_note(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    are_texts = isinstance(value.get("key"), str) and isinstance(value.get("process"), str)
    return are_texts and isinstance(value.get("times"), int)
