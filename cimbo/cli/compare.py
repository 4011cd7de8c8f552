"""``cimbo compare``: search methods at equal budget on the same problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from cimbo import execution
from cimbo.benchmarking import ONES, QUICK, runner, start
from cimbo.benchmarking.method import Measured, Task
from cimbo.benchmarking.runner import Band, Measure, Run
from cimbo.cli.options import existing, new_study_options, positive
from cimbo.cli.output import emit, format_option, say, write
from cimbo.cli.search import plain_guidance
from cimbo.config.study_config import DEFAULT_PRESET, Config, from_definition, load, preset
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem, candidate
from cimbo.problem.space import Params
from cimbo.storage import Record
from cimbo.study.study import Study


@click.command()
@click.option(
    "--budget",
    type=int,
    default=100,
    show_default=True,
    help="Evaluations of each method and seed.",
)
@click.option("--seeds", type=int, default=5, show_default=True, help="Runs of each method.")
@click.option(
    "--methods",
    default=",".join(QUICK),
    show_default=True,
    help=f"Some of {', '.join(ONES)}, with commas.",
)
@click.option(
    "--batch", type=int, default=5, show_default=True, help="Designs asked for at a time."
)
@click.option(
    "--evaluate",
    type=click.Choice(["auto", "real", "replay"]),
    default="auto",
    show_default=True,
    help="For real, or by predictors of the study's own evaluations [auto: by those, where it has 30].",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    default=None,
    help="Also draw the curves into this SVG file.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Real evaluations at a time.")
@new_study_options
@format_option
def compare(*, methods: str, plot: Path | None, style: str, **asked: Any) -> int:
    """Random search, NSGA-II, TPE, LINAS-like, cimbo and others at equal budget over several seeds; nothing is stored."""
    for name in ("budget", "seeds", "batch", "jobs"):
        positive(f"--{name}", asked[name])
    names = [name for name in methods.split(",") if name]
    config, problem, records = _subject(asked)
    if problem.reference() is None:
        raise BadInput(
            "compare",
            "an objective has no reference",
            "give each objective one, to measure a hypervolume",
        )
    evaluator = config.evaluator()
    with Study.open(None, problem.space, problem.objectives, problem.constraints) as study:
        guidance = plain_guidance(study, config, evaluator)
    for name in names:
        start(
            name, Task(problem, 0, guidance)
        )  # what is missing is said before the first evaluation
    measure, how = _measure(problem, evaluator, records, guidance, asked=asked)
    say(f"{config.title}: {asked['seeds']} seeds of {asked['budget']} evaluations, {how}")
    runs = _runs(names, (problem, guidance, measure), asked)
    found = runner.bands(
        runs, problem, runner.natural(problem), runner.checkpoints(asked["budget"])
    )
    if plot is not None:
        from cimbo.plots import curves

        write(plot, curves.svg([curves.Panel(config.title, "hypervolume", found)]))
    emit(
        style,
        _rows(found, runs),
        _document(found, runs) | {"budget": asked["budget"], "evaluated": how},
    )
    return 0


def _subject(asked: dict[str, Any]) -> tuple[Config, Problem, list[Record]]:
    """The named preset or study.toml, else the study in the file, else the default preset; and what was recorded."""
    name, file = asked["preset_name"], asked["config"]
    if name or file or not Path(asked["file"]).exists():
        config = load(file) if file else preset(name or DEFAULT_PRESET)
        return config, config.problem, []
    with existing(asked["file"]) as study:
        return (
            from_definition(asked["file"], study.metadata),
            study.problem,
            study.evaluations(),
        )


def _measure(
    problem: Problem,
    evaluator: JointEvaluator,
    records: Sequence[Record],
    guidance: OptimizerOptions,
    *,
    asked: dict[str, Any],
) -> tuple[Measure, str]:
    """What evaluates a list of designs, and a line on what that is."""
    from cimbo.benchmarking.replay import ENOUGH, replay

    enough = sum(r.status == "done" for r in records) >= ENOUGH
    if asked["evaluate"] == "replay" or (asked["evaluate"] == "auto" and enough):
        views, exact = guidance.views, guidance.analytic
        return replay(
            problem, records, views, exact
        ), f"replayed by predictors of {len(records)} recorded evaluations"
    return _Real(problem, evaluator, asked["jobs"]), "evaluated for real"


class _Real:
    """The evaluator in worker processes; what a method asks for again, or another asks for too, is measured once."""

    def __init__(self, problem: Problem, evaluator: JointEvaluator, jobs: int) -> None:
        self._space, self._evaluator, self._jobs = problem.space, evaluator, jobs
        self._known: dict[str, Measured] = {}

    def __call__(self, designs: list[Params]) -> Sequence[Measured]:
        asked = [candidate(self._space, d) for d in designs]
        fresh = {c.key: c for c in asked if c.key not in self._known}
        for o in execution.run(list(fresh.values()), self._evaluator, n_jobs=self._jobs):
            self._known[o.key] = dict(o.metrics) if o.status == "done" else None
            if o.status == "done":  # another chip's accuracy need not be measured again
                self._evaluator.remember(fresh[o.key].params, o.metrics)
        return [self._known[c.key] for c in asked]


def _runs(
    names: Sequence[str], on: tuple[Problem, OptimizerOptions, Measure], asked: dict[str, Any]
) -> list[Run]:
    problem, guidance, measure = on
    volume, runs = runner.natural(problem), []
    for name in names:
        for seed in range(asked["seeds"]):
            peer = start(name, Task(problem, seed, guidance))
            runs.append(
                Run(name, seed, *runner.race(peer, measure, asked["budget"], asked["batch"]))
            )
            reached = runner.anytime(runs[-1], problem, volume, [asked["budget"]])[0]
            say(f"{name}, seed {seed}: hypervolume {reached:.6g}")
    return runs


def _rows(found: Sequence[Band], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A line a method: median hypervolume at a quarter, half and all of the budget, its range, the method's own time."""
    rows = []
    for band in found:
        quarter, half = (int(band.at.searchsorted(band.at[-1] * share)) for share in (0.25, 0.5))
        rows.append(
            {"method": band.method, "seeds": sum(r.method == band.method for r in runs)}
            | {f"after_{band.at[i]:.0f}": float(band.median[i]) for i in (quarter, half, -1)}
            | {
                "least": float(band.low[-1]),
                "most": float(band.high[-1]),
                "overhead_s": _overhead(band, runs),
            }
        )
    return rows


def _overhead(band: Band, runs: Sequence[Run]) -> float:
    """Median CPU seconds an evaluation."""
    return float(np.median([r.overhead_s for r in runs if r.method == band.method]))


def _document(found: Sequence[Band], runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "methods": {
            b.method: {
                "seeds": [r.seed for r in runs if r.method == b.method],
                "evaluations": b.at.tolist(),
                "hypervolume": {
                    "median": b.median.tolist(),
                    "least": b.low.tolist(),
                    "most": b.high.tolist(),
                },
                "overhead_s": _overhead(b, runs),
            }
            for b in found
        }
    }
