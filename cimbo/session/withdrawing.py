"""Withdraw evaluations that are known to be wrong, and let their designs be measured anew."""

from __future__ import annotations

from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.study import withdrawal
from cimbo.study.asked import AskedDesigns
from cimbo.study.provenance import TOLD_PART, fingerprints, reference
from cimbo.study.withdrawal import Selection


def withdraw(
    context: StudyContext, selection: Selection, *, reason: str = "", again: bool = False
) -> list[Record]:
    """Withdraw evaluations that are known to be wrong: they count no more, and their values are kept.

    Front, surrogates and budget are then those of the other evaluations.

    Args:
        context: The study, open for writing.
        selection: Which evaluations.
        reason: Why, in words; it is kept.
        again: Whether their designs are measured anew, before any other: by the next search, or,
            where their values were told, by whoever asks next.

    Returns:
        What was withdrawn, in the order of evaluation.

    Raises:
        BadInput: ``selection`` names nothing or what does not exist, somebody is evaluating, or the
            study cannot be written.
    """
    study = context.study
    found = selection.of(study.evaluations())
    if not found:
        return found
    known = fingerprints(study.store)
    told = []
    evaluated = []
    for record in found:
        source = reference(record, known)
        is_told = TOLD_PART in known.get(str(source), {}) or record.origin == "told"
        # Of what names no source, whoever comes first measures it: a search, or who asks
        if is_told or source is None:
            told.append(record)
        if not is_told:
            evaluated.append(record)
    withdrawal.withdraw(study.store, found, reason)
    asked = AskedDesigns(study)
    asked.forget(found)
    if again:
        asked.ask_again(told)
    study.evaluate_again(evaluated if again else [])
    context.__dict__.pop("evaluator", None)  # it remembers the accuracies that were withdrawn
    return found
