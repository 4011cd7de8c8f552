"""A search in the manner of DyNAS-T's LINAS: evolutionary search on predictors, whose best designs are then evaluated.

Cummings et al. 2022, "A Hardware-Aware Framework for Accelerating Neural Architecture Search Across Modalities": random
designs first; then, again and again, a predictor for each objective is fitted to all evaluations, NSGA-II searches on the
predictors, and the best of its last population are evaluated.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

import predictors
from cimbo.benchmarking.method import Array, Measured, Task
from cimbo.benchmarking.random_search import Random
from cimbo.optimizer import evolution
from cimbo.optimizer.surrogates import Inputs, View, targets
from cimbo.problem.space import Params, Rows

N_INITIAL_DESIGNS = 20  # random designs
SEARCH_EFFORT = evolution.Effort(population=100, generations=50)


class Linas:
    """LINAS with XGBoost predictors on the genes, by their predicted mean."""

    def __init__(self, task: Task) -> None:
        self._task, self._space = task, task.problem.space
        self._random, self._rng = Random(task), np.random.default_rng([task.seed, 1])
        self._known: list[tuple[Params, dict[str, float]]] = []
        self._seen: set[bytes] = set()

    def ask(self, n: int) -> list[Params]:
        """Propose random designs first, then the best of a search on predictors.

        Args:
            n: How many at most.

        Returns:
            Designs that were not evaluated before. They are random until ``N_INITIAL_DESIGNS``
            evaluations have succeeded, and where the search finds nothing new.
        """
        if len(self._known) < N_INITIAL_DESIGNS:
            return self._random.ask(n)
        known = self._space.rows([d for d, _ in self._known])
        rows = evolution.search(
            self._space,
            self._score(known),
            known,
            rng=self._rng,
            effort=SEARCH_EFFORT,
            pin=lambda rows: rows,
        )
        fresh = [r for r in rows if r.tobytes() not in self._seen][:n]
        if fresh:
            return self._space.designs(np.stack(fresh))
        return self._random.ask(n)

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Remember what was evaluated; the predictors are fitted to what did not fail.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        self._seen |= {r.tobytes() for r in self._space.rows(designs)}
        for design, metrics in zip(designs, measured, strict=True):
            if metrics is not None:
                self._known.append((design, dict(metrics)))

    def _score(self, known: Rows) -> evolution.Score:
        """Fit a predictor for each metric, and make the function that the search maximises.

        Args:
            known: (n, d) rows of the designs that did not fail.

        Returns:
            From rows to predicted objectives, to be maximised, and constraint violations.
        """
        problem = self._task.problem
        view = View()
        table = Inputs(self._space, known).table(view)
        models = {}
        for metric in targets(problem):
            y = np.array([metrics[metric] for _, metrics in self._known])
            schema = view.schema(self._space, metric, log=False)
            models[metric] = predictors.fit(table, y, schema, "xgboost")

        def score(rows: Rows) -> tuple[Array, Array]:
            """Predict what designs are worth.

            Args:
                rows: (n, d) rows.

            Returns:
                Predicted objectives (n, m), to be maximised, and the sum of each row's predicted
                violations (n,).
            """
            inputs = Inputs(self._space, rows).table(view)
            with warnings.catch_warnings():
                # The search may well leave what was evaluated; the best are evaluated then
                warnings.simplefilter("ignore", predictors.OutsideWarning)
                mean = {metric: model.predict(inputs).mean for metric, model in models.items()}
            violation = np.zeros(len(rows))
            for constraint in problem.constraints:
                violation += np.maximum(constraint.violation(mean[constraint.metric]), 0)
            return problem.scores_of(mean), violation

        return score
