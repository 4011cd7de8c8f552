"""The front of a study, as a list that a notebook shows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cimbo.problem.objectives import Objective
from cimbo.storage import Record
from cimbo.storage.markup import html_table


class Front(list[Record]):
    """Evaluated, feasible and non-dominated designs, best first objective first.

    Examples:
        >>> from cimbo import Choice, Objective, Study
        >>> study = Study.open(None, [Choice("depth", [2, 4])], Objective("accuracy", "max"))
        >>> for depth in (2, 4):
        ...     _ = study.tell({"depth": depth}, {"accuracy": 80.0 + depth})
        >>> [record.metrics for record in study.pareto()]
        [{'accuracy': 84.0}]
    """

    def __init__(self, records: Iterable[Record], objectives: Sequence[Objective]) -> None:
        super().__init__(records)
        self.objectives = tuple(objectives)

    def __repr__(self) -> str:
        lines = [f"<Front of {len(self)} designs: {self._goals()}>"]
        for record in self:
            measured = [f"{o.name} {record.metrics[o.name]:.6g}" for o in self.objectives]
            lines.append(f"  {record.key}  {', '.join(measured)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        names = [o.name for o in self.objectives]
        genes = list(dict.fromkeys(name for record in self for name in record.params))
        rows = []
        for record in self:
            metrics = [f"{record.metrics[name]:.6g}" for name in names]
            rows.append([record.key, *metrics, *(record.params.get(gene, "") for gene in genes)])
        return html_table(["key", *names, *genes], rows, caption=f"Front: {self._goals()}")

    def _goals(self) -> str:
        return ", ".join(f"{o.name} {o.goal}" for o in self.objectives)
