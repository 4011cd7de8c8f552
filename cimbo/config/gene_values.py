"""The values of a gene as a study.toml writes them: a list, a table with conditions, or a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cimbo.config.tables import Gene, GeneTable, Scalar
from cimbo.errors import BadInput

MOST_VALUES = 100_000  # most values of one gene
ROUNDED_DIGITS = 12  # significant digits that the numbers of a range keep
# The last number of a range may lie beyond its end by this factor, because of rounding
RANGE_ENDS = 1 + 1e-9
RANGE_KEYS = ("low", "high", "step", "count")


@dataclass(frozen=True)
class Condition:
    """A gene as it was read from a study.

    Attributes:
        values: Its values, those of a range written out.
        active_if: Gene to the values with which this gene exists; None where the study gives no conditions.
    """

    values: Sequence[Scalar]
    active_if: Mapping[str, Sequence[Scalar]] | None


def read_gene(where: str, gene: Gene) -> Condition:
    """Read the values of a gene, those of a range written out.

    Args:
        where: Its place, for messages.
        gene: What the study says.

    Returns:
        Its values and conditions; None for conditions that the study does not give.

    Raises:
        BadInput: For a range that is none.
    """
    if isinstance(gene, list):
        return Condition(gene, None)
    if gene.values is None:
        values = _numbers_of_range(where, gene)
    else:
        _check_no_range(where, gene)
        values = gene.values
    return Condition(values, gene.active_if or None)


def early_end(where: str, gene: Gene) -> str | None:
    """Tell where a range ends whose steps do not meet its ``high``, as a reader may take them to.

    Args:
        where: Its place, for messages.
        gene: What the study says of the gene.

    Returns:
        A line that names the last number of the range; None where that is ``high``, or the gene
        is no range.

    Raises:
        BadInput: For a range that is none.
    """
    if isinstance(gene, list) or gene.values is not None or gene.high is None:
        return None
    last = _numbers_of_range(where, gene)[-1]
    if gene.count is None and isinstance(last, int | float) and last < gene.high / RANGE_ENDS:
        found = f"{where}: ends at {last:g}, below its high {gene.high:g}: the steps do not meet it"
        return f"{found}; write high = {last:g}, another step, or count, if that is not meant"
    return None


def _check_no_range(where: str, gene: GeneTable) -> None:
    """Refuse a gene that lists its values and is a range, too."""
    for key in RANGE_KEYS:
        if getattr(gene, key) is not None:
            raise BadInput(where, f"has values and {key}", "give either values or a range")


def _numbers_of_range(where: str, gene: GeneTable) -> list[Scalar]:
    """Write out the numbers of a range, rounded and without repetitions."""
    if gene.low is None or gene.high is None:
        missing = "low" if gene.low is None else "high"
        raise BadInput(where, f"has no values and no {missing}", "give values, or low and high")
    numbers = _spaced(where, gene, float(gene.low), float(gene.high))
    distinct = dict.fromkeys(_rounded(number) for number in numbers)
    return list(distinct)


def _spaced(where: str, gene: GeneTable, low: float, high: float) -> list[float]:
    """Numbers from ``low`` up to ``high``, with a constant difference, or with a constant factor where ``log`` is set."""
    _check_range(where, gene, low, high)
    if gene.log:
        return _spaced_by_factor(where, gene, low, high)
    return _spaced_evenly(where, gene, low, high)


def _check_range(where: str, gene: GeneTable, low: float, high: float) -> None:
    """Refuse ends that are no range, and a range with both a step and a count."""
    if not low < high:
        raise BadInput(where, f"low is {low:g}, high is {high:g}", "put the lower first")
    if gene.log and low <= 0:
        raise BadInput(where, f"low is {low:g}", "numbers spaced by a factor are above 0")
    if gene.step is not None and gene.count is not None:
        raise BadInput(where, "has a step and a count", "give one of them")


def _spaced_evenly(where: str, gene: GeneTable, low: float, high: float) -> list[float]:
    """Numbers from ``low`` up to ``high`` with a constant difference."""
    if gene.count is not None:
        return _evenly(low, high, gene.count)
    step = _step_between(where, gene, low, high)
    count = int((high - low) / step * RANGE_ENDS) + 1
    _check_count(where, count)
    return [low + i * step for i in range(count)]


def _step_between(where: str, gene: GeneTable, low: float, high: float) -> float:
    """The difference from a number to the next; 1 where both ends are whole and no step is given."""
    step = gene.step
    if step is None:
        if not low.is_integer() or not high.is_integer():
            raise BadInput(where, "is a range without a step", "give step, or count")
        return 1.0
    if step <= 0:
        raise BadInput(where, f"step is {step:g}", "it must be above 0")
    return step


def _spaced_by_factor(where: str, gene: GeneTable, low: float, high: float) -> list[float]:
    """Numbers from ``low`` up to ``high`` with a constant factor."""
    if gene.count is not None:
        exponents = _evenly(0.0, 1.0, gene.count)
        return [low * (high / low) ** exponent for exponent in exponents]
    if gene.step is None:
        raise BadInput(where, "is a range without a step", "give step, a factor, or count")
    if gene.step <= 1:
        raise BadInput(where, f"step is {gene.step:g}", "with log it is a factor, above 1")
    return _multiplied(where, low, high, gene.step)


def _multiplied(where: str, low: float, high: float, factor: float) -> list[float]:
    """``low``, ``low`` * factor, ``low`` * factor^2, ..., up to ``high``."""
    numbers = []
    number = low
    while number <= high * RANGE_ENDS:
        numbers.append(number)
        _check_count(where, len(numbers))
        number *= factor
    return numbers


def _evenly(low: float, high: float, count: int) -> list[float]:
    """``count`` numbers with a constant difference, from ``low`` to ``high``; ``low`` alone for one."""
    _check_count("range", count)
    if count == 1:
        return [low]
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def _check_count(where: str, count: int) -> None:
    """Refuse a range of too many numbers."""
    if count > MOST_VALUES:
        raise BadInput(where, f"has more than {MOST_VALUES} values", "take larger steps")


def _rounded(number: float) -> Scalar:
    """A number without its last digits, which hold rounding errors; a whole number as an integer."""
    rounded = float(f"{number:.{ROUNDED_DIGITS}g}")
    if rounded.is_integer():
        return int(rounded)
    return rounded
