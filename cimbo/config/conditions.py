"""Conditions of genes as a study writes them: each names values that its gene can have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cimbo import hardware
from cimbo.config.gene_values import read_gene
from cimbo.config.tables import Gene, StudyTable
from cimbo.errors import check_known
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.chip import GENE_WORDS
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice

Values = list[Any]


def check_conditions(tables: StudyTable, family: Iterable[Choice]) -> None:
    """Check that each ``active_if`` of a study's chips and networks asks for values that there are.

    A value counts that the study lists, or that cimbo's own gene of that name can have: whoever
    narrows a gene need not rewrite the conditions on it. A gene that does not exist at all is
    found by the space, and so is every fault in the genes of an evaluator of the user's own.

    Args:
        tables: The description of the study.
        family: The genes of its network, as the family has them.

    Raises:
        BadInput: For a value that no design has; it names the nearest.
    """
    listed = {"hardware": tables.hardware.genes}
    if tables.network is not None:
        listed["network"] = tables.network.genes
    possible = _values_of_known_genes(family)
    _add_values(possible, "hardware", tables.hardware.genes)
    if tables.architecture is not None:
        _add_values(possible, "architecture", tables.architecture.genes)
    for table, genes in listed.items():
        _check_table(table, genes, possible)


def _add_values(possible: dict[str, Values], table: str, genes: Mapping[str, Gene]) -> None:
    """Add what a table of a study says that its genes can be."""
    for name, gene in genes.items():
        read = read_gene(f"{table}.genes.{name}", gene)
        possible.setdefault(name, []).extend(read.values)


def _values_of_known_genes(family: Iterable[Choice]) -> dict[str, Values]:
    """What the genes of the network and of cimbo's chips can be."""
    found: dict[str, Values] = {}
    for choice in (*hardware.chip_choices(extended=True), *family):
        found.setdefault(choice.name, []).extend(choice.values)
    for name, words in GENE_WORDS.items():
        found.setdefault(name, []).extend(words)
    found["array"] += FAMILY_ALIASES
    return found


def _check_table(table: str, genes: Mapping[str, Gene], possible: Mapping[str, Values]) -> None:
    for name, gene in genes.items():
        where = f"{table}.genes.{name}"
        wanted = read_gene(where, gene).active_if or {}
        for gate, values in wanted.items():
            if gate in possible:
                _check_values(f"{where}.active_if.{gate}", gate, values, possible[gate])


def _check_values(where: str, gate: str, values: Iterable[Any], possible: Values) -> None:
    """Raises BadInput for a value that a gene never has."""
    for value in values:
        what = f"is {shown(value)}, which {gate} never is"
        check_known(value, dict.fromkeys(possible), where, what)
