"""The front as a table: a row a design, its genes folded below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cimbo.plots.markup import Markup, join, tag, text
from cimbo.plots.quantity import aligned, amount, number, rough, spoken
from cimbo.problem.space import Choice, Params
from cimbo.report import facts as facts_
from cimbo.report import layers
from cimbo.report.facts import Facts
from cimbo.storage import Record


@dataclass(frozen=True)
class Column:
    """A heading and the value of each design; ``best`` is "max", "min" or "" for neither."""

    heading: str
    values: tuple[float | None, ...]
    best: str = ""
    counting: bool = False

    @cached_property
    def shown(self) -> list[str]:
        """Every value as it is written."""
        if self.counting:
            return [f"{v:.0f}" for v in self.values if v is not None]
        return aligned(self.values)


def columns(facts: Facts) -> list[Column]:
    """List the columns of the front's table.

    Args:
        facts: The study.

    Returns:
        The number of the evaluation; the objectives; test accuracy and bit-accurate difference
        where they are known; then all else that was measured. Each has a value for every design of
        the front, None where it was not measured.
    """
    goals = {o.name: o.goal for o in facts.problem.objectives}
    measured = []
    for name in facts.metrics:
        measured.append(
            Column(
                facts.named(name),
                tuple(r.metrics.get(name) for r in facts.front),
                goals.get(name, ""),
            )
        )
    after = {"accuracy, test set": facts.tested, "exact form, points": facts.exact}
    found = {}
    for heading, known in after.items():
        found[heading] = tuple(known.get(r.key) for r in facts.front)
    extra = []
    for heading, values in found.items():
        if any(v is not None for v in values):
            extra.append(Column(heading, values))
    at = len(goals)
    return [
        Column("#", tuple(float(r.number) for r in facts.front), counting=True),
        *measured[:at],
        *extra,
        *measured[at:],
    ]


def section(facts: Facts) -> Markup:
    """Tabulate the front, the details of each design folded below its row.

    Args:
        facts: The study.

    Returns:
        The table, or a line that says why there is none.
    """
    if not facts.front:
        return tag(
            "p",
            "No evaluation has measured every objective within every constraint yet.",
            class_="empty",
        )
    shown = columns(facts)
    names = {"max": " ↑", "min": " ↓", "": ""}
    head = []
    for c in shown:
        head.append(tag("th", c.heading + names[c.best], scope="col", data_best=c.best or None))
    rows = [_design(facts, record, shown, i) for i, record in enumerate(facts.front)]
    table = tag(
        "table",
        tag("thead", tag("tr", *head, tag("th", "Design", scope="col"))),
        *rows,
        class_="sortable",
    )
    return tag("div", table, class_="scroll", tabindex="0")


def _design(facts: Facts, record: Record, shown: Sequence[Column], i: int) -> Markup:
    cells = [
        tag(
            "td",
            c.shown[i],
            data_v="" if (v := c.values[i]) is None else f"{v:.10g}",
            class_="top" if _is_best(c, i) else None,
        )
        for c in shown
    ]
    more = tag("tr", tag("td", details(facts, record), colspan=len(shown) + 1), class_="more")
    folded = fold(record.key, len(record.params))
    return tag(
        "tbody", tag("tr", *cells, folded), more, id=f"d{record.number}", data_d=record.number
    )


def fold(key: str, n: int) -> Markup:
    """Write the cell whose box unfolds the details of a design.

    Args:
        key: The design's key.
        n: How many genes it has.

    Returns:
        The cell.
    """
    return tag(
        "td",
        tag("label", tag("input", type="checkbox"), tag("code", key), f" {n} genes"),
        class_="fold",
    )


def _is_best(column: Column, i: int) -> bool:
    known = [v for v in column.values if v is not None]
    return (
        bool(column.best)
        and len(known) > 1
        and column.values[i] == (max if column.best == "max" else min)(known)
    )


def details(facts: Facts, record: Record) -> Markup:
    """Write all that is known of a design, for the folded row and the panel beside the plot.

    Args:
        facts: The study.
        record: The design's evaluation.

    Returns:
        Measurements, genes, the caller's own lines and the layers.
    """
    space = facts.problem.space
    parts = [
        tag("h4", f"Evaluation {record.number} ", tag("code", record.key)),
        tag("dl", *_measurements(facts, record), class_="metrics"),
        genes("Architecture", space.architecture, record.params),
        genes("Hardware", space.hardware, record.params),
    ]
    rows = facts.extra_rows.get(record.key, {})
    notes = [join([tag("dt", name), tag("dd", value)]) for name, value in rows.items()]
    if notes:
        noted = tag("dl", *notes, class_="notes")
    else:
        noted = Markup()
    return tag(
        "div", *parts, noted, layers.section(facts.layers.get(record.key, ())), class_="design"
    )


def _measurements(facts: Facts, record: Record) -> list[Markup]:
    lines: list[tuple[str, object]] = []
    for name in (n for n in facts.metrics if n in record.metrics):
        said = facts_.prediction(record, name)
        value = [text(amount(name, record.metrics[name]))]
        if said and said.std > 0:
            value.append(tag("small", f"predicted {number(said.mean)} ± {rough(said.half)}"))
        bar = facts.error_bars.get(record.key, {}).get(name)
        if bar is not None:
            value.append(tag("small", f"{rough(bar[0])} to {rough(bar[1])} by published chips"))
        lines.append((spoken(name), join(value)))
    tested = facts.tested.get(record.key)
    if tested is not None:
        lines.append(("accuracy, test set", number(tested)))
    if record.seconds:
        took = f", took {number(record.seconds)} s"
    else:
        took = ""
    lines.append(("chosen by", f"{record.origin}{took}"))
    return [join([tag("dt", name), tag("dd", value)]) for name, value in lines]


def genes(heading: str, choices: Sequence[Choice], params: Params) -> Markup:
    """Write the genes of one side of a design in a line.

    There is hardly any markup, since a front may hold a hundred designs of fifty genes.

    Args:
        heading: Name of the side.
        choices: The genes of the side.
        params: The design, by gene.

    Returns:
        Heading and line, genes that are numbered one after another together; nothing where none is
        active.
    """
    active = [c for c in choices if c.name in params]
    if not active:
        return Markup()
    items = []
    for name, value in _series(active, params):
        items.append(join([text(name), "\u00a0", tag("b", value)]))
    return join(
        [
            tag("h5", f"{heading} ", tag("small", len(active))),
            tag("p", join(items, " "), class_="genes"),
        ]
    )


def _series(active: Sequence[Choice], params: Params) -> list[tuple[str, str]]:
    """Genes and values; those numbered one after another (heads_1, heads_2, ...) together, as the profile they are."""
    runs: dict[str, list[tuple[str, str]]] = {}
    for choice in active:
        stem = choice.name.rstrip("0123456789")
        series = stem if stem.endswith("_") else choice.name
        runs.setdefault(series, []).append((choice.name, str(params[choice.name])))
    shown = []
    for series, run in runs.items():
        indices = [name.removeprefix(series) for name, _ in run]
        if len(run) > 1 and indices == [str(int(indices[0] or 0) + i) for i in range(len(run))]:
            shown.append(
                (f"{series}{indices[0]}…{indices[-1]}", " ".join(value for _, value in run))
            )
        else:
            shown += run
    return shown
