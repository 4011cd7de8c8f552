"""Predictors of a study: fitted from evaluations, judged by cross-validation, written as bundles."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, EvaluationsFailed
from cimbo.optimizer.modelled_units import logarithmic
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import Inputs, View
from cimbo.optimizer.threads import one_thread
from cimbo.plots.importances import heat_map
from cimbo.problem.objectives import Objective
from cimbo.session.context import StudyContext
from cimbo.session.optimize import analytic_costs
from cimbo.session.text import write_text
from cimbo.session.warm_start import views
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events

if TYPE_CHECKING:
    from predictors import Model, Schema

DEFAULT_SAMPLES = 100
LEAST_SAMPLES = 10  # cross-validation of fewer says nothing
MOST_BATCHES = 25  # drawing a batch costs about as much for many samples as for few
ROUNDS_A_BATCH = 4  # nothing is learned between samples: as many as keep all workers busy
JUDGING_FOLDS = 5
# A fit that is judged sees 500 rows at most, which two of three folds of so many rows hold too.
MANY_ROWS, FOLDS_OF_MANY_ROWS = 1500, 3
USUAL_KINDS = ("xgboost", "gp", "hybrid")

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Scores:
    """Cross-validated scores of one predictor; ``rmse`` in the metric's unit, the others relative.

    Attributes:
        n: Evaluations it was judged on.
        error: Root mean square error on the scale that is modelled, by which kinds are compared.
        scale: That scale: "log", or "linear".
        rmse: Root mean square error.
        mape: Mean absolute error in percent.
        r2: Coefficient of determination.
        kendall_tau: Rank correlation.
        coverage_90: Share of values inside the predicted 90 % interval.
        verdict: The scores in a word.
        next_step: What to do about them.
        curve: Kendall's tau by the number of evaluations that were fitted.
    """

    n: int
    error: float
    scale: str
    rmse: float
    mape: float
    r2: float
    kendall_tau: float
    coverage_90: float
    verdict: str
    next_step: str
    curve: tuple[tuple[int, float], ...] = ()

    @staticmethod
    def of(report: Any) -> Scores:
        """Take over what ``predictors.validate`` says.

        Args:
            report: A ``predictors.Report``.

        Returns:
            The scores.
        """
        names = Scores.__dataclass_fields__.keys() - {"scale"}
        known = {name: getattr(report, name) for name in names}
        scale = "log" if report.log else "linear"
        return Scores(**known, scale=scale)

    def to_json(self) -> dict[str, Any]:
        """The scores by name."""
        return asdict(self) | {"curve": [list(point) for point in self.curve]}


@dataclass(frozen=True)
class ObjectivePredictors:
    """The predictors of one objective.

    Attributes:
        kind: The chosen kind: of the best verdict, with the least error on the scale that is modelled.
        kinds: Scores of every kind.
    """

    kind: str
    kinds: Mapping[str, Scores]

    @property
    def best(self) -> Scores:
        """Scores of the chosen kind."""
        return self.kinds[self.kind]

    def reason(self) -> str:
        """Say in a line why the kind was chosen."""
        best = self.best
        told = f"{self.kind}: {best.verdict}, cross-validated error {best.error:.3g}"
        if best.scale == "log":
            told += " in log units"
        others = self._others()
        if others:
            return f"{told}; against {', '.join(others)}"
        return told

    def _others(self) -> list[str]:
        """Verdicts and errors of the kinds that were not chosen."""
        others = []
        for name, scores in self.kinds.items():
            if name != self.kind:
                others.append(f"{name} {scores.verdict} {scores.error:.3g}")
        return others

    def learning(self) -> str:
        """Say in a line how Kendall's tau grew with the evaluations."""
        return ", ".join(f"{tau:.2f} of {n}" for n, tau in self.best.curve)

    def to_json(self) -> dict[str, Any]:
        """The best scores, and those of every kind."""
        kinds = {name: scores.to_json() for name, scores in self.kinds.items()}
        return {**self.best.to_json(), "kind": self.kind, "kinds": kinds}


@dataclass(frozen=True)
class FittedPredictors:
    """What was fitted.

    Attributes:
        objectives: Predictors by objective.
        bundles: The files that were written.
        picture: The drawing of which genes matter.
        accuracy: What the accuracies are worth where they are not measured; else empty.
    """

    objectives: Mapping[str, ObjectivePredictors]
    bundles: tuple[str, ...]
    picture: Path
    accuracy: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo fit-predictors --format json``."""
        objectives = {name: each.to_json() for name, each in self.objectives.items()}
        document: dict[str, Any] = {"objectives": objectives, "bundles": list(self.bundles)}
        if self.accuracy:
            document["accuracy"] = dict(self.accuracy)
        return document


def fit_predictors(
    context: StudyContext,
    samples: int = DEFAULT_SAMPLES,
    *,
    out: str | Path = "bundles",
    licence: str = "",
    accept_changed: bool = False,
    workers: Workers | None = None,
    listener: events.Listener = events.ignore,
) -> FittedPredictors:
    """Bring the study to ``samples`` evaluations, fit every kind of predictor for every objective, write bundles.

    Args:
        context: The study; the samples are stored in it.
        samples: Evaluations to fit on, in all.
        out: Folder for the bundles.
        licence: Terms under which the bundles may be used; kept in them.
        accept_changed: Go on although what evaluates is not what it was.
        workers: Where evaluations run.
        listener: Told of every evaluation.

    Returns:
        Scores and verdict by objective, and the bundles that were written.

    Raises:
        BadInput: When fewer than 10 evaluations succeeded.
    """
    workers = workers or Workers()
    batch = samples
    if workers.n_jobs > 0:
        batch = max(ROUNDS_A_BATCH * workers.n_jobs, math.ceil(samples / MOST_BATCHES))
    area = analytic_costs(context.evaluator, "surrogate")
    with workers.connected(), suppress(EvaluationsFailed):  # too few succeeded, as is said below
        context.study.optimize(
            context.evaluator,
            samples,
            batch,
            workers.n_jobs,
            guidance=OptimizerOptions(area, initial=samples),
            listener=listener,
            accept_changed=accept_changed,
            **workers.conditions,
        )
    return _fitted(context, Path(out), licence, listener)


def _fitted(
    context: StudyContext, out: Path, licence: str, listener: events.Listener
) -> FittedPredictors:
    """Predictors of every objective, fitted to what the study holds."""
    fitting = _Fitting.of(context, out, licence, listener)
    objectives = {}
    with one_thread():  # so that the seed decides what is fitted
        for objective in (*context.study.problem.objectives, *_constrained(fitting)):
            objectives[objective.name] = fitting.fit(objective)
    picture = fitting.draw()
    return FittedPredictors(objectives, tuple(fitting.files), picture, context.accuracy_provenance)


def _constrained(fitting: _Fitting) -> list[Objective]:
    """Metrics that a constraint bounds, that are measured, and that are no objectives: a search learns them too."""
    context = fitting.context
    known = {objective.name for objective in context.study.problem.objectives}
    known |= context.evaluator.analytic_costs().keys()
    found = []
    for c in context.study.problem.constraints:
        is_measured = all(c.metric in record.metrics for record in fitting.records)
        if c.metric not in known and is_measured:
            found.append(Objective(c.metric, "max" if c.relation == ">=" else "min"))
            known.add(c.metric)
    return found


@dataclass(frozen=True)
class _Fitting:
    """What the predictors of all objectives share: evaluations, derived features, and where bundles go."""

    context: StudyContext
    records: list[Record]
    inputs: Inputs
    known: Mapping[str, View]
    out: Path
    licence: str
    listener: events.Listener
    files: list[str] = field(default_factory=list)
    chosen: dict[str, Model] = field(default_factory=dict)

    @staticmethod
    def of(context: StudyContext, out: Path, licence: str, listener: events.Listener) -> _Fitting:
        """Prepare a study's evaluations for fitting, and create the folder of the bundles.

        Args:
            context: The study.
            out: Folder for the bundles.
            licence: Terms under which the bundles may be used.
            listener: Told of every part of the judging that is done.

        Returns:
            What the predictors of all objectives share.

        Raises:
            BadInput: Fewer than LEAST_SAMPLES evaluations succeeded.
        """
        records = [r for r in context.study.evaluations() if r.status == "done"]
        if len(records) < LEAST_SAMPLES:
            what = f"only {len(records)} evaluations succeeded"
            raise BadInput("--samples", what, f"give at least {LEAST_SAMPLES}")
        space = context.study.problem.space
        inputs = Inputs(space, space.rows([r.params for r in records]))
        out.mkdir(parents=True, exist_ok=True)
        return _Fitting(context, records, inputs, views(context.evaluator), out, licence, listener)

    def fit(self, objective: Objective) -> ObjectivePredictors:
        """Judge every kind of predictor of one objective, and write a bundle of each.

        The best is written once more under the objective's own name.

        Args:
            objective: The objective.

        Returns:
            The chosen kind, and the scores of each.
        """
        import predictors
        from predictors.fitting import fit_kinds

        seed = self.context.study.seed
        y = np.array([record.metrics[objective.name] for record in self.records])
        view = self.known.get(objective.name, View())
        table = self.inputs.table(view)
        schema = self._schema(objective, view, y)
        kinds = list(USUAL_KINDS)
        if schema.log:
            kinds.append("posynomial")
        logger.info(f"{objective.name}: judging {', '.join(kinds)} on {len(y)} evaluations")
        progress = self._judging(objective)
        folds = JUDGING_FOLDS if len(y) < MANY_ROWS else FOLDS_OF_MANY_ROWS
        reports = predictors.validate(table, y, kinds, schema, folds, seed, progress=progress)
        best = predictors.choose(reports)
        for kind, model in fit_kinds(table, y, schema, kinds, seed=seed).items():
            self._save(model, f"{objective.name}.{kind}")
            if kind == best:
                self._save(model, objective.name)
                self.chosen[objective.name] = model
        scores = {kind: Scores.of(report) for kind, report in reports.items()}
        return ObjectivePredictors(best, scores)

    def _schema(self, objective: Objective, view: View, y: NDArray[np.float64]) -> Schema:
        """What the predictors of an objective are told of their features, and whether they model its logarithm."""
        log = logarithmic(y, objective.goal)
        return view.schema(self.context.study.problem.space, objective.name, log=log)

    def _judging(self, objective: Objective) -> Callable[[int, int], None]:
        """What tells the listener how many parts of the judging are done."""
        what = f"parts of judging the predictors of {objective.name}"

        def progress(count: int, total: int) -> None:
            """Tell of one more part."""
            self.listener(events.Step(what, count, total))

        progress(0, 1)
        return progress

    def draw(self) -> Path:
        """Draw which genes matter to the chosen predictors."""
        import predictors

        shares = {}
        for metric, model in self.chosen.items():
            shares[metric] = next(iter(predictors.importances(model).values()))
        picture = self.out / "knobs.svg"
        write_text(picture, heat_map(shares))
        return picture

    def _save(self, model: Model, name: str) -> None:
        import predictors

        path = self.out / f"{name}.cimpred"
        predictors.save(model, path, licence=self.licence)
        self.files.append(str(path))
