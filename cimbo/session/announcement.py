"""What a search says before it starts: its size, what is computed and what is learned, and what to be wary of."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from cimbo.config.tables import FidelityTable
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import targets
from cimbo.problem.fidelity import partial_metrics
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.problem.space import Choice
from cimbo.session import blind_accuracy
from cimbo.session.context import StudyContext
from cimbo.study.continuation import was_stopped_in_a_stage
from cimbo.study.study import Study

SHOWN_GENES = 3  # that a warning names
LEAST_ROUNDED_COUNT = 10**6  # designs; of fewer every digit is told
INCOMPLETE_COUNTS = (
    "operators not known",
    "sizes that depend on data",
)  # words of warnings of a network's counts

logger = logging.getLogger("cimbo")


def _warn_of_unjudged_genes(context: StudyContext) -> None:
    """Warn that a network is searched of which costs alone are measured: the cheapest one wins."""
    tables = context.config.tables
    if tables.network is None or tables.evaluator is not None:
        return
    if context.config.accuracy != NO_ACCURACY:
        return
    free = _searched(context.study, context.study.problem.space.architecture)
    if free:
        logger.warning(
            f"no accuracy is measured, so the cheapest network wins: {len(free)} genes of "
            f"{tables.network.name} are searched ({', '.join(free[:SHOWN_GENES])}, ...); to search the "
            'chip alone write [network] subnetwork = "largest"'
        )


def announce(context: StudyContext, options: OptimizerOptions, budget: int) -> None:
    """Say what is searched, how far it is, what needs no model, and what to be wary of.

    Args:
        context: The study.
        options: What the search knows and may spend.
        budget: Evaluations in the study, in all.
    """
    study = context.study
    space = study.problem.space
    objectives = {objective.name for objective in study.problem.objectives}
    computed = [name for name in options.analytic if name in objectives]
    learned = [name for name in targets(study.problem) if name not in options.analytic]
    kept = "".join(f", {name} = {value}" for name, value in study.fixed.items())
    logger.info(
        f"{context.config.title}: {len(space.choices)} genes, {count_text(space.size)} designs, "
        f"seed {study.seed}{kept}, {len(study.evaluations())} of {budget} evaluations stored; "
        f"computed exactly: {', '.join(computed) or 'nothing'}; "
        f"learned: {', '.join(learned) or 'nothing'}"
    )
    if options.prefer:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in options.prefer.items())
        logger.info(f"searching where the front is preferred, by the weights {weights}")
    _tell_stages(context)
    _tell_searched_chip_genes(context)
    _warn_of_unjudged_genes(context)
    _warn_of_incomplete_counts(context)
    if _warn_of_blind_accuracy(context):
        return
    standing = context.accuracy_provenance
    if standing:
        logger.info(standing["label"])


def _tell_stages(context: StudyContext) -> None:
    """Say in which stages designs are measured, and what becomes of stopped ones where there are no stages any more."""
    stages = [_stage_in_words(table) for table in context.config.tables.fidelity]
    if stages:
        logger.info(
            f"measured in stages: {', then '.join(stages)}, then in full where it is worth it"
        )
        return
    stopped = [r for r in context.study.matching_fixed() if was_stopped_in_a_stage(r)]
    if stopped:
        partial = partial_metrics(stopped[0].metrics)[0]
        logger.warning(
            f"{len(stopped)} designs are measured in part only, as the study had stages ([[fidelity]]): "
            "those that may add to the front are measured in full now; to measure all of them anew: "
            f'cimbo withdraw --where "{partial}{FIDELITY_SUFFIX} < 1" --again'
        )


def _stage_in_words(table: FidelityTable) -> str:
    """One stage: its images, or its settings and their cost."""
    if table.images is not None:
        return f"{table.images} images"
    settings = ", ".join(f"{name} {value}" for name, value in table.set.items())
    return f"{settings} (cost {table.cost:g})"


def count_text(count: int) -> str:
    """Write a number of designs.

    Args:
        count: How many there are.

    Returns:
        All its digits, such as "12,960", where it is below a million; else two, such as "1.4e+12".
    """
    if count < LEAST_ROUNDED_COUNT:
        return f"{count:,}"
    return f"{Decimal(count):.1e}"


def _tell_searched_chip_genes(context: StudyContext) -> None:
    """Say which properties of a chip are searched where the study gives others: one may have been forgotten."""
    if not context.chip_properties:
        return
    free = _searched(context.study, context.study.problem.space.hardware)
    if free:
        logger.info(
            f"{len(context.chip_properties)} properties of the chip are given in [hardware.fixed]; "
            f"searched are {', '.join(free)}"
        )


def _searched(study: Study, genes: Iterable[Choice]) -> list[str]:
    """The names of the genes that a search may vary: of several values, and not kept fixed."""
    names = []
    for gene in genes:
        if len(gene.values) > 1 and gene.name not in study.fixed:
            names.append(gene.name)
    return names


def _warn_of_incomplete_counts(context: StudyContext) -> None:
    """Warn of what is not known of the network that is searched: every cost of the study lacks it."""
    tables = context.config.tables
    if tables.network is None or tables.evaluator is not None:
        return
    family = context.config.family
    for line in family.workload(family.largest()).warnings:
        if any(words in line for words in INCOMPLETE_COUNTS):
            logger.warning(
                f"{tables.network.name}: {line}; the costs of this study are off by that"
            )


def tell_of_full_start(
    context: StudyContext, warm_from: str | Path | None, stored: int, budget: int
) -> None:
    """Warn where evaluations that were taken over from another study use up the budget.

    Args:
        context: The study.
        warm_from: The other study; None where there is none.
        stored: Evaluations before any was taken over.
        budget: Evaluations in the study, in all.
    """
    now = len(context.study.evaluations())
    if warm_from is None or now == stored or now < budget:
        return
    logger.warning(
        f"the {now - stored} evaluations taken over from {warm_from} count, and the budget of "
        f"{budget} is spent: nothing is searched; give a larger one, such as --budget {now + budget}"
    )


def _warn_of_blind_accuracy(context: StudyContext) -> bool:
    """Warn that an accuracy is the same on every chip, where chips are searched that would change it; whether it is."""
    if not isinstance(context.evaluator, JointEvaluator):
        return False
    study = context.study
    told = blind_accuracy.warning(
        context.config.accuracy,
        study.problem.space.hardware,
        {**context.evaluator.fixed, **study.fixed},
        is_blind=context.evaluator.is_blind_to_chip(),
    )
    if told is not None:
        logger.warning(told)
    return told is not None
