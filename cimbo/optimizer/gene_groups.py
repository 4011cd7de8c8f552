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
    """Name the group of each ordered gene: genes that mean the same thing in different layers (see the module).

    Args:
        architecture: Genes of the network, in order.
        hardware: Genes of the chip.

    Returns:
        Gene to the name of its group, which genes of one group have in common; "" for an unordered gene.
    """
    groups = {}
    for choice in (*architecture, *hardware):
        groups[choice.name] = _pattern(choice)
    # Where one pattern has many genes, it may mix different kinds of genes (x0 to x57): look at the
    # order of the network's genes, too
    for pattern in set(groups.values()) - {""}:
        of_network = [choice for choice in architecture if _pattern(choice) == pattern]
        of_chip = [choice for choice in hardware if _pattern(choice) == pattern]
        if len(of_network) >= 2 * MIN_PERIODS:
            groups |= _groups_by_order(pattern, of_network, of_chip)
    return groups


def _pattern(choice: Choice) -> str:
    """The name with every number replaced by a star, ``ffn_3`` becomes ``ffn_*``; "" for an unordered gene."""
    if not choice.ordered:
        return ""
    return re.sub("[0-9]+", "*", choice.name)


def _groups_by_order(
    pattern: str, of_network: Sequence[Choice], of_chip: Sequence[Choice]
) -> dict[str, str]:
    """Gene to group, where the genes of one pattern repeat from layer to layer; empty where they do not."""
    stretch = _periodic(of_network)
    if stretch.period < 2:
        return {}
    groups = {}
    for choice in (*of_network, *of_chip):
        groups[choice.name] = choice.name  # a group of its own, unless it lies in a layer
    for position, choice in enumerate(of_network[stretch.start : stretch.end]):
        groups[choice.name] = f"{pattern}/{position % stretch.period}"
    return groups


@dataclass(frozen=True)
class _Stretch:
    """Genes from ``start`` to ``end`` that repeat with a ``period``, which is 1 where they do not."""

    start: int
    end: int
    period: int


def _periodic(genes: Sequence[Choice]) -> _Stretch:
    """Find the stretch of genes that repeats: every gene has as many values as the one a period before it.

    Of several periods that fit, the one counts at which the genes of different layers are most alike.

    Args:
        genes: The genes of one name pattern, in order.

    Returns:
        The stretch, a whole number of periods long; with a period of 1 where nothing repeats.
    """
    counts = [len(gene.values) for gene in genes]
    best = _Stretch(0, len(genes), 1)
    best_likeness = 0.0
    for period in range(2, len(genes) // MIN_PERIODS + 1):
        start, end = _longest_run(counts, period)
        end -= (end - start) % period  # whole periods alone
        if end - start < max(MIN_PERIODS * period, MIN_COVERED * len(genes)):
            continue
        if not _mixes_kinds(genes[start:end], period):
            continue
        likeness = _likeness(genes[start:end], period)
        # A multiple of the right period fits as well by itself: it has to fit much better
        is_multiple = best.period > 1 and period % best.period == 0
        margin = LEAST_BETTER
        if is_multiple:
            margin = LEAST_BETTER_MULTIPLE
        if likeness > best_likeness + margin:
            best = _Stretch(start, end, period)
            best_likeness = likeness
    return best


def _longest_run(counts: Sequence[int], period: int) -> tuple[int, int]:
    """Start and end of the longest run in which each count equals that of one period before."""
    longest_start, longest_end = 0, 0
    start = 0
    for i in range(period, len(counts)):
        if counts[i] != counts[i - period]:
            start = i - period + 1  # the first position from which i + 1 could still be reached
        if i + 1 - start > longest_end - longest_start:
            longest_start, longest_end = start, i + 1
    return longest_start, longest_end


def _mixes_kinds(genes: Sequence[Choice], period: int) -> bool:
    """Whether a period holds different kinds of genes, and not one kind whose values change from layer to layer."""
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
    """Measure how alike the genes at the same place of each period are.

    Args:
        genes: Genes, a whole number of periods.
        period: How many genes a layer has.

    Returns:
        From 0 to 1: for each place the share of its genes that have the most frequent list of values
        there, averaged over the places. At 1 all layers offer the same values.
    """
    shares = []
    for place in range(period):
        values = Counter(gene.values for gene in genes[place::period])
        shares.append(max(values.values()) / values.total())
    return sum(shares) / period
