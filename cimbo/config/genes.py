"""Genes as a study.toml writes them: lists of values, tables with conditions, ranges; and which names there may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from cimbo import hardware
from cimbo.config.tables import Gene, GeneTable, HardwareTable, Scalar
from cimbo.errors import BadInput, choose_from, naming
from cimbo.hardware.cells import cell
from cimbo.hardware.chip import ERROR_FACTORS
from cimbo.plugins import find
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice

SHIPPED_SPACES = ("core", "extended")
MOST_VALUES = 100_000  # of one gene
ROUNDED_DIGITS = 12  # significant ones of the numbers of a range
RANGE_ENDS = 1 + 1e-9  # by how much rounding may carry the last number beyond the end
# Simulators that take cimbo's description of a chip, and no other property.
SIMULATORS_OF_CIMBO_CHIPS = ("cimbo", "zigzag", "accelforge")


@dataclass(frozen=True)
class Condition:
    """A gene as it was read: its values, and the values of other genes that it needs."""

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
    conditions = gene.active_if or None
    if gene.values is not None:
        given = []
        for n in ("low", "high", "step", "count"):
            if getattr(gene, n) is not None:
                given.append(n)
        if given:
            raise BadInput(where, f"has values and {given[0]}", "give either values or a range")
        return Condition(gene.values, conditions)
    return Condition(_range(where, gene), conditions)


def _range(where: str, gene: GeneTable) -> list[Scalar]:
    """The numbers of a range, its ends among them where the step meets them."""
    if gene.low is None or gene.high is None:
        missing = "low" if gene.low is None else "high"
        raise BadInput(where, f"has no values and no {missing}", "give values, or low and high")
    if not gene.low < gene.high:
        raise BadInput(where, f"low is {gene.low:g}, high is {gene.high:g}", "put the lower first")
    if gene.log and gene.low <= 0:
        raise BadInput(where, f"low is {gene.low:g}", "numbers spaced by a factor are above 0")
    if gene.step is not None and gene.count is not None:
        raise BadInput(where, "has a step and a count", "give one of them")
    if gene.log:
        numbers = _spaced_by_factor(where, gene)
    else:
        numbers = _spaced_evenly(where, gene)
    rounded = dict.fromkeys(_rounded(number) for number in numbers)
    return list(rounded)


def _spaced_evenly(where: str, gene: GeneTable) -> list[float]:
    low, high = float(gene.low or 0.0), float(gene.high or 0.0)
    if gene.count is not None:
        return _evenly(low, high, gene.count)
    step = gene.step
    if step is None:
        if not low.is_integer() or not high.is_integer():
            raise BadInput(where, "is a range without a step", "give step, or count")
        step = 1.0
    if step <= 0:
        raise BadInput(where, f"step is {step:g}", "it must be above 0")
    n = int((high - low) / step * RANGE_ENDS) + 1
    _check_count(where, n)
    return [low + i * step for i in range(n)]


def _spaced_by_factor(where: str, gene: GeneTable) -> list[float]:
    low, high = float(gene.low or 0.0), float(gene.high or 0.0)
    if gene.count is not None:
        exponents = _evenly(0.0, 1.0, gene.count)
        return [low * (high / low) ** exponent for exponent in exponents]
    if gene.step is None:
        raise BadInput(where, "is a range without a step", "give step, a factor, or count")
    if gene.step <= 1:
        raise BadInput(where, f"step is {gene.step:g}", "with log it is a factor, above 1")
    numbers = []
    number = low
    while number <= high * RANGE_ENDS:
        numbers.append(number)
        _check_count(where, len(numbers))
        number *= gene.step
    return numbers


def _evenly(low: float, high: float, count: int) -> list[float]:
    _check_count("range", count)
    if count == 1:
        return [low]
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def _check_count(where: str, n: int) -> None:
    if n > MOST_VALUES:
        raise BadInput(where, f"has more than {MOST_VALUES} values", "take larger steps")


def _rounded(number: float) -> Scalar:
    """Without the last digits, in which rounding errors stand; whole numbers as integers."""
    found = float(f"{number:.{ROUNDED_DIGITS}g}")
    if found.is_integer():
        return int(found)
    return found


# ---- which genes a study has --------------------------------------------------------------------


def own_genes(table: str, genes: Mapping[str, Gene]) -> Iterator[Choice]:
    """Read genes that may have any name, as a table of the study gives them.

    Args:
        table: Name of the table in the study, for messages.
        genes: What it says, by name of the gene.

    Yields:
        Each gene, in the order of the table.

    Raises:
        BadInput: For a range that is none, or values that make no gene; it names the gene.
    """
    for name, gene in genes.items():
        where = f"{table}.genes.{name}"
        read = read_gene(where, gene)
        with naming(where):
            yield Choice(name, read.values, read.active_if)


def network_genes(family: str, known: Iterable[Choice], genes: Mapping[str, Gene]) -> list[Choice]:
    """Gather the genes of a family of networks, some of them narrowed by the study to fewer values.

    Args:
        family: Name of the family, for messages.
        known: The family's own genes.
        genes: What the study says of some of them, by name.

    Returns:
        The genes, without those whose conditions cannot be met any more.

    Raises:
        BadInput: For a gene or a value that the family does not have.
    """
    found = {choice.name: choice for choice in known}
    for name, gene in genes.items():
        where = f"network.genes.{name}"
        if name not in found:
            raise BadInput(where, f"is no gene of {family}", choose_from(name, found))
        read, usual = read_gene(where, gene), found[name]
        if any(value not in usual.values for value in read.values):
            todo = f"use values among {list(usual.values)}"
            raise BadInput(where, f"is {shown(list(read.values))}", todo)
        conditions = read.active_if
        if conditions is None:
            conditions = usual.active_if
        found[name] = Choice(name, read.values, conditions)
    return list(reachable(found))


def chip_genes(table: HardwareTable) -> list[Choice]:
    """Gather the genes of the chips of a study.

    With a simulator that takes cimbo's chips: the genes of its space, with the study's values for
    some, and any other property of a chip that the study lists. With another simulator any names;
    see `chip_space`.

    Args:
        table: What the study says of its hardware.

    Returns:
        The genes, without those that the study fixes and those whose conditions cannot be met any
        more.

    Raises:
        BadInput: For a space that is unknown, a gene that cimbo's chips do not have, or a value
            that no chip can have.
    """
    known = {choice.name: choice for choice in hardware.chip_choices(extended=True)}
    space = chip_space(table)
    listed = [choice for choice in _choices_of(space) if choice.name not in table.fixed]
    for choice in listed:
        conditions = choice.active_if
        if space in SHIPPED_SPACES:  # whose conditions know every family of arrays
            conditions = known[choice.name].active_if
        known[choice.name] = Choice(choice.name, choice.values, conditions)
    names = dict.fromkeys([*(choice.name for choice in listed), *table.genes])
    genes = {}
    for name in names:
        if not _is_settled_off(table, known.get(name), names):
            genes[name] = _chip_gene(table, name, known, names)
    return list(reachable(genes))


def _choices_of(space: str) -> Sequence[Choice]:
    """The genes of a space: of a shipped one, or of a plug-in under the entry points ``cimbo.chip_spaces``.

    Raises:
        BadInput: There is no such space, or it is no list of genes.
    """
    shipped: dict[str, Callable[[], Sequence[Choice]]] = {
        "core": hardware.chip_choices,
        "extended": partial(hardware.chip_choices, extended=True),
        "own": list,
    }
    with naming("hardware.space"):
        found = list(find("chip_spaces", space, shipped))
    for choice in found:
        if not isinstance(choice, Choice):
            what = f"holds {shown(choice)}"
            raise BadInput(f"chip space {space}", what, "let it return a list of cimbo.Choice")
    return found


def _is_settled_off(table: HardwareTable, usual: Choice | None, names: Iterable[str]) -> bool:
    """Whether a gene would need another value of what the study fixes, as converters do where arrays are digital."""
    gates = {} if usual is None else usual.active_if
    settled = []
    for gate in gates:
        if gate not in names and gate in table.fixed:
            settled.append(gate)
    return any(table.fixed[gate] not in gates[gate] for gate in settled)


def chip_space(table: HardwareTable) -> str:
    """Find which genes there are beside those that the study lists.

    Where the study names no space: "core" if the simulator takes cimbo's chips, or if cimbo knows
    every listed gene; else "own".

    Args:
        table: What the study says of its hardware.

    Returns:
        Name of a space: "core", "extended", that of a plug-in, or "own", which has no genes
        besides.
    """
    if table.space is not None:
        return table.space
    if takes_cimbo_chips(table):
        return "core"
    properties = chip_properties()
    if all(name in properties for name in table.genes):
        return "core"
    return "own"


def takes_cimbo_chips(table: HardwareTable) -> bool:
    """Tell whether the simulator takes cimbo's properties of a chip and no others.

    Args:
        table: What the study says of its hardware.

    Returns:
        True for one of SIMULATORS_OF_CIMBO_CHIPS.
    """
    return table.simulator in SIMULATORS_OF_CIMBO_CHIPS


def chip_properties() -> tuple[str, ...]:
    """List the properties of a chip that cimbo knows and a search may set.

    Returns:
        Names: all genes, without the factors that error bars are drawn with.
    """
    core = [choice.name for choice in hardware.chip_choices(extended=True)]
    names = dict.fromkeys([*core, *hardware.DEFAULT_GENES])
    return tuple(name for name in names if name not in ERROR_FACTORS)


def _chip_gene(
    table: HardwareTable, name: str, known: Mapping[str, Choice], names: Iterable[str]
) -> Choice:
    """One gene of the chips, with the study's values where it gives some."""
    where = f"hardware.genes.{name}"
    ours = takes_cimbo_chips(table)
    if ours and name not in chip_properties():
        raise BadInput(where, "is no gene of a chip", choose_from(name, chip_properties()))
    usual = known.get(name)
    if name in table.genes:
        read = read_gene(where, table.genes[name])
    else:
        read = None
    if read is None:
        assert usual is not None
        read = Condition(usual.values, None)
    conditions = read.active_if
    if conditions is None and usual is not None:
        conditions = {gate: v for gate, v in usual.active_if.items() if gate in names}
    with naming(where):
        choice = Choice(name, read.values, conditions)
        if ours:
            _check_values(choice)
    return choice


def _check_values(choice: Choice) -> None:
    """Raises BadInput for a value that no chip can have."""
    usual = {other.name: other.values[-1] for other in hardware.chip_choices()}
    usual |= {"array": hardware.DEFAULT_GENES["array"]}
    chips = []
    for value in choice.values:
        named = None
        if choice.name == "cell":
            named = cell(str(value))
        if named is None:
            family = {}
        else:
            family = {"array": named.family}
        chips.append({**usual, **family, choice.name: value})
    hardware.area_mm2(chips)


def reachable(genes: Mapping[str, Choice]) -> Iterator[Choice]:
    """Drop the genes whose conditions cannot be met any more.

    Values that no gene has any more are taken out of the conditions. A condition on a gene that is
    not in ``genes`` stays as it is: that gene may be of the other side.

    Args:
        genes: The genes, by name.

    Yields:
        The genes that are left, with their conditions.
    """
    for choice in genes.values():
        active_if = {}
        for gate, values in choice.active_if.items():
            if gate in genes:
                active_if[gate] = [v for v in values if v in genes[gate].values]
            else:
                active_if[gate] = list(values)  # of the other side; the space checks it
        if all(active_if.values()):
            yield Choice(choice.name, choice.values, active_if)
