"""``cimbo optimize`` and ``cimbo fit-predictors``: the two commands that evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Unpack

import click
import numpy as np

from cimbo import execution
from cimbo.cli.options import evaluation_options, evaluations, new_study_options, opened, positive
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.progress import Progress
from cimbo.cli.view import front_document, front_rows
from cimbo.cli.what_if import narrowed, what_if_options
from cimbo.config.study_config import Config
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import Inputs, View, logarithmic
from cimbo.session.warm_start import bundles, from_study, views
from cimbo.storage import Record
from cimbo.study.study import Study

FINALISTS = 5  # designs of the front that are verified in the arrays' exact form
CHEAP_S = 0.02  # a simulator slower than this gets a surrogate, unless asked otherwise


@click.command()
@click.option(
    "--budget",
    type=int,
    default=200,
    show_default=True,
    help="Verified evaluations in the study, in all.",
)
@click.option(
    "--predictors",
    "bundles",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of bundles to start from.",
)
@click.option(
    "--accuracy-budget",
    type=int,
    default=None,
    help="Accuracies to measure, in all; then new chips for measured networks, while they add to the front.",
)
@click.option(
    "--until-converged",
    "converged",
    type=float,
    is_flag=False,
    flag_value=1.0,
    default=None,
    metavar="[PERCENT]",
    help="Stop when 50 more evaluations are expected to add less than so much hypervolume [1].",
)
@click.option(
    "--async",
    "asynchronous",
    is_flag=True,
    help="No batches: a free worker gets a candidate at once, chosen knowing what the others evaluate.",
)
@click.option("--retry-failed", is_flag=True, help="First evaluate again what has failed.")
@click.option(
    "--warm-from", "other", metavar="OTHER.db", default=None, help="Another study to start from."
)
@click.option(
    "--cost-model",
    type=click.Choice(["auto", "surrogate", "exact"]),
    default="auto",
    show_default=True,
    help="Compute costs exactly while searching, or model them as a slow simulator must be.",
)
@click.option(
    "--exact",
    type=int,
    default=300,
    show_default=True,
    help="Verify five designs of the front with the arrays' errors in exact form, on so many test images; 0: none.",
)
@what_if_options
@evaluation_options
@new_study_options
@format_option
def optimize(*, budget: int, exact: int, style: str, **asked: Any) -> int:
    """Search, verify every candidate, print the verified front. The same command resumes."""
    positive("--budget", budget)
    if exact < 0:
        raise BadInput("--exact", f"{exact} is below 0", "give a number of test images, or 0")
    if asked["accuracy_budget"] is not None:
        positive("--accuracy-budget", asked["accuracy_budget"])
    if asked["converged"] is not None and not asked["converged"] > 0:
        raise BadInput(
            "--until-converged",
            f"{asked['converged']:g} is not above 0",
            "give a percentage, such as 1",
        )
    asked["priors"] = bundles(asked.pop("bundles"))
    with evaluations(asked) as (n_jobs, conditions), opened(asked) as (whole, config):
        study = narrowed(whole, asked["fixes"], asked["limits"])
        evaluator = config.evaluator()
        guidance = _guidance(study, config, evaluator, asked)
        search = config.data.get("search", {})
        say(_headline(study, config, guidance, budget))
        if config.accuracy_provenance()["kind"] != "measured":
            say(config.accuracy_provenance()["label"])
        try:
            with Progress(len(study.evaluations())) as progress:
                study.optimize(
                    evaluator,
                    budget,
                    int(search.get("batch", 6)),
                    n_jobs,
                    guidance=guidance,
                    listener=progress,
                    asynchronous=asked["asynchronous"],
                    retry_failed=asked["retry_failed"],
                    accept_changed=asked["accept_changed"],
                    **conditions,
                )
                test_front(study, evaluator, n_jobs=n_jobs, **conditions)
                exact_finalists(study, evaluator, exact, n_jobs=n_jobs, **conditions)
        except KeyboardInterrupt:
            return _interrupted(study)
        say(
            str(study.forecast() or "")
            or "no forecast: 20 proposed evaluations and a reference an objective are needed"
        )
        emit(style, front_rows(study), front_document(study))
        return _ended(study)


def _ended(study: Study) -> int:
    """The exit code: 1 when no evaluation succeeded; and where none is feasible, how far the nearest is."""
    if not any(r.status == "done" for r in study.evaluations()):
        return 1
    nearest = study.nearest_to_feasible()
    if nearest:
        say(nearest)
    return 0


def _interrupted(study: Study) -> int:
    kept, command = len(study.evaluations()), click.get_current_context().obj
    say(f"interrupted; all {kept} evaluations are in {study.path}; to go on: {command}")
    return 130


def _headline(study: Study, config: Config, guidance: OptimizerOptions, budget: int) -> str:
    space = study.problem.space
    exact = (
        ", ".join(m for m in guidance.analytic if m in {o.name for o in study.problem.objectives})
        or "nothing"
    )
    kept = "".join(f", {name} = {value}" for name, value in study.fixed.items())
    return (
        f"{config.title}: {len(space.choices)} genes, {Decimal(space.size):.1e} designs, seed {study.seed}{kept}, "
        f"{len(study.evaluations())} of {budget} evaluations stored; computed exactly: {exact}"
    )


def _guidance(
    study: Study, config: Config, evaluator: JointEvaluator, asked: dict[str, Any]
) -> OptimizerOptions:
    cheap = _cheap(study, evaluator, asked["cost_model"])
    priors = from_study(study, config, asked["other"], cheap) | asked["priors"]
    initial = int(config.data.get("search", {}).get("initial", 10))
    return OptimizerOptions(
        cheap,
        views=views(evaluator),
        kind=str(config.data.get("search", {}).get("surrogate", "auto")),
        priors=priors,
        initial=initial,
        accuracies=asked["accuracy_budget"],
        converged=asked["converged"] and asked["converged"] / 100,
    )


def plain_guidance(study: Study, config: Config, evaluator: JointEvaluator) -> OptimizerOptions:
    """How a study is searched when nothing special is asked for."""
    plain = dict.fromkeys(("other", "accuracy_budget", "converged"))
    return _guidance(study, config, evaluator, {"cost_model": "auto", "priors": {}, **plain})


def _cheap(study: Study, evaluator: JointEvaluator, cost_model: str) -> dict[str, Any]:
    exact = evaluator.exact()
    if cost_model == "exact" and not exact:
        raise BadInput(
            "--cost-model", "this simulator cannot be called in batches", "use auto or surrogate"
        )
    # The chip's area follows from its genes alone: it is never modelled.
    area = {k: v for k, v in exact.items() if k == "area_mm2"}
    if cost_model == "surrogate" or not exact:
        return area
    slow = (
        cost_model == "auto"
        and evaluator.seconds_a_design(study.problem.space.sobol(4, 0)) > CHEAP_S
    )
    return area if slow else exact


@dataclass(frozen=True)
class _OnTest:
    """Evaluates a design's accuracy on the test images."""

    evaluator: JointEvaluator

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"accuracy_test": self.evaluator.on_test(design)}


def test_front(
    study: Study,
    evaluator: JointEvaluator,
    n_jobs: int,
    **conditions: Unpack[execution.ExecutionOptions],
) -> None:
    """Measure the front on the test images, which the search never sees; kept in the study."""
    known = study.test_accuracies()
    missing = [r for r in study.pareto() if r.key not in known] if evaluator.has_test() else []
    found = _afterwards(
        "on the test images", missing, _OnTest(evaluator), n_jobs=n_jobs, **conditions
    )
    for key, metrics in found:
        study.record_test_accuracy(key, metrics["accuracy_test"])


@dataclass(frozen=True)
class _Exactly:
    """Evaluates what the exact form of the arrays' errors changes in a design's accuracy."""

    evaluator: JointEvaluator
    images: int

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"points": self.evaluator.exact_difference(design, self.images)}


def exact_finalists(
    study: Study,
    evaluator: JointEvaluator,
    images: int,
    n_jobs: int,
    **conditions: Unpack[execution.ExecutionOptions],
) -> None:
    """Verify FINALISTS designs, spread over the front, in the exact form of the arrays' errors; kept in the study."""
    if not images or not evaluator.has_test() or not evaluator.has_exact():
        return
    front, known = study.pareto(), study.bit_accurate_differences()
    spread = sorted({round(i) for i in np.linspace(0, len(front) - 1, FINALISTS)}) if front else []
    missing = [
        front[i] for i in spread if known.get(front[i].key, {"images": 0})["images"] < images
    ]
    how = f"in the arrays' exact form on {images} test images"
    for key, metrics in _afterwards(
        how, missing, _Exactly(evaluator, images), n_jobs=n_jobs, **conditions
    ):
        study.record_bit_accurate(key, metrics["points"], images)


def _afterwards(
    how: str,
    designs: list[Record],
    evaluate: Any,
    n_jobs: int,
    **conditions: Unpack[execution.ExecutionOptions],
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """What ``evaluate`` finds of designs of the front, by key; failures are said."""
    if not designs:
        return
    say(f"measuring {len(designs)} designs of the front {how}")
    for outcome in execution.run(designs, evaluate, n_jobs=n_jobs, **conditions):
        if outcome.status == "done":
            yield outcome.key, outcome.metrics
        else:
            say(f"{outcome.key} failed {how}: {outcome.reason}")


@click.command()
@click.option(
    "--samples", type=int, default=100, show_default=True, help="Sampled designs to fit on, in all."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bundles"),
    show_default=True,
    help="Folder for the bundles.",
)
@click.option(
    "--licence", default="", help="Terms under which the bundles may be used; kept in them."
)
@evaluation_options
@new_study_options
@format_option
def fit_predictors(*, samples: int, out: Path, licence: str, style: str, **asked: Any) -> int:
    """Sample the joint space, really evaluate, fit and judge surrogates, write bundles."""
    positive("--samples", samples)
    with evaluations(asked) as (n_jobs, conditions), opened(asked) as (study, config):
        evaluator = config.evaluator()
        area = _cheap(study, evaluator, "surrogate")
        guidance = OptimizerOptions(area, initial=samples)
        batch = (
            4 * n_jobs if n_jobs > 0 else samples
        )  # nothing is learned between them: as many as keep all busy
        try:
            with Progress(len(study.evaluations())) as progress:
                study.optimize(
                    evaluator,
                    samples,
                    batch,
                    n_jobs,
                    guidance=guidance,
                    listener=progress,
                    accept_changed=asked["accept_changed"],
                    **conditions,
                )
        except KeyboardInterrupt:
            return _interrupted(study)
        reports, files = _fit(study, evaluator, out, licence)
    document = {
        "objectives": {
            m: r[r["kind"]] | {"kind": r["kind"], "kinds": _kinds(r)} for m, r in reports.items()
        },
        "bundles": files,
    }
    document |= (
        {"accuracy": config.accuracy_provenance()}
        if config.accuracy_provenance()["kind"] != "measured"
        else {}
    )
    rows = [
        {"objective": m, "kind": k, "chosen": "*" if k == r["kind"] else ""} | s
        for m, r in reports.items()
        for k, s in _kinds(r).items()
    ]
    emit(style, [{k: v for k, v in row.items() if k != "next_step"} for row in rows], document)
    for m, r in reports.items():
        say(f"{m}: {r[r['kind']]['verdict']}; {r[r['kind']]['next_step']}")
    say(f"bundles: {', '.join(files)}; which knobs matter: {out / 'knobs.svg'}")
    return 0


def _kinds(report: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in report.items() if k != "kind"}


def _fit(
    study: Study, evaluator: JointEvaluator, out: Path, licence: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Cross-validated scores of every kind for every objective, and the files of the fitted bundles; draws knobs.svg."""
    import predictors

    records = [r for r in study.evaluations() if r.status == "done"]
    if len(records) < 10:
        raise BadInput(
            "--samples", f"only {len(records)} evaluations succeeded", "give at least 10"
        )
    space, known = study.problem.space, views(evaluator)
    inputs = Inputs(space, space.rows([r.params for r in records]))
    out.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, predictors.Model] = {}
    reports, files = {}, []
    for objective in study.problem.objectives:
        y = np.array([r.metrics[objective.name] for r in records])
        view = known.get(objective.name, View())
        table = inputs.table(view)
        schema = view.schema(space, objective.name, log=logarithmic(y, objective.goal))
        kinds = ["xgboost", "gp", "hybrid", *(["posynomial"] if schema.log else [])]
        scores = predictors.validate(table, y, kinds=kinds, schema=schema, seed=study.seed)
        best = min(scores, key=lambda k: scores[k].rmse)
        reports[objective.name] = {"kind": best} | {k: _scores(s) for k, s in scores.items()}
        for kind in scores:
            model = predictors.fit(table, y, schema, kind, seed=study.seed)
            for name in [f"{objective.name}.{kind}", *([objective.name] if kind == best else [])]:
                path = out / f"{name}.cimpred"
                predictors.save(model, path, licence=licence)
                files.append(str(path))
            chosen |= {objective.name: model} if kind == best else {}
    predictors.picture(chosen, out / "knobs.svg")
    return reports, files


def _scores(report: Any) -> dict[str, Any]:
    names = ("n", "rmse", "mape", "r2", "kendall_tau", "coverage_90", "verdict", "next_step")
    return {name: getattr(report, name) for name in names}
