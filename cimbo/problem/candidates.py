"""Designs that are to be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cimbo.problem.space import Params, Rows, SearchSpace, canonical_key


@dataclass(frozen=True)
class Candidate:
    """A design to evaluate.

    Attributes:
        params: Gene to value, of every active gene.
        architecture: Genes of the network.
        hardware: Genes of the chip.
        key: Identifies the design: equal designs have equal keys.
        origin: What chose it, such as "sobol" or "proposed".
        predicted: Metric to mean and standard deviation that a surrogate expects; None where no surrogate chose it.

    Examples:
        >>> from cimbo import Choice, Objective, SearchSpace, Study
        >>> space = SearchSpace([Choice("depth", [2, 4])], [Choice("rows", [64, 128])])
        >>> study = Study.open(None, space, Objective("latency_ms", "min"))
        >>> candidate = study.ask(1)[0]
        >>> sorted(candidate.params), sorted(candidate.hardware), candidate.origin
        (['depth', 'rows'], ['rows'], 'sobol')
    """

    params: Params
    architecture: Params
    hardware: Params
    key: str
    origin: str = "asked"
    predicted: Mapping[str, tuple[float, float]] | None = None


def candidate(space: SearchSpace, params: Mapping[str, Any], **about: Any) -> Candidate:
    """Makes the candidate of a design.

    Args:
        space: The space that the design belongs to.
        params: Gene to value; inactive genes are left out of the candidate.
        **about: Further fields of `Candidate`, such as ``origin``.

    Returns:
        The candidate, in its canonical form.

    Raises:
        BadInput: For an unknown gene, a missing active gene or a wrong value.
    """
    return _candidate(space, space.canonical(params), **about)


def candidate_of_row(space: SearchSpace, row: Rows, **about: Any) -> Candidate:
    """Makes the candidate of a row.

    Args:
        space: The space that the row belongs to.
        row: (d,) canonical row.
        **about: Further fields of `Candidate`, such as ``origin``.

    Returns:
        The candidate, in its canonical form.
    """
    return _candidate(space, space.designs(row[None])[0], **about)


def _candidate(space: SearchSpace, canonical: Params, **about: Any) -> Candidate:
    """Make the candidate of a design in canonical form."""
    return Candidate(
        canonical,
        space.architecture_of(canonical),
        space.hardware_of(canonical),
        canonical_key(canonical),
        **about,
    )
