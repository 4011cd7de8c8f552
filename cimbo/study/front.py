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
        genes: dict[str, None] = {}
        for record in self:
            genes |= dict.fromkeys(record.params)
        names = [o.name for o in self.objectives]
        rows = [self._row(record, genes) for record in self]
        return html_table(["key", *names, *genes], rows, caption=f"Front: {self._goals()}")

    def _row(self, record: Record, genes: Iterable[str]) -> list[object]:
        """Cells of one design: its key, its objectives, and its genes, "" where one is inactive."""
        cells: list[object] = [record.key]
        for objective in self.objectives:
            cells.append(f"{record.metrics[objective.name]:.6g}")
        for gene in genes:
            cells.append(record.params.get(gene, ""))
        return cells

    def _goals(self) -> str:
        return ", ".join(f"{o.name} {o.goal}" for o in self.objectives)
