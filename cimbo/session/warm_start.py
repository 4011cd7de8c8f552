"""Where a search starts from: bundles of older predictors, or another study."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cimbo.config.study_config import Config, from_definition
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.simulated_costs import COST_METRICS
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.io.importers import Row, tell
from cimbo.optimizer.derived_metrics import with_views_of_parts
from cimbo.optimizer.surrogates import View, targets
from cimbo.problem.space import Params, SearchSpace
from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.study.provenance import measured_alike
from cimbo.study.study import Study

logger = logging.getLogger("cimbo")


def bundles(folder: str | Path | None) -> dict[str, Any]:
    """Load the predictors of a folder.

    Only bundles whose file names have no further dot are read, such as latency_ms.cimpred: the best
    of each metric.

    Args:
        folder: The folder that ``cimbo fit-predictors`` wrote; None for no predictors.

    Returns:
        Models by the metric that they predict.

    Raises:
        BadInput: The folder holds no bundles.
        PredictorError: A bundle cannot be read.
    """
    if folder is None:
        return {}
    models = _models_in(Path(folder))
    if not models:
        todo = "name a folder that cimbo fit-predictors wrote"
        raise BadInput(folder, "holds no bundles (*.cimpred)", todo)
    return models


def _models_in(folder: Path) -> dict[str, Any]:
    """The best model of each metric, by the metric."""
    import predictors

    models = {}
    for file in sorted(folder.glob("*.cimpred")):
        if "." not in file.stem:
            model = predictors.load(file)
            models[model.schema.target] = model
    return models


def bundles_told(
    priors: Mapping[str, Any], wanted: Sequence[str], computed: Container[str]
) -> list[str]:
    """Say of each bundle whether the search uses it, and how far it was found to be trusted.

    Args:
        priors: Models by the metric that they predict.
        wanted: The metrics that the study seeks.
        computed: Those of them that are computed, so that they need no predictor.

    Returns:
        A line for each bundle.
    """
    lines = []
    for metric, model in priors.items():
        what = f"bundle of {metric}"
        if metric not in wanted:
            lines.append(f"{what}: not used, the study does not seek it")
        elif metric in computed:
            lines.append(f"{what}: not used, {metric} is computed exactly")
        else:
            lines.append(f"{what}: used as a first guess ({model.kind}{_trust(model)})")
    return lines


def _trust(model: Any) -> str:
    """On how much a model was fitted, and how far it was off; nothing where it does not say."""
    rows = model.metadata.get("rows")
    error = model.metadata.get("error")
    if error is None or rows is None:
        return ""
    unit = " in log units" if model.schema.log else ""
    return f", fitted on {rows} evaluations, the fit's own held-out error {error:.3g}{unit}"


def views(evaluator: StudyEvaluator) -> dict[str, View]:
    """Say what each metric depends on, and which derived features help to learn it.

    Args:
        evaluator: A study's evaluator.

    Returns:
        Views by metric; empty where nothing is known.
    """
    if not isinstance(evaluator, JointEvaluator):
        return {}
    quality = View(evaluator.accuracy_genes(), evaluator.sizes)
    found = dict.fromkeys(evaluator.quality_metrics, quality)
    costs = View(features=evaluator.features)
    if evaluator.role_features is not None:
        costs = View(features=evaluator.role_features, plain=costs)
    for metric in COST_METRICS:
        found[metric] = costs
    return found


def known_views(context: StudyContext) -> dict[str, View]:
    """Collect `views` of a study's evaluator, and those that its description adds.

    The description says what the expensive metric depends on. Derived metrics take over the
    features of what they follow from.

    Args:
        context: The study.

    Returns:
        Views by metric.

    Raises:
        BadInput: The expensive metric is one that the study does not seek, or depends on a gene
            that it does not have.
    """
    expensive = context.config.tables.expensive
    problem = context.study.problem
    found = with_views_of_parts(problem, views(context.evaluator))
    if expensive is None:
        return found
    genes = expensive.genes
    if genes is None:
        if expensive.metric in found or not problem.space.architecture:
            return found
        genes = [choice.name for choice in problem.space.architecture]
    known = found.get(expensive.metric, View())
    return found | {expensive.metric: replace(known, genes=frozenset(genes))}


def from_study(
    study: Study, config: Config, file: str | Path | None, cheap: Container[str] = ()
) -> dict[str, Any]:
    """Start a study from another one.

    What the same evaluator measured, in the same version, of designs that the new space holds too is told to it. Where
    that is not all that succeeded, priors are learned from what succeeded.

    Args:
        study: The study that starts; evaluations are written to it.
        config: What it is about.
        file: The study to start from; None for none.
        cheap: Metrics that need no prior.

    Returns:
        Predictors by metric, to be used as mean functions.

    Raises:
        BadInput: ``file`` is no study, or one that does not say what it evaluates.
    """
    if file is None:
        return {}
    from cimbo.optimizer import transfer

    with Study.open(file, readonly=True) as other:
        old = from_definition(str(file), other.metadata)
        records = other.evaluations()
        space = other.problem.space
        alike = measured_alike(other.store, records, config.evaluator())
    wanted = targets(study.problem)
    alike = _complete(transfer.fitting(study.problem.space, alike), wanted)
    tell(study, [Row(record.params, record.metrics) for record in alike])
    others = _complete(records, ())
    learned = []
    if len(alike) < len(others):
        learned = [metric for metric in wanted if metric not in cheap]
    known = views(old.evaluator())
    needed = {metric: known.get(metric, View()) for metric in learned}
    priors = transfer.priors(study.problem.space, space, others, needed, seed=study.seed)
    told = f"{file}: took over {len(alike)} of {len(records)} evaluations"
    if priors:
        told += f"; learned {', '.join(priors)} from {len(others)}"
    logger.info(told)
    return priors


def designs_of(file: str | Path | None, space: SearchSpace) -> list[Params]:
    """List the designs that another study has measured, as far as a space holds them.

    Args:
        file: The other study; None for none.
        space: The space.

    Returns:
        Designs of the space.
    """
    if file is None:
        return []
    from cimbo.optimizer import transfer

    with Study.open(file, readonly=True) as other:
        return [record.params for record in transfer.fitting(space, other.evaluations())]


def _complete(records: Iterable[Record], metrics: Sequence[str]) -> list[Record]:
    """The successful ones that measured all of these metrics."""
    found = []
    for record in records:
        if record.status == "done" and all(metric in record.metrics for metric in metrics):
            found.append(record)
    return found
