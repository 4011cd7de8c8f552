"""Search methods at equal budget on the same problem."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cimbo import execution
from cimbo.benchmarking import COMPUTING_METHODS, QUICK_METHODS, check_names, runner, start
from cimbo.benchmarking.method import Measured, MethodFailure, Task
from cimbo.benchmarking.runner import Measure, Run
from cimbo.config.study_config import Config
from cimbo.errors import BadInput, check_known, check_positive
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.space import Params
from cimbo.session.context import StudyContext
from cimbo.session.method_curves import (
    Comparison,
    FailedMethod,
    MethodCurve,
    method_curves,
    reached_in_words,
)
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
        first_seed: The first of the seeds; the others follow it.
    """

    budget: int = DEFAULT_COMPARED_BUDGET
    seeds: int = DEFAULT_SEEDS
    methods: tuple[str, ...] = QUICK_METHODS
    batch: int = COMPARED_BATCH
    evaluate: str = "auto"
    jobs: int = 1
    first_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("budget", "seeds", "batch", "jobs"):
            check_positive(f"--{name}", getattr(self, name))
        check_known(self.evaluate, EVALUATION_MODES, "--evaluate", f"{self.evaluate!r} is unknown")
        if self.first_seed < 0:
            raise BadInput("--seed", f"is {self.first_seed}", "give 0 or more")
        if not self.methods:
            raise BadInput("--methods", "names none", "name one, such as cimbo")
        for name in self.methods:
            if self.methods.count(name) > 1:
                raise BadInput("--methods", f"names {name} more than once", "name a method once")

    @property
    def run_seeds(self) -> range:
        """The seeds of each method's runs."""
        return range(self.first_seed, self.first_seed + self.seeds)


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
    if config.tables.fidelity:
        logger.warning("the stages of [[fidelity]] are not used: every method measures in full")
    logger.info(f"{config.title}: {seeds} of {settings.budget} evaluations, {how}")
    runs, failed = runs_of_methods(settings, partial(race.run, measure=measure))
    return Comparison(config.title, race.curves(runs), settings.budget, how, failed)


@dataclass(frozen=True)
class _Race:
    """The same question to every method."""

    problem: Problem
    options: OptimizerOptions
    settings: ComparisonSettings

    def check_methods(self) -> None:
        """Raises BadInput for a method that is unknown or not installed, before the first evaluation."""
        check_names(self.settings.methods, Task(self.problem, 0, self.options))

    def curves(self, runs: Sequence[Run]) -> tuple[MethodCurve, ...]:
        """Make the curves of the methods from their runs.

        Args:
            runs: Runs of all methods and seeds.

        Returns:
            A curve for each method, in the order in which they first appear.
        """
        volume = runner.natural(self.problem)
        found = []
        for curve in method_curves(runs, self.problem, volume, self.settings.budget):
            if curve.method in COMPUTING_METHODS and self.options.analytic:
                curve = replace(curve, costs="computed")
            found.append(curve)
        return tuple(found)

    def run(self, name: str, seed: int, measure: Measure) -> Run:
        """Run a method with a seed, and say how far it came.

        Args:
            name: The method.
            seed: The seed.
            measure: Evaluates a batch of designs.

        Returns:
            The run.

        Raises:
            MethodFailure: The method raises.
        """
        method = start(name, Task(self.problem, seed, self.options))
        found = runner.race(method, measure, self.settings.budget, self.settings.batch)
        run = Run(name, seed, *found)
        volume = runner.natural(self.problem)
        reached = runner.anytime(run, self.problem, volume, [self.settings.budget])[0]
        what = reached_in_words(run, self.problem, reached, self.settings.budget)
        logger.info(f"{name}, seed {seed}: hypervolume {reached:.6g}{what}")
        return run


def runs_of_methods(
    settings: ComparisonSettings, run: Callable[[str, int], Run]
) -> tuple[list[Run], tuple[FailedMethod, ...]]:
    """Run every method with every seed; what one raises ends its own runs and no others.

    Args:
        settings: Names the methods and seeds.
        run: Runs the method of a name with a seed.

    Returns:
        The runs that came to their end, of a method that failed too; the methods that failed.
    """
    finished: list[Run] = []
    failed: list[FailedMethod] = []
    for name in settings.methods:
        seed = settings.first_seed
        try:
            for seed in settings.run_seeds:
                finished.append(run(name, seed))
        except MethodFailure as error:
            failed.append(FailedMethod(name, seed, str(error)))
            logger.warning(f"{name}, seed {seed} failed: {error}; the other methods go on")
    return finished, tuple(failed)


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
