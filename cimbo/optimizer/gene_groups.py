"""Groups of genes that mean the same thing in different layers of a network.

Names that differ only in their digits make a group: ``width0``, ``width1``, ... Names such as ``x0`` to ``x57`` say
nothing, because all genes share one pattern. There the layers are recognised by the order of the genes. A network is
listed layer by layer, so how many values the genes have repeats with a period. Example: genes with 3, 5, 2, 3, 5, 2, ...
values have a period of 3, and each of the three places in the period is a group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cimbo.problem.choice import Choice

MIN_PERIODS = 4  # a period counts only if it repeats this often
MIN_COVERED = 0.6  # share of the genes of one name pattern that the repeated periods must cover
# A longer period replaces a shorter one only if genes at the same place are more alike by this much (see _likeness).
# Every multiple of a right period fits at least as well as the period, so it has to be better by more.
LEAST_BETTER = 0.05
LEAST_BETTER_MULTIPLE = 0.25


def group_names(
    architecture: Sequence[Choice],
    hardware: Sequence[Choice],
) -> dict[str, str]:
    """Name the group of each ordered gene.

    Args:
        architecture: Genes of the network, in order.
        hardware: Genes of the chip.

    Returns:
        Gene -> group; "" for an unordered one.
    """
    found = {}
    for choice in (*architecture, *hardware):
        found[choice.name] = _pattern(choice)
    for pattern in set(found.values()) - {""}:
        layered = [choice for choice in architecture if _pattern(choice) == pattern]
        others = [choice for choice in hardware if _pattern(choice) == pattern]
        if len(layered) >= 2 * MIN_PERIODS:
            found |= _groups_by_order(pattern, layered, others)
    return found


def _pattern(choice: Choice) -> str:
    """The name with every number replaced by a star, ``ffn_3`` becomes ``ffn_*``; "" for an unordered gene."""
    if not choice.ordered:
        return ""
    return re.sub("[0-9]+", "*", choice.name)


def _groups_by_order(
    pattern: str, layered: Sequence[Choice], others: Sequence[Choice]
) -> dict[str, str]:
    """Gene -> group, where the genes of one pattern repeat from layer to layer; empty where they do not."""
    stretch = _periodic(layered)
    if stretch.period < 2:
        return {}
    found = {}
    for choice in (*layered, *others):
        found[choice.name] = choice.name  # a group of its own, unless it lies in a layer
    for place, choice in enumerate(layered[stretch.start : stretch.end]):
        found[choice.name] = f"{pattern}/{place % stretch.period}"
    return found


@dataclass(frozen=True)
class _Stretch:
    """Genes from ``start`` to ``end`` that repeat with a ``period``, which is 1 where they do not."""

    start: int
    end: int
    period: int


def _periodic(genes: Sequence[Choice]) -> _Stretch:
    """Find the stretch of genes in which the numbers of their values repeat.

    Returns:
        The stretch; with a period of 1 where nothing repeats.
    """
    counts = [len(gene.values) for gene in genes]
    best = _Stretch(0, len(genes), 1)
    best_likeness = 0.0
    for period in range(2, len(genes) // MIN_PERIODS + 1):
        start, end = _longest_run(counts, period)
        end -= (end - start) % period
        if end - start < max(MIN_PERIODS * period, MIN_COVERED * len(genes)):
            continue
        if not _mixes_kinds(genes[start:end], period):
            continue
        likeness = _likeness(genes[start:end], period)
        is_multiple = best.period > 1 and period % best.period == 0
        margin = LEAST_BETTER
        if is_multiple:
            margin = LEAST_BETTER_MULTIPLE
        if likeness > best_likeness + margin:
            best = _Stretch(start, end, period)
            best_likeness = likeness
    return best


def _longest_run(counts: Sequence[int], period: int) -> tuple[int, int]:
    """The longest stretch in which each count is that of one period before."""
    first, end = 0, 0
    start = 0
    for i in range(period, len(counts)):
        if counts[i] != counts[i - period]:
            start = i - period + 1
        if i + 1 - start > end - first:
            first, end = start, i + 1
    return first, end


def _mixes_kinds(genes: Sequence[Choice], period: int) -> bool:
    """Whether the places of a period hold different kinds of genes, and not one kind that changes from layer to layer."""
    if len({len(gene.values) for gene in genes[:period]}) > 1:
        return True
    # Else there has to be a place with the same values in every layer, which no other place has.
    for place in range(period):
        here = {gene.values for gene in genes[place::period]}
        elsewhere = {gene.values for i, gene in enumerate(genes) if i % period != place}
        if len(here) == 1 and here.isdisjoint(elsewhere):
            return True
    return False


def _likeness(genes: Sequence[Choice], period: int) -> float:
    """How alike the genes at the same place of each period are, from 0 to 1.

    For each place: the share of its genes that have the most frequent list of values there. The
    result is the mean over the places; 1 means that all layers offer the same values.

    Returns:
        The likeness.
    """
    shares = []
    for place in range(period):
        values = Counter(gene.values for gene in genes[place::period])
        shares.append(max(values.values()) / values.total())
    return sum(shares) / period
