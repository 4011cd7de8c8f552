"""A study that reports of are written in tests: hostile names, predictions, failures; and a page taken apart."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np

import cimbo.report
from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.problem.objectives import candidate

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "input", "br"}
OBJECTIVES = (
    Objective("accuracy", "max", 70.0),
    Objective("latency_ms", "min", 4.0),
    Objective("energy_uj", "min", 90.0),
)
SPACE = SearchSpace(
    architecture=[
        Choice("depth", [1, 2, 3]),
        *(Choice(f"width_{i}", [16, 32, 64], {"depth": range(i, 4)}) for i in (1, 2, 3)),
    ],
    hardware=[
        Choice("rows", [64, 128, 256]),
        Choice("adc_bits", [4, 5, 6, 8]),
        Choice("dram_bw", [32, 64, 128, 256, 512]),
        Choice("buffer_mb", [0.25, 0.5, 1, 2, 4]),
        Choice("array", ["analog_sram", "digital_sram", "rram"]),
        Choice(f"gene {HOSTILE}", ["plain", HOSTILE]),
    ],
)


def measure(design: dict[str, Any]) -> dict[str, float]:
    size = sum(design.get(f"width_{i}", 0) for i in (1, 2, 3))
    speed = design["dram_bw"] * design["rows"] / (2.0 if design["array"] == "rram" else 1.0)
    return {
        "accuracy": 92 - 600 / (size + 20) - 8 / design["adc_bits"],
        "latency_ms": size * 30 / speed + 0.01 * design["adc_bits"],
        "energy_uj": size * 0.2 * design["adc_bits"] ** 0.5 + design["buffer_mb"],
        "area_mm2": design["rows"] / 8 + 3 * design["buffer_mb"],
    }


@cache
def searched(n: int, m: int = 2, *, limit: float = 35.0, seed: int = 0) -> Study:
    """A study of ``n`` evaluations: 20 random ones, then predicted ones; every 13th failed."""
    study = Study.open(
        None,
        SPACE,
        OBJECTIVES[:m],
        [Constraint("area_mm2", "<=", limit)],
        seed=7,
        metadata={"preset": HOSTILE},
    )
    rng = np.random.default_rng(seed)
    for i, design in enumerate(SPACE.sobol(n, seed)):
        measured = measure(design)
        guess = {k: (v * (1 + rng.normal(0, 0.02)), 0.02 * v) for k, v in measured.items()}
        guess["area_mm2"] = (measured["area_mm2"], 0.0)
        c = candidate(
            SPACE,
            design,
            origin="sobol" if i < 20 else "proposed",
            predicted=guess if i >= 20 else None,
        )
        if i % 13 == 5:
            study.tell(c, None, reason=f"worker {i % 2} said {HOSTILE}")
        else:
            study.record(c, measured, status="done", reason=None, seconds=1.5)
            study.record_test_accuracy(c.key, 12.5)
    return study


class Page(HTMLParser):
    """A page taken apart; fails on a tag that is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attrs)))
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attrs)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def count(self, name: str, class_: str | None = None) -> int:
        return sum(n == name and class_ in (None, a.get("class")) for n, a in self.tags)

    def values(self, name: str, attribute: str) -> list[str]:
        return [a[attribute] or "" for n, a in self.tags if n == name and attribute in a]


def report(study: Study, **more: Any) -> str:
    return cimbo.report.html(study, title=f"A study {HOSTILE}", **more)


def told(objectives: Sequence[Objective], *outcomes: Mapping[str, float] | None) -> Study:
    """A study of whatever was measured."""
    study = Study.open(None, SPACE, objectives)
    for design, metrics in zip(SPACE.sobol(len(outcomes)), outcomes, strict=True):
        study.tell(design, metrics)
    return study


def measured(n: int) -> list[dict[str, float]]:
    return [measure(d) for d in SPACE.sobol(n)]


def without_scripts(page: str) -> str:
    """A page without its data and its script."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.S)
