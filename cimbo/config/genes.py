"""Which genes a study has: those of its networks, and those of its chips, with the study's values where it gives some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from cimbo import hardware
from cimbo.config.gene_values import Condition, read_gene
from cimbo.config.tables import Gene, HardwareTable, Scalar
from cimbo.errors import BadInput, check_known, choose_from, naming
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.cells import cell
from cimbo.hardware.chip import ERROR_FACTORS, refuse_replaced_gene
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
        check_known(name, found, where, f"is no gene of {family}")
        found[name] = _narrowed(where, found[name], gene)
    return list(reachable(found))


def _narrowed(where: str, usual: Choice, gene: Gene) -> Choice:
    """A gene of a family with fewer values. Raises BadInput for a value that the family does not have."""
    read = read_gene(where, gene)
    for value in read.values:
        if value not in usual.values:
            todo = f"use values among {list(usual.values)}"
            raise BadInput(where, f"is {shown(list(read.values))}", todo)
    conditions = read.active_if
    if conditions is None:
        conditions = usual.active_if
    return Choice(usual.name, read.values, conditions)


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
    listed = _searched_genes(table)
    names = list(dict.fromkeys([*listed, *table.genes]))
    usual = _known_genes() | listed
    genes = {}
    for name in names:
        if not _is_settled_off(table, usual.get(name), names):
            genes[name] = _chip_gene(table, name, usual.get(name), names)
    return list(reachable(genes))


def _known_genes() -> dict[str, Choice]:
    """Every gene of a chip that cimbo has values for, by name."""
    return {choice.name: choice for choice in hardware.chip_choices(extended=True)}


def _searched_genes(table: HardwareTable) -> dict[str, Choice]:
    """The genes of the study's space that the study does not fix, by name."""
    space = chip_space(table)
    found = {}
    for choice in _choices_of(space):
        if choice.name not in table.fixed:
            conditions = _conditions_in(space, choice)
            found[choice.name] = Choice(choice.name, choice.values, conditions)
    return found


def _conditions_in(space: str, choice: Choice) -> Mapping[str, Sequence[Scalar]]:
    """The conditions of a gene; in a shipped space those of the extended genes, which know every kind of array."""
    if space in SHIPPED_SPACES:
        return _known_genes()[choice.name].active_if
    return choice.active_if


def _choices_of(space: str) -> Sequence[Choice]:
    """The genes of a space: of a shipped one, or of a plug-in under the entry points ``cimbo.chip_spaces``.

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
        found = list(find("chip_spaces", space, shipped))
    _check_genes(space, found)
    return found


def _check_genes(space: str, found: Sequence[object]) -> None:
    for choice in found:
        if not isinstance(choice, Choice):
            what = f"holds {shown(choice)}"
            raise BadInput(f"chip space {space}", what, "let it return a list of cimbo.Choice")


def _is_settled_off(table: HardwareTable, usual: Choice | None, names: Sequence[str]) -> bool:
    """Whether a gene needs another value of what the study fixes, as converters do where arrays are digital."""
    if usual is None:
        return False
    for gate, values in usual.active_if.items():
        is_settled = gate not in names and gate in table.fixed
        if is_settled and table.fixed[gate] not in values:
            return True
    return False


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
    table: HardwareTable, name: str, usual: Choice | None, names: Sequence[str]
) -> Choice:
    """One gene of the chips, with the study's values where it gives some."""
    where = f"hardware.genes.{name}"
    ours = takes_cimbo_chips(table)
    if ours:
        refuse_replaced_gene(where, name)
    if ours and name not in chip_properties():
        raise BadInput(where, "is no gene of a chip", choose_from(name, chip_properties()))
    if name in table.genes:
        read = read_gene(where, table.genes[name])
    else:
        assert usual is not None
        read = Condition(usual.values, None)
    conditions = read.active_if
    if conditions is None and usual is not None:
        conditions = _conditions_on(names, usual)
    with naming(where):
        values = read.values
        if ours and name == "array":
            values = list(dict.fromkeys(FAMILY_ALIASES.get(str(v), v) for v in values))
        choice = Choice(name, values, conditions)
        if ours:
            _check_values(choice)
    return choice


def _conditions_on(names: Sequence[str], choice: Choice) -> dict[str, Sequence[Scalar]]:
    """The conditions of a gene, without those on genes that the study does not search."""
    return {gate: values for gate, values in choice.active_if.items() if gate in names}


def _check_values(choice: Choice) -> None:
    """Raises BadInput for a value that no chip can have."""
    chips = [_usual_chip_with(choice.name, value) for value in choice.values]
    hardware.area_mm2(chips)  # computing the area checks every gene


def _usual_chip_with(gene: str, value: Scalar) -> dict[str, Scalar]:
    """The largest chip of the core genes, but for one gene, and for the family of arrays where that is a cell."""
    chip: dict[str, Scalar] = {other.name: other.values[-1] for other in hardware.chip_choices()}
    chip["array"] = hardware.DEFAULT_GENES["array"]
    if gene == "cell":
        chip["array"] = _family_of_cell(str(value), chip["array"])
    return {**chip, gene: value}


def _family_of_cell(name: str, usual: Scalar) -> Scalar:
    """The family of arrays that a cell is made for; the usual one where cimbo does not know the cell."""
    found = cell(name)
    if found is None:
        return usual
    return found.family


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
        conditions = _possible_conditions(choice, genes)
        if all(conditions.values()):
            yield Choice(choice.name, choice.values, conditions)


def _possible_conditions(
    choice: Choice, genes: Mapping[str, Choice]
) -> dict[str, Sequence[Scalar]]:
    """The conditions of a gene, without the values that the genes do not have."""
    found: dict[str, Sequence[Scalar]] = {}
    for gate, values in choice.active_if.items():
        if gate in genes:
            found[gate] = [value for value in values if value in genes[gate].values]
        else:
            # A gene of the network or of the user; the space checks it later
            found[gate] = list(values)
    return found
