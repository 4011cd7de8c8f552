"""BayBE with its defaults for several targets: a Pareto objective over a list of designs.

BayBE's discrete spaces are lists of designs. A joint space has 10^20 designs and more, so BayBE gets a random list of them, as
its guide advises; it cannot propose designs that are not on the list.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from baybe import Campaign
from baybe.objectives import ParetoObjective
from baybe.parameters import CategoricalParameter, NumericalDiscreteParameter
from baybe.searchspace import SearchSpace
from baybe.settings import Settings
from baybe.targets import NumericalTarget

from cimbo.benchmarking.method import Measured, Task
from cimbo.optimizer.evolution import unique
from cimbo.problem.space import INACTIVE_INDEX, Params, Rows

N_LISTED_DESIGNS = 1000


class BayBe:
    """BayBE's campaign; a gene is the index of its value, an inactive one that of its first value."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        self._task, self._space = task, task.problem.space
        Settings(random_seed=task.seed).activate()
        rng = np.random.default_rng(task.seed)
        rows = unique(self._space.random_rows(N_LISTED_DESIGNS, rng))
        table = self._table(rows)
        parameters = []
        for choice in self._space.choices:
            if len(choice.values) < 2:
                continue
            ranks = list(range(len(choice.values)))
            if choice.ordered:
                parameters.append(NumericalDiscreteParameter(choice.name, ranks))
            else:
                parameters.append(CategoricalParameter(choice.name, [f"v{r}" for r in ranks]))
        listed = table[[p.name for p in parameters]].drop_duplicates()
        targets = []
        for o in task.problem.objectives:
            targets.append(NumericalTarget(o.name, minimize=o.goal == "min"))
        objective = ParetoObjective(targets)
        self._campaign = Campaign(SearchSpace.from_dataframe(listed, parameters), objective)
        self._asked = listed.iloc[:0]

    def ask(self, n: int) -> list[Params]:
        """Ask BayBE for designs of its list.

        Args:
            n: How many.

        Returns:
            The recommended designs.
        """
        self._asked = self._campaign.recommend(n)
        rows = np.zeros((len(self._asked), len(self._space.choices)), self._space.row_type)
        for i, choice in enumerate(self._space.choices):
            if choice.name in self._asked:
                for row, rank in zip(rows, self._asked[choice.name], strict=True):
                    # Ranks come as numbers such as 2.0, those of categories as "v2".
                    row[i] = int(str(rank).removeprefix("v").split(".")[0])
        return self._space.designs(self._space.canonical_rows(rows))

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Tell BayBE the objectives that were measured.

        Failures are left out, and constraints are not told.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        kept = [i for i, metrics in enumerate(measured) if metrics is not None]
        table = self._asked.iloc[kept].copy()
        for o in self._task.problem.objectives:
            table[o.name] = [dict(measured[i] or {})[o.name] for i in kept]
        if kept:
            self._campaign.add_measurements(table)

    def _table(self, rows: Rows) -> pd.DataFrame:
        """Encoded designs (n, genes) as a table for BayBE, with a column for each gene."""
        columns: dict[str, object] = {}
        for choice, column in zip(self._space.choices, rows.T, strict=True):
            ranks = np.where(column == INACTIVE_INDEX, 0, column)
            if choice.ordered:
                columns[choice.name] = ranks
            else:
                columns[choice.name] = [f"v{r}" for r in ranks]
        return pd.DataFrame(columns)
