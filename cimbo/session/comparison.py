"""Search methods at equal budget on the same problem."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import execution
from cimbo.benchmarking import COMPUTING_METHODS, QUICK_METHODS, runner, start
from cimbo.benchmarking.method import Measured, Task
from cimbo.benchmarking.runner import Band, Measure, Run, Volume
from cimbo.config.study_config import Config
from cimbo.errors import BadInput, check_known, check_positive
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.space import Params
from cimbo.session.context import StudyContext
from cimbo.session.optimize import optimizer_options
from cimbo.storage import Record
from cimbo.study.study import Study

EVALUATION_MODES = ("auto", "real", "replay")
DEFAULT_COMPARED_BUDGET = 100
DEFAULT_SEEDS = 5
COMPARED_BATCH = 5  # designs that each method is asked for at a time

REPLAY_CAUTION = (
    "replayed by predictors: they know best what the recorded search looked at, so they may favour "
    "methods that search alike; compare on --problem or with --evaluate real before you conclude"
)

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class ComparisonSettings:
    """What is compared.

    Attributes:
        budget: Evaluations of each method and seed.
        seeds: Runs of each method.
        methods: Names of methods, see `cimbo.benchmarking.METHOD_MODULES`.
        batch: Designs asked for at a time.
        evaluate: "real"; "replay" for predictors of the study's own evaluations; "auto" for these where it has 30.
        jobs: Real evaluations at a time.
    """

    budget: int = DEFAULT_COMPARED_BUDGET
    seeds: int = DEFAULT_SEEDS
    methods: tuple[str, ...] = QUICK_METHODS
    batch: int = COMPARED_BATCH
    evaluate: str = "auto"
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("budget", "seeds", "batch", "jobs"):
            check_positive(f"--{name}", getattr(self, name))
        check_known(self.evaluate, EVALUATION_MODES, "--evaluate", f"{self.evaluate!r} is unknown")


@dataclass(frozen=True)
class MethodCurve:
    """Anytime hypervolume of one method over its seeds.

    Attributes:
        method: Its name.
        seeds: The seeds that were run.
        evaluations: Numbers of evaluations, ascending.
        median: Hypervolume after each of them, the median over the seeds.
        least: The least.
        most: The largest.
        overhead_s: The method's own CPU seconds an evaluation, the median over the seeds.
        feasible: For each seed, how many of its evaluations keep the constraints.
        costs: "computed" where the method may compute costs exactly while it searches; else
            "learned", as it sees them in evaluations alone.
    """

    method: str
    seeds: tuple[int, ...]
    evaluations: tuple[float, ...]
    median: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]
    overhead_s: float
    feasible: tuple[int, ...]
    costs: str = "learned"

    def median_at(self, share: float) -> tuple[int, float]:
        """Return how far the method was after a share of its budget.

        Args:
            share: Share of the budget, 0 to 1.

        Returns:
            The first number of evaluations on the curve that is at least that share, and the median
            hypervolume then.
        """
        place = int(np.searchsorted(self.evaluations, self.evaluations[-1] * share))
        return round(self.evaluations[place]), self.median[place]

    def band(self) -> Band:
        """Return the curve as arrays, to be drawn."""
        return Band(
            self.method,
            np.array(self.evaluations),
            np.array(self.median),
            np.array(self.least),
            np.array(self.most),
        )

    def to_json(self) -> dict[str, Any]:
        """The curve as ``cimbo compare --format json`` lists it."""
        return {
            "seeds": list(self.seeds),
            "evaluations": list(self.evaluations),
            "hypervolume": {
                "median": list(self.median),
                "least": list(self.least),
                "most": list(self.most),
            },
            "overhead_s": self.overhead_s,
            "feasible": list(self.feasible),
            "costs": self.costs,
        }


@dataclass(frozen=True)
class Comparison:
    """Curves of methods at equal budget; ``evaluated`` says what the evaluations were."""

    title: str
    curves: tuple[MethodCurve, ...]
    budget: int
    evaluated: str

    def svg(self) -> str:
        """The curves as a picture."""
        from cimbo.plots import curves

        bands = [curve.band() for curve in self.curves]
        return curves.svg([curves.Panel(self.title, "hypervolume", bands)])

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo compare --format json``."""
        return {
            "methods": {curve.method: curve.to_json() for curve in self.curves},
            "budget": self.budget,
            "evaluated": self.evaluated,
        }


def compare(
    config: Config,
    problem: Problem,
    records: Sequence[Record] = (),
    settings: ComparisonSettings | None = None,
) -> Comparison:
    """Run search methods at equal budget over several seeds; nothing is stored.

    Args:
        config: What is evaluated.
        problem: Space, objectives and constraints; each objective needs a reference.
        records: Evaluations that predictors can be fitted to.
        settings: What is compared.

    Returns:
        The curve of each method.

    Raises:
        BadInput: For an unknown method, an objective without a reference, or too few records to replay.
    """
    settings = settings or ComparisonSettings()
    if problem.reference() is None:
        todo = "give each objective one, to measure a hypervolume"
        raise BadInput("compare", "an objective has no reference", todo)
    with Study.open(
        None, problem.space, problem.objectives, problem.constraints, metrics=problem.metrics
    ) as study:
        context = StudyContext(study, config)
        race = _Race(problem, optimizer_options(context), settings)
        evaluator = context.evaluator
    race.check_methods()
    measure, how = _measure(race, evaluator, records)
    seeds = "1 seed" if settings.seeds == 1 else f"{settings.seeds} seeds"
    logger.info(f"{config.title}: {seeds} of {settings.budget} evaluations, {how}")
    return Comparison(config.title, race.curves(measure), settings.budget, how)


@dataclass(frozen=True)
class _Race:
    """The same question to every method."""

    problem: Problem
    options: OptimizerOptions
    settings: ComparisonSettings

    def check_methods(self) -> None:
        """Raises BadInput for a method that cannot start, before the first evaluation."""
        for name in self.settings.methods:
            start(name, Task(self.problem, 0, self.options))

    def curves(self, measure: Measure) -> tuple[MethodCurve, ...]:
        """Run every method with every seed.

        Args:
            measure: Evaluates a batch of designs.

        Returns:
            A curve for each method, in the order asked for.
        """
        volume = runner.natural(self.problem)
        runs = []
        for name in self.settings.methods:
            for seed in range(self.settings.seeds):
                run = self._run(name, seed, measure)
                runs.append(run)
                reached = runner.anytime(run, self.problem, volume, [self.settings.budget])[0]
                what = reached_in_words(run, self.problem, reached)
                logger.info(f"{name}, seed {seed}: hypervolume {reached:.6g}{what}")
        found = []
        for curve in method_curves(runs, self.problem, volume, self.settings.budget):
            if curve.method in COMPUTING_METHODS and self.options.analytic:
                curve = replace(curve, costs="computed")
            found.append(curve)
        return tuple(found)

    def _run(self, name: str, seed: int, measure: Measure) -> Run:
        method = start(name, Task(self.problem, seed, self.options))
        found = runner.race(method, measure, self.settings.budget, self.settings.batch)
        return Run(name, seed, *found)


def method_curves(
    runs: Sequence[Run], problem: Problem, volume: Volume, budget: int
) -> tuple[MethodCurve, ...]:
    """Make the curve of every method from its runs.

    Args:
        runs: Runs of all methods and seeds.
        problem: Says which designs are feasible.
        volume: From metrics of feasible designs to hypervolume.
        budget: Evaluations of a run.

    Returns:
        A curve a method, in the order in which they first appear; its overhead is the median over
        its runs, in CPU seconds an evaluation.
    """
    curves = []
    for band in runner.bands(runs, problem, volume, runner.checkpoints(budget)):
        own = [run for run in runs if run.method == band.method]
        curve = MethodCurve(
            band.method,
            tuple(run.seed for run in own),
            tuple(band.at.tolist()),
            tuple(band.median.tolist()),
            tuple(band.low.tolist()),
            tuple(band.high.tolist()),
            float(np.median([run.overhead_s for run in own])),
            tuple(len(run.feasible(problem)) for run in own),
        )
        curves.append(curve)
    return tuple(curves)


def reached_in_words(run: Run, problem: Problem, reached: float) -> str:
    """Say how much of a run counts, and why a hypervolume is 0.

    Args:
        run: One method, one seed.
        problem: Its constraints and references.
        reached: Hypervolume of the run.

    Returns:
        Words to append to the line of the run; none where every design is feasible and some beat
        the reference.
    """
    feasible, made = len(run.feasible(problem)), len(run.measured)
    failed = sum(measured is None for measured in run.measured)
    told = ""
    if failed:
        told += f"; {failed} of {made} failed"
    if feasible < made - failed:
        told += f"; {feasible} of {made} keep the constraints ({_bounds(problem)})"
    if reached == 0 and feasible:
        beaten = _references(problem)
        told += f"; none of these is better than the reference in every objective ({beaten})"
    return told


def _bounds(problem: Problem) -> str:
    return ", ".join(f"{c.metric} {c.relation} {c.bound:.4g}" for c in problem.constraints)


def _references(problem: Problem) -> str:
    return ", ".join(f"{o.name} {o.reference}" for o in problem.objectives)


def _measure(
    race: _Race, evaluator: StudyEvaluator, records: Sequence[Record]
) -> tuple[Measure, str]:
    """What evaluates a list of designs, and a line on what that is."""
    from cimbo.benchmarking.replay import LEAST_RECORDS, replay

    evaluate = race.settings.evaluate
    enough = sum(r.status == "done" for r in records) >= LEAST_RECORDS
    if evaluate == "replay" or (evaluate == "auto" and enough):
        measure = replay(race.problem, records, race.options.views, race.options.analytic)
        logger.warning(REPLAY_CAUTION)
        return measure, f"replayed by predictors of {len(records)} recorded evaluations"
    return _RealEvaluations(race.problem, evaluator, race.settings.jobs), "evaluated for real"


class _RealEvaluations:
    """The evaluator in worker processes; what a method asks for again, or another asks for too, is measured once."""

    def __init__(self, problem: Problem, evaluator: StudyEvaluator, jobs: int) -> None:
        self._space = problem.space
        self._evaluator = evaluator
        self._jobs = jobs
        self._known: dict[str, Measured] = {}

    def __call__(self, designs: list[Params]) -> Sequence[Measured]:
        wanted = [candidate(self._space, design) for design in designs]
        fresh = {}
        for c in wanted:
            if c.key not in self._known:
                fresh[c.key] = c
        for outcome in execution.run(list(fresh.values()), self._evaluator, n_jobs=self._jobs):
            self._keep(fresh[outcome.key], outcome)
        return [self._known[c.key] for c in wanted]

    def _keep(self, c: Candidate, outcome: execution.Outcome) -> None:
        """Remember what was measured of a design; None of one that failed."""
        measured: Mapping[str, float] | None = None
        if outcome.status == "done":
            measured = dict(outcome.metrics)
            # Another chip's accuracy need not be measured again.
            self._evaluator.remember(c.params, NotedMetrics(outcome.metrics, outcome.extra))
        self._known[c.key] = measured


def subject(file: str | Path, described: Config | None) -> tuple[Config, Problem, list[Record]]:
    """Find what methods are compared on.

    Args:
        file: A study's file. It is read where there is one and no description is given.
        described: A description; None for what ``file`` is about, or the default preset where there
            is no such file.

    Returns:
        The description, the problem, and the evaluations of the study, which are none where no file
        was read.

    Raises:
        BadInput: The file is no study.
    """
    from cimbo.config.study_config import DEFAULT_PRESET, preset
    from cimbo.session.opening import open_existing

    if described is not None or not Path(file).exists():
        config = described or preset(DEFAULT_PRESET)
        return config, config.problem, []
    with open_existing(file) as session:
        return session.config, session.study.problem, session.study.evaluations()
