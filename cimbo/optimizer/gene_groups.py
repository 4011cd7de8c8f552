"""Which genes mean the same in every layer, read from their names, or, where these say nothing, from their order.

``width0``, ``width1``, ... are one group by name but for its digits. ``x0`` to ``x57`` are not: there layers are looked for
in the order of the genes. A network is listed layer by layer, so that the numbers of values repeat with a period, and what
stands at the same place of each period is a group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cimbo.problem.choice import Choice

MIN_PERIODS = 4  # layers that a period has to repeat for
MIN_COVERED = 0.6  # of the genes of one pattern
# By how much genes have to be more alike under a longer period, and under a multiple of one that was found.
LEAST_BETTER, LEAST_BETTER_MULTIPLE = 0.05, 0.25


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
    return re.sub("[0-9]+", "*", name)


def _periodic(genes: Sequence[Choice]) -> tuple[int, int, int]:
    """Start, end and length of the period that numbers of values repeat with; a length of 1 where there is none."""
    counts = [len(c.values) for c in genes]
    best, alike = (0, len(genes), 1), 0.0
    for period in range(2, len(genes) // MIN_PERIODS + 1):
        start, end = _longest_run(counts, period)
        end -= (end - start) % period
        if end - start < max(MIN_PERIODS * period, MIN_COVERED * len(genes)):
            continue
        if not _mixes_kinds(genes[start:end], period):
            continue
        new = _likeness(genes, start, end, period)
        multiple = best[2] > 1 and period % best[2] == 0
        if new > alike + (LEAST_BETTER_MULTIPLE if multiple else LEAST_BETTER):
            best, alike = (start, end, period), new
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
    """Mean over the places of a period of the share of genes there that have its commonest values."""
    shares = []
    for place in range(period):
        values = [c.values for c in genes[start + place : end : period]]
        shares.append(Counter(values).most_common(1)[0][1] / len(values))
    return sum(shares) / period
