"""``cimbo attribute``: what the network alone, the chip alone and both together gain over the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from cimbo.analysis import attribution
from cimbo.analysis.attribution import Gain, Point, Pool, Rules
from cimbo.cli.options import existing, positive
from cimbo.cli.output import emit, format_option, genes, say
from cimbo.cli.progress import Progress
from cimbo.cli.search import plain_guidance
from cimbo.config.study_config import Config, from_definition
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.problem.space import Params
from cimbo.storage import Record
from cimbo.study.study import Study
from cimbo.workloads import network


@click.command()
@click.argument("files", nargs=-1, metavar="[STUDY]...")
@click.option(
    "--within",
    type=float,
    default=0.3,
    show_default=True,
    help="Points of accuracy a design may lack.",
)
@click.option(
    "--complete",
    type=int,
    default=0,
    metavar="N",
    help="Also search with the chip fixed and with the network fixed, N evaluations each, in files beside "
    "the study; the same command resumes.",
)
@click.option(
    "--test",
    "measure",
    is_flag=True,
    help="Measure winners on test images where that was not done yet.",
)
@click.option(
    "--jobs", type=int, default=1, show_default=True, help="Evaluations at a time, with --complete."
)
@format_option
def attribute(
    *, files: tuple[str, ...], within: float, complete: int, measure: bool, jobs: int, style: str
) -> None:
    """Speed-up over the baseline at its accuracy: architecture only, hardware only, joint.

    The baseline is the largest network on the chip that the preset draws. Several studies of one problem (seeds) give
    an interval over them; one study gives a bootstrap interval. Default: cimbo.db.
    """
    files = files or ("cimbo.db",)
    if within < 0 or complete < 0:
        raise BadInput("--within or --complete", "is negative", "give a number of at least 0")
    positive("--jobs", jobs)
    cases = [_case(file, Options(within, complete, measure, jobs)) for file in files]
    _same_problem(files, cases)
    document = _document(files, cases, within)
    emit(style, _rows(document, style), document)
    if style == "table":
        click.echo("\nwith other baselines, at their accuracy and area:")
        click.echo("")
        emit(style, document["baselines"], document)
    for line in _remarks(document):
        say(line)


@dataclass(frozen=True)
class Options:
    """What was asked of every study."""

    within: float
    complete: int = 0
    test: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class Case:
    """A study with its baseline, its points and its gains."""

    config: Config
    problem: Mapping[str, Any]
    pool: Pool
    rules: Rules
    gains: Sequence[Gain]
    evaluations: Mapping[str, int]
    tests: Unseen
    others: Sequence[Mapping[str, Any]]


@dataclass
class Unseen:
    """Accuracy on test images: those of the study, and measured anew where that was asked for."""

    study: Study
    evaluator: JointEvaluator
    measure: bool
    known: dict[str, float] = field(default_factory=dict)

    def of(self, params: Params) -> float | None:
        """Test accuracy of a design, None where it is not known."""
        key = self._key(params)
        if key not in self.known and self.measure and self.evaluator.has_test():
            self.known[key] = self.evaluator.on_test(params)
            self.study.record_test_accuracy(self.study.problem.space.key(params), self.known[key])
        return self.known.get(key)

    def load(self) -> None:
        """Take over what the study holds: one accuracy serves every chip that shares the genes which shape it."""
        stored = self.study.test_accuracies()
        for r in self.study.evaluations():
            if r.key in stored:
                self.known[self._key(r.params)] = stored[r.key]

    def _key(self, params: Params) -> str:
        return self.study.problem.space.key(params, self.evaluator.shaping())


def _case(file: str, options: Options) -> Case:
    with existing(file) if not options.test else Study.open(_exists(file)) as study:
        config = from_definition(file, study.metadata)
        evaluator = config.evaluator()
        for r in study.evaluations():
            evaluator.remember(r.params, r.metrics)
        largest, drawn = network(config.network).largest(), config.baseline()
        baseline = _point(evaluator, _canonical(study, {**largest, **drawn}))
        tests = Unseen(study, evaluator, options.test)
        tests.load()
        records = {
            "joint": study.evaluations(),
            **_restricted(file, study, (config, evaluator, baseline), options),
        }
        pool = attribution.pool(study.problem.space, evaluator, baseline, records)
        rules = Rules(
            options.within,
            study.problem.constraints,
            _confirmation(tests, baseline, options.within),
        )
        gains = attribution.gains(pool, rules)
        return Case(
            config,
            study.problem.to_json(),
            pool,
            rules,
            gains,
            {side: len(found) for side, found in records.items()},
            tests,
            _others(study, evaluator, (baseline, records), rules),
        )


def _exists(file: str) -> str:
    existing(file).close()
    return file


def _canonical(study: Study, params: Mapping[str, Any]) -> Params:
    space = study.problem.space
    return space.canonical({k: v for k, v in params.items() if k in space.column})


def _point(evaluator: JointEvaluator, params: Params) -> Point:
    metrics = evaluator(params)
    return Point(params, metrics["accuracy"], metrics)


def _confirmation(tests: Unseen, baseline: Point, within: float) -> Any:
    """Whether a winner also keeps the baseline's accuracy on test images; unknown ones are let through."""

    def confirm(point: Point) -> bool:
        if point is baseline:
            return True
        asked, found = tests.of(baseline.params), tests.of(point.params)
        return asked is None or found is None or found >= asked - within

    return confirm


# ---- the two restricted searches ------------------------------------------------------------------------------------


def _restricted(
    file: str, study: Study, known: tuple[Config, JointEvaluator, Point], options: Options
) -> dict[str, list[Record]]:
    """Evaluations of the searches with one side fixed, run to ``options.complete`` each in files of their own."""
    if not options.complete:
        return {}
    config, evaluator, baseline = known
    space = study.problem.space
    fixed = {"architecture": space.hardware, "hardware": space.architecture}
    found = {}
    for side, genes_ in fixed.items():
        path = Path(file).with_suffix(f".{side}-only.db")
        with Study.open(
            path,
            space,
            study.problem.objectives,
            study.problem.constraints,
            study.seed,
            about=_about(study),
        ) as whole:
            held = {c.name: baseline.params[c.name] for c in genes_ if c.name in baseline.params}
            restricted = whole.with_constraints(fixed=held)
            guidance = plain_guidance(restricted, config, evaluator)
            say(f"{side} only: {options.complete} evaluations in {path}")
            with Progress(len(restricted.evaluations())) as progress:
                restricted.optimize(
                    evaluator,
                    options.complete,
                    n_jobs=options.jobs,
                    guidance=guidance,
                    listener=progress,
                )
            found[side] = restricted.evaluations()
            for r in found[side]:
                evaluator.remember(r.params, r.metrics)
    return found


def _about(study: Study) -> dict[str, Any]:
    return {k: study.metadata[k] for k in ("config", "versions") if k in study.metadata}


# ---- other baselines ------------------------------------------------------------------------------------------------


def _others(
    study: Study,
    evaluator: JointEvaluator,
    of: tuple[Point, Mapping[str, Sequence[Record]]],
    rules: Rules,
) -> list[dict[str, Any]]:
    """Speed-ups with other chips as the baseline, at the accuracy and area of each."""
    baseline, records = of
    space = study.problem.space
    hardware = [c.name for c in space.hardware]
    largest = {k: v for k, v in baseline.params.items() if k not in hardware}
    drawn = {k: baseline.params[k] for k in hardware if k in baseline.params}
    rows = []
    for name, chip in attribution.baselines(space, evaluator, largest, drawn).items():
        point = (
            baseline if chip == drawn else _point(evaluator, _canonical(study, {**largest, **chip}))
        )
        found = attribution.gains(
            attribution.pool(space, evaluator, point, records),
            replace(rules, confirm=lambda p: True),
        )
        ratios = {g.side: g.speedup for g in found if g.held == "accuracy, area"}
        rows.append(
            {
                "baseline": name,
                "latency_ms": point.latency_ms,
                "area_mm2": point.costs.get("area_mm2"),
                "accuracy": point.accuracy,
                **ratios,
                "chip": genes(chip),
            }
        )
    return rows


# ---- what is printed ------------------------------------------------------------------------------------------------


def _same_problem(files: Sequence[str], cases: Sequence[Case]) -> None:
    for file, case in zip(files, cases, strict=True):
        if case.problem != cases[0].problem or case.config.network != cases[0].config.network:
            raise BadInput(
                file,
                f"is about another problem than {files[0]}",
                "give studies that differ in their seed",
            )
    if len(set(files)) < len(files):
        raise BadInput("attribute", "one study is given twice", "name each once")


def _document(files: Sequence[str], cases: Sequence[Case], within: float) -> dict[str, Any]:
    first = cases[0]
    several = len(cases) > 1
    return {
        "studies": list(files),
        "evaluations": [dict(c.evaluations) for c in cases],
        "accuracy": first.config.accuracy_provenance(),
        "within": within,
        "interval": f"95 %, Student's t over {len(cases)} studies"
        if several
        else "95 %, bootstrap of one study",
        "baseline": _shown(first, first.pool.baseline) | {"drawn_by": first.config.name},
        "speedups": [_speedup(cases, i) for i in range(len(first.gains))],
        "baselines": _mean_rows([c.others for c in cases]),
    }


def _speedup(cases: Sequence[Case], index: int) -> dict[str, Any]:
    found = [c.gains[index] for c in cases]
    if len(cases) > 1:
        interval = attribution.over_seeds([g.speedup for g in found])
    else:
        interval = attribution.bootstrap(cases[0].pool, cases[0].rules, found[0])
    return {
        "held": found[0].held,
        "side": found[0].side,
        "speedup": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "each": [g.speedup for g in found],
        "candidates": [g.candidates for g in found],
        "points": [_shown(c, g.point) for c, g in zip(cases, found, strict=True)],
    }


def _shown(case: Case, point: Point) -> dict[str, Any]:
    architecture = {c.name for c in case.tests.study.problem.space.architecture}
    tested = case.tests.known.get(case.tests._key(point.params))
    metrics = {
        "accuracy": point.accuracy,
        **{k: v for k, v in point.costs.items() if k != "accuracy"},
    }
    return {
        "architecture": {k: v for k, v in point.params.items() if k in architecture},
        "hardware": {k: v for k, v in point.params.items() if k not in architecture},
        "metrics": metrics | ({} if tested is None else {"accuracy_test": tested}),
    }


def _mean_rows(tables: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The table of baselines; ratios are geometric means over the studies."""
    rows = []
    for same in zip(*tables, strict=True):
        ratios = {
            side: attribution.over_seeds([r[side] for r in same]).mean for side in attribution.SIDES
        }
        rows.append({k: ratios.get(k, v) for k, v in same[0].items()})
    return rows


def _rows(document: Mapping[str, Any], style: str) -> list[dict[str, Any]]:
    rows = []
    for s in document["speedups"]:
        best = max(zip(s["each"], s["points"], strict=True), key=lambda pair: pair[0])[1]
        row = {k: s[k] for k in ("held", "side", "speedup", "low", "high")}
        row |= {"accuracy": best["metrics"]["accuracy"]}
        row |= {
            k: v
            for k, v in best["metrics"].items()
            if k in ("accuracy_test", "latency_ms", "energy_uj", "area_mm2")
        }
        row |= {"accuracy_is": document["accuracy"]["kind"]} if style == "csv" else {}
        rows.append(row | {"candidates": min(s["candidates"]), "hardware": genes(best["hardware"])})
    return rows


def _remarks(document: Mapping[str, Any]) -> list[str]:
    base, standing = document["baseline"], document["accuracy"]
    metrics = ", ".join(f"{k} {v:.5g}" for k, v in base["metrics"].items())
    tested = all("accuracy_test" in p["metrics"] for s in document["speedups"] for p in s["points"])
    checked = (
        "every winner was checked on test images"
        if tested
        else "winners were not all checked on test images (--test)"
    )
    lines = [
        f"baseline: largest network on the chip of {base['drawn_by']}: {genes(base['hardware'])}; {metrics}",
        f"a design counts within {document['within']:g} points of its accuracy; interval: {document['interval']}",
    ]
    return lines + [checked if standing["kind"] == "measured" else standing["label"]]
