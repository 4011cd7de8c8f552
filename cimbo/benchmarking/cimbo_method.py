"""cimbo itself as a search method, through its public interface."""

from __future__ import annotations

from collections.abc import Sequence

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.space import Params
from cimbo.study.study import Study


class Cimbo:
    """cimbo's search on a study that is kept in memory."""

    def __init__(self, task: Task) -> None:
        p = task.problem
        self._study = Study.open(
            None, p.space, p.objectives, p.constraints, seed=task.seed, metrics=p.metrics
        )
        self._guidance = task.guidance

    def ask(self, n: int) -> list[Params]:
        """Ask the study for candidates.

        Args:
            n: How many at most.

        Returns:
            Their designs.
        """
        return [c.params for c in self._study.ask(n, guidance=self._guidance)]

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Tell the study what was measured.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        for design, metrics in zip(designs, measured, strict=True):
            self._study.tell(design, metrics)
