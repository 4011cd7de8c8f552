"""A study to read: one HTML file, or a figure for a paper."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from cimbo.analysis.chip_view import ChipView, chip_view
from cimbo.analysis.gene_importance import GeneImportance, importances
from cimbo.analysis.surrogate_views import SurrogateViews, views
from cimbo.config.provenance import cost_label
from cimbo.errors import BadInput, check_known
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Candidate
from cimbo.problem.preferences import knees
from cimbo.session.context import StudyContext
from cimbo.session.error_bars import of_designs
from cimbo.session.optimize import optimizer_options
from cimbo.session.stopped_designs import stopped_designs
from cimbo.session.text import check_writable, genes_text, write_text
from cimbo.session.unvalidated import unvalidated_told
from cimbo.storage import Record

DEFAULT_NEXT = 6  # designs a report shows that the search would verify next
MOST_DETAILED = 150  # designs of the front whose layers and error bars a report holds
MOST_SURROUNDED = 5  # designs around which surrogates are asked
MOST_PAIRED = 5  # genes of which every pair is looked at
FIGURE_FORMATS = (".pdf", ".png", ".svg")
FIGURE_NAMES = ("front", "hypervolume", "calibration")

logger = logging.getLogger("cimbo")


def report(
    context: StudyContext,
    path: str | Path = "report.html",
    *,
    baselines: Sequence[str | Path] = (),
    following: int = DEFAULT_NEXT,
    lite: bool = False,
) -> Path:
    """Write a study as one HTML file that needs no network.

    Args:
        context: The study.
        path: The file to write.
        baselines: Other studies of the same problem, such as a random search.
        following: Also show so many designs that the search would verify next, as predicted.
        lite: Leave out the layers of each design, what surrogates say around designs, and predictions of what was measured
            since.

    Returns:
        The file.

    Raises:
        BadInput: When the file cannot be written, or a baseline is a study of something else.
    """
    from cimbo import report as pages

    path = Path(path)
    check_writable(path)
    predicted = next_designs(context, following)
    front = context.study.pareto()
    shown: list[Record | Candidate] = [*_evenly(front), *predicted]
    effects = importances(context.study.problem, context.study.evaluations())
    text = pages.html(
        context.study,
        title=context.title,
        about=_provenance(context),
        baselines=hypervolume_curves(context, baselines),
        chips={} if lite else _chips(context, shown),
        importances=effects,
        around=None if lite else _around(context, front, _paired(effects)),
        error_bars=of_designs(context, _evenly(front)),
        predicted=predicted,
        lite=lite,
    )
    write_text(path, text)
    return path


def plot(
    context: StudyContext,
    path: str | Path = "front.pdf",
    *,
    what: str = "front",
    baselines: Sequence[str | Path] = (),
    following: int = 0,
    x: str | None = None,
    y: str | None = None,
) -> Path:
    """Write a figure for a paper.

    Args:
        context: The study.
        path: The file to write; its ending says the format: pdf, png or svg.
        what: "front", "hypervolume" or "calibration" (predicted against verified).
        baselines: Other studies of the same problem.
        following: Also show so many designs that the search would verify next.
        x: The metric across, in a front; by default the second objective.
        y: The metric upwards, in a front; by default the first objective.

    Returns:
        The file.

    Raises:
        BadInput: For another format or figure, for a metric that is not measured, and where matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix not in FIGURE_FORMATS:
        raise BadInput(path, "is no format of a figure", "end it in .pdf, .png or .svg")
    check_known(what, FIGURE_NAMES, "what", f"{what!r} is no figure")
    if what != "front" and (x or y):
        raise BadInput("--x and --y", f"are of a front, not of {what}", "leave them out")
    from cimbo.report import facts, figures

    figures.available()
    check_writable(path)
    curves = hypervolume_curves(context, baselines)
    predicted = next_designs(context, following)
    known = facts.gather(context.study, baselines=curves, predicted=predicted)
    figures.write(path, what, known, figures.FrontAxes(x, y))
    return path


def hypervolume_curves(
    context: StudyContext, files: Sequence[str | Path]
) -> dict[str, Sequence[float]]:
    """Compute how the hypervolume of other studies grew.

    Args:
        context: The study that they are compared with.
        files: Files of studies of the same problem.

    Returns:
        Hypervolume after each evaluation, by file name without its ending.

    Raises:
        BadInput: A file does not exist, is no study, or is a study of another problem.
    """
    from cimbo.report import facts
    from cimbo.session.opening import open_existing

    found: dict[str, Sequence[float]] = {}
    for file in files:
        with open_existing(file) as other:
            if other.study.problem != context.study.problem:
                todo = "compare studies of one space and objectives"
                raise BadInput(file, "is a study of another problem", todo)
            found[Path(file).stem] = facts.volumes(facts.gather(other.study))
    return found


def next_designs(context: StudyContext, n: int) -> list[Candidate]:
    """Ask which designs the search would verify next.

    Args:
        context: The study.
        n: How many; 0 for none.

    Returns:
        The designs with what is predicted of them; those without a prediction are left out. None
        while nothing has succeeded, and where the study's evaluator cannot be set up here.

    Raises:
        BadInput: ``n`` is below 0.
    """
    study = context.study
    if n < 0:
        raise BadInput("--next", f"cannot show {n} designs", "give 0 or more")
    if n == 0 or not any(r.status == "done" for r in study.evaluations()):
        return []
    logger.info(f"asking the search for its next {n} designs (--next 0 leaves them out)")
    options = None
    if _is_evaluable(context):
        try:
            options = optimizer_options(context)
        except BadInput as error:
            # What it evaluated with may be on another machine; all that is measured can be shown still.
            logger.warning(f"no next designs: {error}")
            return []
    return [c for c in study.ask(n, guidance=options) if c.predicted]


def _is_evaluable(context: StudyContext) -> bool:
    """Whether the study says what it evaluates; one made in Python has genes that may mean anything."""
    try:
        _ = context.evaluator
    except BadInput:
        return False
    return True


def _evenly(front: Sequence[Record]) -> list[Record]:
    """At most MOST_DETAILED designs of a front, evenly along it; their layers are simulated again."""
    if len(front) <= MOST_DETAILED:
        return list(front)
    step = (len(front) - 1) / (MOST_DETAILED - 1)
    return [front[round(i * step)] for i in range(MOST_DETAILED)]


def _chips(context: StudyContext, designs: Sequence[Record | Candidate]) -> dict[str, ChipView]:
    """Each design on its chip, by key; none for a study that is not of cimbo's networks and chip model."""
    if not _is_evaluable(context) or context.evaluator.simulator != "cimbo":
        return {}
    chips = {}
    for design in designs:
        chips[design.key] = chip_view(*context.evaluator.placed(design.params))
    return chips


def _around(
    context: StudyContext, front: Sequence[Record], paired: Sequence[str]
) -> SurrogateViews | None:
    """What the search's surrogates say around the knees of the front and the best design of each objective."""
    study = context.study
    if not front:
        return None
    options = _known_options(context)
    surrogates = study.surrogates(options)
    if not surrogates:
        return None
    chosen = []
    for i in knees(study.problem, [r.metrics for r in front]):
        chosen.append(front[i])
    for o in study.problem.objectives:
        scores = [o.sign * r.metrics[o.name] for r in front]
        chosen.append(front[scores.index(max(scores))])
    designs = list({r.key: r.params for r in chosen}.values())[:MOST_SURROUNDED]
    return views(study.problem.space, surrogates, designs, paired)


def _paired(importances: Sequence[GeneImportance]) -> list[str]:
    """The genes that move objectives most, each objective's in turn."""
    found = [[i.names[k] for k in i.order] for i in importances]
    turns: list[str] = []
    for genes in zip(*found, strict=True):
        turns.extend(genes)
    return list(dict.fromkeys(turns))[:MOST_PAIRED]


def _known_options(context: StudyContext) -> OptimizerOptions:
    """What the optimizer knows of a study; nothing where its evaluator is elsewhere."""
    if not _is_evaluable(context):
        return OptimizerOptions()
    try:
        return optimizer_options(context)
    except BadInput:
        return OptimizerOptions()


def _provenance(context: StudyContext) -> dict[str, str]:
    """What accuracies and costs are, the command that started the study, and the versions."""
    about = {}
    if context.has_description:
        standing = context.accuracy_provenance or context.config.accuracy_provenance()
        about["accuracy"] = str(standing["label"])
        about["costs"] = cost_label(context.config.tables)
    if context.chip_properties:
        about["every chip"] = genes_text(context.chip_properties)
    told = unvalidated_told(context, context.study.pareto())
    if told is not None:
        about["chip model"] = told.removeprefix("note: ")
    stopped = stopped_designs(context.study).told()
    if stopped is not None:
        about["measured in part"] = stopped
    command = context.metadata.get("command")
    if command:
        about["command"] = str(command)
    versions = context.metadata.get("versions", {})
    about["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    return about
