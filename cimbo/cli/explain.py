"""``cimbo explain``: why a design costs what it costs, what to buy next, and whom it beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from cimbo.cli.chip import layer_row
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import as_table, emit, format_option, say, write
from cimbo.cli.view import find
from cimbo.config.study_config import Config, from_definition
from cimbo.problem.objectives import Constraint
from cimbo.storage import Record
from cimbo.study.study import Study

Rows = list[dict[str, Any]]
_SHOWN = 4  # changed genes in a cell


@click.command()
@click.argument("key")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default=None,
    help="Write time and energy as an SVG file.",
)
@click.option(
    "--rows",
    "which",
    type=click.Choice(["layers", "prices", "front", "neighbours"]),
    default="layers",
    show_default=True,
    help="Print layers, shadow prices here or along the front, or neighbours.",
)
@study_option
@format_option
def explain(*, key: str, picture: Path | None, which: str, file: str, style: str) -> None:
    """What bounds an evaluated design layer by layer, what the next mm2, GB/s or ADC bit buys, and whom it beat."""
    from cimbo.report import breakdown

    with existing(file) as study:
        about = Explained(study, from_definition(file, study.metadata), find(study, key))
        if about.config.evaluator().simulator != "cimbo":
            say(
                "note: this study's costs are another simulator's; cimbo's own chip model explains them"
            )
        emit(style, _written(_ROWS[which](about)), about.document())
        say(about.talk(which))
        if picture is not None:
            write(picture, breakdown.picture(about.answer))


@dataclass(frozen=True)
class Explained:
    """One record of a study, and all that can be said of it."""

    study: Study
    config: Config
    record: Record

    def placed(self, records: Sequence[Record]) -> list[Any]:
        from cimbo.analysis.mapped_design import place

        return place(self.config.evaluator(), self.study.problem.space, [r.params for r in records])

    @cached_property
    def here(self) -> Any:
        return self.placed([self.record])[0]

    @cached_property
    def answer(self) -> dict[str, Any]:
        from cimbo import hardware

        return hardware.explain(self.here.workload, self.here.chip)

    @cached_property
    def bottleneck(self) -> dict[str, Any]:
        from cimbo.analysis import bottleneck

        return bottleneck(self.answer, self.here.full, self.here.choices)

    def layers(self) -> Rows:
        return [layer_row(layer) for layer in self.answer["layers"]]

    def prices(self) -> Rows:
        from cimbo.analysis import prices

        return [
            {
                "resource": p.resource,
                "step": f"{p.gene} {_value(p.start)}->{_value(p.to)}",
                "units": p.amount,
                "ms a unit": p.latency_ms,
                "uJ a unit": p.energy_uj,
                "mm2 a unit": p.area_mm2,
                "beyond the list": p.beyond,
            }
            for p in prices(self.here)
        ]

    def front(self) -> Rows:
        """A line a design of the front: its objectives, then each resource's price in latency and energy."""
        from cimbo.analysis import prices

        records = self.study.pareto()
        names = [o.name for o in self.study.problem.objectives]
        rows = []
        for r, placed in zip(records, self.placed(records), strict=True):
            row: dict[str, Any] = {"key": r.key} | {n: r.metrics[n] for n in names}
            for p in prices(placed):
                row.setdefault(f"ms per {p.resource}", p.latency_ms)
                row.setdefault(f"uJ per {p.resource}", p.energy_uj)
            rows.append(row)
        return rows

    def neighbours(self) -> Rows:
        from cimbo.analysis import beaten, one_step

        problem = self.study.problem
        found = beaten(problem, self.record, self.study.evaluations())
        if self.config.evaluator().simulator == "cimbo":  # costs of two simulators do not compare
            found += one_step(problem, self.record, self.here)
        return [
            {"how": n.how, "key": n.key, "verdict": n.verdict}
            | {f"{name} better by": margin for name, margin in n.margins.items()}
            | {
                "changes": [
                    f"{gene} {_value(a)}->{_value(b)}" for gene, (a, b) in n.changes.items()
                ]
            }
            | ({"breaks": [_broken(c, n.metrics) for c in n.broken]} if n.broken else {})
            for n in found
        ]

    def document(self) -> dict[str, Any]:
        from cimbo.analysis import prices

        return {
            "key": self.record.key,
            **self.answer,
            "bottleneck": self.bottleneck,
            "prices": [price.to_json() for price in prices(self.here)],
            "front": self.front(),
            "neighbours": self.neighbours(),
        }

    def talk(self, which: str) -> str:
        """What is said besides the rows that were asked for."""
        b = self.bottleneck
        lines = [
            f"bottleneck: {b['layer']} takes {100 * b['layer_share']:.0f} % of the time (bound by {b['layer_bound']}); "
            f"{100 * b['share']:.0f} % of all time waits for: {b['interface']} ({_remedy(b['genes'])})",
            _bars("time by bound, ms", self.answer["time_by_bound_ms"]),
            _bars("energy by part, uJ", self.answer["energy_by_part_uj"]),
        ]
        if which != "prices":
            lines += ["what one unit more changes (negative: saves)", as_table(self.prices())]
        if which != "neighbours":
            lines += [
                "neighbours, and by how much this design is better",
                as_table(_written(self._closest())),
            ]
        return "\n".join(lines)

    def _closest(self) -> Rows:
        """The measured neighbours, and of the computed ones those that are not beaten."""
        return [
            n
            for n in self.neighbours()
            if n["how"] == "measured" or n["verdict"] in ("better", "trade-off")
        ]


_ROWS: dict[str, Callable[[Explained], Rows]] = {
    "layers": Explained.layers,
    "prices": Explained.prices,
    "front": Explained.front,
    "neighbours": Explained.neighbours,
}


def _broken(c: Constraint, metrics: Mapping[str, float]) -> str:
    measured = f"{metrics[c.metric]:.4g}" if c.metric in metrics else "not measured"
    return f"{c.metric} {measured}, not {c.relation} {c.bound:.4g}"


def _remedy(genes: Sequence[str]) -> str:
    return f"widen with {' or '.join(genes)}" if genes else "no searched gene widens it further"


def _written(rows: Rows) -> Rows:
    """Rows with every list in one cell, cut where it is long."""
    return [{k: _cell(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]


def _cell(changes: list[str]) -> str:
    shown = ", ".join(changes[:_SHOWN])
    return shown if len(changes) <= _SHOWN else f"{shown} and {len(changes) - _SHOWN} more"


def _value(value: Any) -> str:
    return "off" if value is None else str(value)


def _bars(title: str, values: Mapping[str, float]) -> str:
    total = sum(values.values()) or 1.0
    shown = sorted(((v, k) for k, v in values.items() if v > 0), reverse=True)
    lines = [
        f"  {k:13} {v:10.4g} {100 * v / total:5.1f} %  {'#' * round(40 * v / total)}".rstrip()
        for v, k in shown
    ]
    return "\n".join([title, *lines])
