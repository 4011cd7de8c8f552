"""Roles of a chip's properties: which gene of another simulator is the rows of an array, which the bandwidth of the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cimbo.config.genes import takes_cimbo_chips
from cimbo.config.tables import Genes, GeneTable, HardwareTable, StudyTable
from cimbo.errors import BadInput, choose_from
from cimbo.hardware.role_features import ROLES
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice, SearchSpace


def chip_roles(table: HardwareTable) -> dict[str, str]:
    """Collect the roles that a study gives to properties of its chips.

    Args:
        table: What the study says of its hardware.

    Returns:
        Property to role, of genes and of fixed properties. Properties of one role are multiplied, as
        processing elements and the macros of each are.
    """
    return {**_roles_of_genes(table.genes), **table.roles}


def check_roles(tables: StudyTable, space: SearchSpace) -> None:
    """Refuse roles that cannot be used.

    Args:
        tables: The study.
        space: Its genes.

    Raises:
        BadInput: For a role that is unknown, or of a property that is no number on every chip; and for
            roles in a study without known layers, or of cimbo's own chips, whose roles are known.
    """
    _check_no_other_genes(tables)
    roles = chip_roles(tables.hardware)
    if not roles:
        return
    if tables.network is None or tables.evaluator is not None:
        what = "are of no use without a [network] whose layers are known"
        raise BadInput("hardware.roles", what, "leave them out")
    if takes_cimbo_chips(tables.hardware):
        what = f"are known of the chips of simulator {tables.hardware.simulator}"
        raise BadInput("hardware.roles", what, "leave them out")
    for name, role in roles.items():
        _check_role(name, role)
        _check_property(name, tables.hardware.fixed, space.hardware)


def _roles_of_genes(genes: Genes) -> dict[str, str]:
    """Gene to role, of the genes that the study writes as a table with a role."""
    roles = {}
    for name, gene in genes.items():
        if isinstance(gene, GeneTable) and gene.role is not None:
            roles[name] = gene.role
    return roles


def _check_no_other_genes(tables: StudyTable) -> None:
    """Refuse roles of genes that are not the chip's."""
    for where, genes in _genes_of_networks(tables):
        for name in _roles_of_genes(genes):
            what = "has a role, which only properties of chips have"
            raise BadInput(f"{where}.genes.{name}", what, "leave it out")


def _genes_of_networks(tables: StudyTable) -> Iterator[tuple[str, Genes]]:
    """Name of the table and genes, for each table of the study with genes of networks."""
    if tables.network is not None:
        yield "network", tables.network.genes
    if tables.architecture is not None:
        yield "architecture", tables.architecture.genes


def _check_role(name: str, role: str) -> None:
    """Refuse an unknown role."""
    if role not in ROLES:
        where = f"hardware.roles.{name}"
        raise BadInput(where, f"role {role!r} is unknown", choose_from(role, ROLES))


def _check_property(name: str, fixed: Mapping[str, object], genes: Sequence[Choice]) -> None:
    """Refuse a property that is not a positive number on every chip, as a gene or fixed.

    Args:
        name: The property, which has a role.
        fixed: Property to value, of those that the study fixes.
        genes: The chip's genes.

    Raises:
        BadInput: When it is no property of the chips, exists only on some of them, or may be something
            else than a number above 0.
    """
    where = f"hardware.roles.{name}"
    known: dict[str, list[object]] = {}
    for gene in genes:
        known[gene.name] = list(gene.values)
        if gene.name == name and gene.active_if:
            what = f"exists only with some values of {', '.join(gene.active_if)}"
            raise BadInput(where, what, "give roles to properties that every chip has")
    for fixed_name, value in fixed.items():
        known[fixed_name] = [value]
    if name not in known:
        raise BadInput(where, "is no property of the chips", choose_from(name, known))
    for value in known[name]:
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            todo = "give roles to properties whose values are numbers above 0"
            raise BadInput(where, f"may be {shown(value)}", todo)
