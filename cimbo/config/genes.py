"""Gathers the genes of a study: those of its networks and of its chips, with the study's values where it gives some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from cimbo import hardware
from cimbo.config.gene_values import Condition, read_gene
from cimbo.config.tables import Gene, HardwareTable, Scalar
from cimbo.errors import BadInput, check_known, choose_from, naming
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.cells import cell
from cimbo.hardware.chip import (
    ERROR_FACTORS,
    GENE_WORDS,
    NUMBER_GENES,
    refuse_replaced_gene,
)
from cimbo.plugins import find
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice

__all__ = [
    "Condition",
    "chip_genes",
    "chip_properties",
    "chip_space",
    "network_genes",
    "own_genes",
    "reachable",
    "read_gene",
    "takes_cimbo_chips",
]
SHIPPED_SPACES = ("core", "extended")
# Simulators that take cimbo's description of a chip, and no other property.
SIMULATORS_OF_CIMBO_CHIPS = ("cimbo", "zigzag", "accelforge")


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
    """Gather the genes of a family of networks, some narrowed by the study to fewer values.

    Args:
        family: Name of the family, for messages.
        known: The family's own genes.
        genes: What the study says of some of them, by name.

    Returns:
        The genes, without those whose conditions cannot be met any more.

    Raises:
        BadInput: For a gene or a value that the family does not have.
    """
    choices = {choice.name: choice for choice in known}
    for name, gene in genes.items():
        where = f"network.genes.{name}"
        check_known(name, choices, where, f"is no gene of {family}")
        choices[name] = _narrowed(where, choices[name], gene)
    return list(reachable(choices))


def _narrowed(where: str, of_family: Choice, gene: Gene) -> Choice:
    """A family's gene with the study's values and, if it gives some, conditions.

    Args:
        where: The gene's place in the study, for messages.
        of_family: The gene as the family has it.
        gene: The gene as the study writes it.

    Returns:
        The gene.

    Raises:
        BadInput: For a value that the family's gene does not have.
    """
    read = read_gene(where, gene)
    for value in read.values:
        if value not in of_family.values:
            todo = f"use values among {list(of_family.values)}"
            raise BadInput(where, f"is {shown(list(read.values))}", todo)
    conditions = read.active_if
    if conditions is None:
        conditions = of_family.active_if
    return Choice(of_family.name, read.values, conditions)


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
    of_space = _searched_genes(table)
    names = list(dict.fromkeys([*of_space, *table.genes]))
    shipped = _known_genes() | of_space
    genes = {}
    for name in names:
        if not _is_excluded_by_fixed(table, shipped.get(name), names):
            genes[name] = _chip_gene(table, name, shipped.get(name), names)
    found = list(reachable(genes))
    check_fixed(table)
    _check_complete(table, found)
    return found


def _check_complete(table: HardwareTable, genes: Sequence[Choice]) -> None:
    """Raises BadInput where a study says that it gives the whole chip, and genes are searched that it does not name."""
    forgotten = []
    for gene in genes:
        if gene.name not in table.genes and len(gene.values) > 1:
            forgotten.append(gene.name)
    if table.complete and forgotten:
        what = f"lacks {', '.join(forgotten)}"
        todo = "give them, list what is to be searched in [hardware.genes], or leave out complete"
        raise BadInput("hardware.fixed", what, todo)


def check_fixed(table: HardwareTable) -> None:
    """Check that the fixed properties of cimbo's chips are of their kind: numbers, or words that are known.

    Args:
        table: What the study says of its hardware.

    Raises:
        BadInput: One is not; it is named.
    """
    if not takes_cimbo_chips(table):
        return
    for name, value in table.fixed.items():
        where = f"hardware.fixed.{name}"
        if name in GENE_WORDS and name != "cell":
            words = [*GENE_WORDS[name], *(FAMILY_ALIASES if name == "array" else ())]
            check_known(value, words, where, f"is {shown(value)}")
        elif name in NUMBER_GENES and isinstance(value, str):
            raise BadInput(where, f"is the text {shown(value)}", "write a number, without quotes")


def _known_genes() -> dict[str, Choice]:
    """Every gene of a chip that cimbo has values for, by name."""
    return {choice.name: choice for choice in hardware.chip_choices(extended=True)}


def _searched_genes(table: HardwareTable) -> dict[str, Choice]:
    """The genes of the study's space that the study does not fix, by name."""
    space = chip_space(table)
    genes = {}
    for choice in _choices_of(space):
        if choice.name not in table.fixed:
            conditions = _conditions_in(space, choice)
            genes[choice.name] = Choice(choice.name, choice.values, conditions)
    return genes


def _conditions_in(space: str, choice: Choice) -> Mapping[str, Sequence[Scalar]]:
    """The conditions of a gene of a space; of a shipped space those in "extended", which cover every kind of array."""
    if space in SHIPPED_SPACES:
        return _known_genes()[choice.name].active_if
    return choice.active_if


def _choices_of(space: str) -> Sequence[Choice]:
    """Look up the genes of a space: shipped, or a plug-in's under the entry points ``cimbo.chip_spaces``.

    Args:
        space: Its name.

    Returns:
        The genes, in the order of their columns.

    Raises:
        BadInput: There is no such space, or it is no list of genes.
    """
    shipped: dict[str, Callable[[], Sequence[Choice]]] = {
        "core": hardware.chip_choices,
        "extended": partial(hardware.chip_choices, extended=True),
        "own": list,
    }
    with naming("hardware.space"):
        choices = list(find("chip_spaces", space, shipped))
    _check_genes(space, choices)
    return choices


def _check_genes(space: str, choices: Sequence[object]) -> None:
    """Refuse the space of a plug-in that holds something else than genes."""
    for choice in choices:
        if not isinstance(choice, Choice):
            what = f"holds {shown(choice)}"
            raise BadInput(f"chip space {space}", what, "let it return a list of cimbo.Choice")


def _is_excluded_by_fixed(
    table: HardwareTable, shipped: Choice | None, names: Sequence[str]
) -> bool:
    """Whether a gene cannot exist with what the study fixes, as a converter's bits where all arrays are digital.

    Args:
        table: What the study says of its hardware.
        shipped: The gene as cimbo has it, with its conditions; None where cimbo does not know it.
        names: All genes that are searched.

    Returns:
        True where a gene that it depends on is fixed at a value with which it does not exist.
    """
    if shipped is None:
        return False
    for gate, values in shipped.active_if.items():
        is_fixed = gate not in names and gate in table.fixed
        if is_fixed and table.fixed[gate] not in values:
            return True
    return False


def chip_space(table: HardwareTable) -> str:
    """Find the space of chips that a study searches: the set of genes beside those that it lists.

    Where the study names none, it is "core" if the simulator takes cimbo's chips, or if cimbo knows
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
    table: HardwareTable, name: str, shipped: Choice | None, names: Sequence[str]
) -> Choice:
    """Make one gene of the chips, with the study's values and conditions where it gives some.

    Args:
        table: What the study says of its hardware.
        name: The gene's name.
        shipped: The gene as cimbo or a plug-in has it; None where the study alone knows it.
        names: All genes that are searched.

    Returns:
        The gene.

    Raises:
        BadInput: For a simulator that takes cimbo's chips: when these have no such gene, or cannot have
            one of its values.
    """
    where = f"hardware.genes.{name}"
    is_cimbo_chip = takes_cimbo_chips(table)
    if is_cimbo_chip:
        refuse_replaced_gene(where, name)
    if is_cimbo_chip and name not in chip_properties():
        raise BadInput(where, "is no gene of a chip", choose_from(name, chip_properties()))
    if name in table.genes:
        read = read_gene(where, table.genes[name])
    else:
        assert shipped is not None
        read = Condition(shipped.values, None)
    conditions = read.active_if
    if conditions is None and shipped is not None:
        conditions = _conditions_on(names, shipped)
    with naming(where):
        values = read.values
        if is_cimbo_chip and name == "array":
            values = list(dict.fromkeys(FAMILY_ALIASES.get(str(v), v) for v in values))
        choice = Choice(name, values, conditions)
        if is_cimbo_chip:
            _check_values(choice)
    return choice


def _conditions_on(names: Sequence[str], choice: Choice) -> dict[str, Sequence[Scalar]]:
    """Gene to values, the conditions of a gene on the searched genes ``names`` alone."""
    return {gate: values for gate, values in choice.active_if.items() if gate in names}


def _check_values(choice: Choice) -> None:
    """Refuse a gene with a value that no chip of cimbo's can have."""
    chips = [_chip_with(choice.name, value) for value in choice.values]
    hardware.area_mm2(chips)  # computing the area checks every gene


def _chip_with(gene: str, value: Scalar) -> dict[str, Scalar]:
    """A chip to try a value on: every core gene at its last value, but for this gene; a cell brings its family of arrays."""
    chip: dict[str, Scalar] = {other.name: other.values[-1] for other in hardware.chip_choices()}
    chip["array"] = hardware.DEFAULT_GENES["array"]
    if gene == "cell":
        chip["array"] = _family_of_cell(str(value), chip["array"])
    return {**chip, gene: value}


def _family_of_cell(name: str, usual: Scalar) -> Scalar:
    """The family of arrays that a cell belongs to; the usual one where cimbo does not know the cell."""
    known_cell = cell(name)
    if known_cell is None:
        return usual
    return known_cell.family


def reachable(genes: Mapping[str, Choice]) -> Iterator[Choice]:
    """Drop the genes whose conditions cannot be met any more, once some genes have fewer values.

    Values that a gene does not have any more are taken out of the conditions on it. A condition on a
    gene that is not in ``genes`` stays as it is: a chip's gene may depend on one of the network.

    Args:
        genes: The genes, by name.

    Yields:
        The genes that are left, with their conditions.
    """
    for choice in genes.values():
        conditions = _possible_conditions(choice, genes)
        if all(conditions.values()):
            yield Choice(choice.name, choice.values, conditions)


def _possible_conditions(
    choice: Choice, genes: Mapping[str, Choice]
) -> dict[str, Sequence[Scalar]]:
    """The conditions of a gene, without values that the genes they are on do not have; a list may end up empty."""
    conditions: dict[str, Sequence[Scalar]] = {}
    for gate, values in choice.active_if.items():
        if gate in genes:
            conditions[gate] = [value for value in values if value in genes[gate].values]
        else:
            # A gene of the network or of the user; the space checks it later
            conditions[gate] = list(values)
    return conditions
