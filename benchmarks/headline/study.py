"""The headline, measured: speed-up at the baseline's accuracy by architecture, hardware and both, over five seeds.

    python benchmarks/headline/study.py fmnist-vit --budgets 40,60 --minutes 30
    python benchmarks/headline/study.py vit-b-imagenet --budgets 60
    python benchmarks/headline/study.py ofa-mobilenetv3-imagenet --budgets 60

Three searches a seed, of equal budget: joint, chip fixed at the preset's baseline, network fixed at the largest. Studies and
measured accuracies lie in --work and are shared and resumed: a sub-network is measured once for all seeds and searches. Every
budget is completed for all seeds before the next begins, so that --minutes cuts off the least informative part. A design
counts when it is within --within points of the baseline on validation images, and the fastest such designs also on test
images, asked one after another until one holds (``tried``); where no test images exist (modelled accuracy) the first alone.
Writes PRESET.json.

The question has one answer, the fastest design, so the searches have one objective: latency, with the accuracy as a
constraint. They aim --margin points above what counts, for a design chosen on validation images does worse on others.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from searching import EVALUATOR_FIELDS, RecordedEvaluator, advance, fastest_at, open_study

from cimbo import Study
from cimbo.analysis import attribution
from cimbo.analysis.attribution import SPEED_UP_SIDES, Gain, Point, Pool, Rules
from cimbo.config.study_config import Config, preset
from cimbo.problem.objectives import Problem
from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.workloads import network

HERE = Path(__file__).parent


class Shared(RecordedEvaluator):
    """Measures each accuracy once for all seeds and searches."""

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        measure = super().__call__
        accuracy = self.once("validation", design, lambda: measure(design)["accuracy"])
        return {"accuracy": accuracy, **self.simulated(design)}

    def on_test(self, design: Mapping[str, Any]) -> float:
        measure = super().on_test
        return float(self.once("test", design, lambda: measure(design)))


@dataclass(frozen=True)
class Case:
    """A preset with its baseline, and where its studies lie."""

    config: Config
    problem: Problem
    evaluator: Shared
    baseline: Point
    work: Path

    def study(self, seed: int, side: str) -> Study:
        return open_study(self.work / f"{seed}-{side}.db", self.problem, self.config, seed)

    def fixed(self, side: str) -> dict[str, Any]:
        """The genes that a search of this side leaves as the baseline has them."""
        other = {
            "architecture": self.problem.space.hardware,
            "hardware": self.problem.space.architecture,
            "joint": (),
        }
        return {
            c.name: self.baseline.params[c.name]
            for c in other[side]
            if c.name in self.baseline.params
        }


def case(name: str, work: Path, within: float, margin: float) -> Case:
    config = preset(name)
    plain = config.evaluator()
    work.mkdir(parents=True, exist_ok=True)
    settings = {name: getattr(plain, name) for name in EVALUATOR_FIELDS}
    evaluator = Shared(**settings, file=work / "accuracies.jsonl")
    evaluator.load()
    params = config.problem.space.canonical(network(config.network).largest() | config.baseline())
    metrics = evaluator(params)
    lacking = within - margin if evaluator.has_test() else within
    problem = fastest_at(config, metrics["accuracy"] - lacking, metrics["latency_ms"])
    return Case(config, problem, evaluator, Point(params, metrics["accuracy"], metrics), work)


def search(case: Case, seed: int, side: str, budget: int, until: float) -> bool:
    """Bring one search to ``budget`` evaluations; False when the time is up before."""
    with case.study(seed, side) as whole:
        study = whole.with_constraints(fixed=case.fixed(side))
        context = StudyContext(study, case.config, shared_evaluator=case.evaluator)
        baseline = (case.baseline.params, case.baseline.costs)
        return advance(context, baseline, budget, until)


def attributed(case: Case, seed: int, budget: int, within: float) -> tuple[Pool, list[Gain]]:
    """Gains of one seed from the first ``budget`` evaluations of each search."""
    records: dict[str, Sequence[Record]] = {}
    for side in SPEED_UP_SIDES:
        with case.study(seed, side) as study:
            records[side] = study.evaluations()[:budget]
    pool = attribution.pool(case.problem.space, case.evaluator, case.baseline, records)
    rules = Rules(within, case.config.problem.constraints, lambda p: tested(case, p, within))
    return pool, attribution.gains(pool, rules)


def tested(case: Case, point: Point, within: float) -> bool:
    """Whether a winner keeps the baseline's accuracy on test images too, where there are any."""
    if point is case.baseline or not case.evaluator.has_test():
        return True
    return (
        case.evaluator.on_test(point.params)
        >= case.evaluator.on_test(case.baseline.params) - within
    )


def table(case: Case, seeds: Sequence[int], budget: int, within: float) -> dict[str, Any]:
    found = [attributed(case, seed, budget, within) for seed in seeds]
    rows = []
    for same in zip(*(gains for _, gains in found), strict=True):
        interval = attribution.over_seeds([g.speedup for g in same])
        rows.append(
            {
                "held": same[0].held,
                "side": same[0].side,
                "speedup": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "each": [g.speedup for g in same],
                "tried": [
                    tried(case, pool, g, within) for (pool, _), g in zip(found, same, strict=True)
                ],
                "points": [shown(case, g.point) for g in same],
            }
        )
    return {
        "budget_of_each_search": budget,
        "seeds": list(seeds),
        "within": within,
        "speedups": rows,
    }


def tried(case: Case, pool: Pool, gain: Gain, within: float) -> int:
    """How many measured networks were asked on test images until the winner held: the more, the luckier it is."""
    rules, held = (
        Rules(within, case.config.problem.constraints),
        attribution.HELD_CONDITIONS[gain.held],
    )
    faster = [p for p in pool.sides[gain.side] if p.latency_ms < gain.point.latency_ms]
    kept = [p for p in faster if attribution.keeps(p, pool.baseline, rules, held)]
    return 1 + len({case.evaluator._accuracy_key(p.params) for p in kept})


def shown(case: Case, point: Point) -> dict[str, Any]:
    metrics = {
        "accuracy": point.accuracy,
        **{k: point.costs[k] for k in ("latency_ms", "energy_uj", "area_mm2")},
    }
    if case.evaluator.has_test():
        metrics["accuracy_test"] = case.evaluator.on_test(point.params)
    return {"params": point.params, "metrics": metrics}


def verdicts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was asked, at the baseline's accuracy and area."""
    row = {r["side"]: r for r in rows if r["held"] == "accuracy, area"}
    best_alone = max(row["architecture"]["high"], row["hardware"]["high"])
    return {
        "joint at least 3.1x": row["joint"]["speedup"] >= 3.1,
        "architecture alone at least 1.7x": row["architecture"]["speedup"] >= 1.7,
        "joint beats either alone, intervals apart": row["joint"]["low"] > best_alone,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--budgets", default="60", help="evaluations of each search, in stages: 24,48,72"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--within", type=float, default=0.3)
    parser.add_argument("--margin", type=float, default=0.15)
    parser.add_argument(
        "--work", type=Path, default=None, help="studies and measured accuracies [headline-PRESET]"
    )
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    started = case(
        asked.preset, asked.work or Path(f"headline-{asked.preset}"), asked.within, asked.margin
    )
    seeds = list(range(asked.seeds))
    for budget in map(int, asked.budgets.split(",")):
        complete = all(
            search(started, seed, side, budget, until)
            for side in reversed(SPEED_UP_SIDES)
            for seed in seeds
        )
        if not complete:
            print(f"time is up before {budget} evaluations of every search")
            break
        write(asked, started, table(started, seeds, budget, asked.within))


def write(asked: argparse.Namespace, case: Case, answer: dict[str, Any]) -> None:
    options = f"--seeds {asked.seeds} --budgets {asked.budgets} --within {asked.within:g} --margin {asked.margin:g}"
    minutes = f" --minutes {asked.minutes:g}" if np.isfinite(asked.minutes) else ""
    document = {
        "command": f"python benchmarks/headline/study.py {asked.preset} {options}{minutes}",
        "accuracy": case.config.accuracy_provenance(),
        "measured_accuracies": len(case.evaluator.known),
        "baseline": shown(case, case.baseline) | {"chip": case.config.baseline()},
        **answer,
        "asked": verdicts(answer["speedups"]),
    }
    (HERE / f"{asked.preset}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(
        f"{asked.preset}, {answer['budget_of_each_search']} evaluations of each search, {len(answer['seeds'])} seeds "
        f"({case.config.accuracy_provenance()['kind']})"
    )
    for r in answer["speedups"]:
        each = ", ".join(f"{v:.2f}" for v in r["each"])
        print(
            f"  {r['held']:24} {r['side']:13} {r['speedup']:6.2f}x  [{r['low']:.2f}, {r['high']:.2f}]  {each}",
            flush=True,
        )


if __name__ == "__main__":
    main()
