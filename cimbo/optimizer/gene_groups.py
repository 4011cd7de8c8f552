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

from cimbo.problem.choice import Choice

MIN_PERIODS = 4  # a period counts only if it repeats this often
MIN_COVERED = 0.6  # share of the genes of one name pattern that the repeated periods must cover
# A longer period replaces a shorter one only if genes at the same place are more alike by this much (see _likeness).
# Every multiple of a right period fits at least as well as the period, so it has to be better by more.
LEAST_BETTER = 0.05
LEAST_BETTER_MULTIPLE = 0.25


def group_names(architecture: Sequence[Choice], hardware: Sequence[Choice]) -> dict[str, str]:
    """Name the group of each ordered gene.

    Args:
        architecture: Genes of the network, in order.
        hardware: Genes of the chip.

    Returns:
        Gene -> group; "" for an unordered one.
    """
    found = {}
    for choice in (*architecture, *hardware):
        if choice.ordered:
            found[choice.name] = _pattern(choice.name)
        else:
            found[choice.name] = ""
    for pattern, count in Counter(found.values()).items():
        mine = [c for c in architecture if found[c.name] == pattern]
        if not pattern or count < 2 * MIN_PERIODS or len(mine) < 2 * MIN_PERIODS:
            continue
        start, end, period = _periodic(mine)
        if period < 2:
            continue
        for choice in (*mine, *(c for c in hardware if found[c.name] == pattern)):
            found[choice.name] = choice.name  # a group of its own, unless it lies in a layer
        for place, choice in enumerate(mine[start:end]):
            found[choice.name] = f"{pattern}/{place % period}"
    return found


def _pattern(name: str) -> str:
    """The name with every number replaced by a star: ``ffn_3`` becomes ``ffn_*``."""
    return re.sub("[0-9]+", "*", name)


def _periodic(genes: Sequence[Choice]) -> tuple[int, int, int]:
    """Find the stretch of genes in which the numbers of their values repeat.

    Returns:
        Index of the first gene, index after the last one, and length of the period; a length of 1
        where nothing repeats.
    """
    counts = [len(c.values) for c in genes]
    best = (0, len(genes), 1)
    best_likeness = 0.0
    for period in range(2, len(genes) // MIN_PERIODS + 1):
        start, end = _longest_run(counts, period)
        end -= (end - start) % period
        if end - start < max(MIN_PERIODS * period, MIN_COVERED * len(genes)):
            continue
        if not _mixes_kinds(genes[start:end], period):
            continue
        likeness = _likeness(genes, start, end, period)
        margin = LEAST_BETTER
        if best[2] > 1 and period % best[2] == 0:
            margin = LEAST_BETTER_MULTIPLE
        if likeness > best_likeness + margin:
            best = (start, end, period)
            best_likeness = likeness
    return best


def _longest_run(counts: Sequence[int], period: int) -> tuple[int, int]:
    """The longest stretch in which each count is that of one period before."""
    best, start = (0, 0), 0
    for i in range(period, len(counts)):
        if counts[i] != counts[i - period]:
            start = i - period + 1
        if i + 1 - start > best[1] - best[0]:
            best = (start, i + 1)
    return best


def _mixes_kinds(genes: Sequence[Choice], period: int) -> bool:
    """Whether the places of a period hold different kinds of genes, and not one kind that changes from layer to layer.

    They do where numbers of values differ, and where one place has the same values in every layer and no other place has them.
    """
    if len({len(c.values) for c in genes[:period]}) > 1:
        return True
    for place in range(period):
        here = {c.values for c in genes[place::period]}
        elsewhere = {c.values for i, c in enumerate(genes) if i % period != place}
        if len(here) == 1 and not here & elsewhere:
            return True
    return False


def _likeness(genes: Sequence[Choice], start: int, end: int, period: int) -> float:
    """How alike the genes at the same place of each period are, from 0 to 1.

    For each place: the share of its genes that have the most frequent list of values there. The
    result is the mean over the places; 1 means that all layers offer the same values.
    """
    shares = []
    for place in range(period):
        value_lists = [c.values for c in genes[start + place : end : period]]
        _, most_frequent = Counter(value_lists).most_common(1)[0]
        shares.append(most_frequent / len(value_lists))
    return sum(shares) / period
