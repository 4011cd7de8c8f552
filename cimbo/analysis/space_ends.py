"""Which genes stand at an end of their range over a whole front: there the space, not the trade-off, decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cimbo.hardware import range_reason
from cimbo.problem.space import Choice

MOST_AT_AN_END = 0.8
FEWEST_DESIGNS = 5


@dataclass(frozen=True)
class GeneAtAnEnd:
    """A gene that most designs of a front have at its smallest or its largest value.

    Attributes:
        gene: Its name.
        value: The value at the end.
        end: "smallest" or "largest".
        share: Share of the designs that have it there.
        reason: Why it goes no further; None where a wider range may hold better designs.
    """

    gene: str
    value: Any
    end: str
    share: float
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def genes_at_an_end(
    choices: Sequence[Choice], designs: Sequence[Mapping[str, Any]]
) -> tuple[GeneAtAnEnd, ...]:
    """Finds the ordered genes that stand at one end of their range in more than MOST_AT_AN_END of the designs.

    Args:
        choices: The genes.
        designs: Designs of a front, by their active genes.

    Returns:
        Such genes in the order of ``choices``; none where there are fewer than FEWEST_DESIGNS designs.
    """
    found = []
    for choice in choices:
        values = [design[choice.name] for design in designs if choice.name in design]
        if choice.ordered and len(choice.values) > 1 and len(values) >= FEWEST_DESIGNS:
            found += _at_an_end(choice, values)
    return tuple(found)


def _at_an_end(choice: Choice, values: Sequence[Any]) -> list[GeneAtAnEnd]:
    """A gene for each end of its range at which most of some values lie."""
    found = []
    for end, value in (("smallest", choice.values[0]), ("largest", choice.values[-1])):
        share = values.count(value) / len(values)
        if share > MOST_AT_AN_END:
            reason = range_reason(choice.name, end, value)
            found.append(GeneAtAnEnd(choice.name, value, end, share, reason))
    return found


def ends_told(genes: Sequence[GeneAtAnEnd]) -> str | None:
    """Say in a sentence which genes stand at an end of their range.

    Args:
        genes: The genes, as `genes_at_an_end` finds them.

    Returns:
        The sentence, with the reason where a gene goes no further; None for no genes. It advises a
        wider space unless every gene has a reason.
    """
    if not genes:
        return None
    told = []
    for gene in genes:
        reason = f": {gene.reason}" if gene.reason else ""
        told.append(f"{gene.gene} {gene.value} ({gene.share:.0%}{reason})")
    sentence = f"at an end of their range in most designs: {', '.join(told)}"
    if all(gene.reason for gene in genes):
        return sentence
    return sentence + "; a wider space may hold better ones"
