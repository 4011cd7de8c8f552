"""Conditions of genes as a study writes them: each names values that its gene can have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from cimbo import hardware
from cimbo.config.gene_values import early_end, read_gene
from cimbo.config.tables import Gene, StudyTable
from cimbo.errors import check_known
from cimbo.hardware.array_description import FAMILY_ALIASES
from cimbo.hardware.chip import GENE_WORDS
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice

logger = logging.getLogger("cimbo")

Values = list[Any]


def check_conditions(tables: StudyTable, family: Iterable[Choice]) -> None:
    """Check that each ``active_if`` of a study's chips and networks asks for values that its gene can have.

    These are the values that the study lists and those of cimbo's own gene of that name, so that a user
    who narrows a gene need not rewrite the conditions on it. Conditions on genes that do not exist, and
    those of genes for the user's own evaluator, are checked by ``SearchSpace``.

    Args:
        tables: The description of the study.
        family: The genes of its network, as the family has them.

    Raises:
        BadInput: For a value that no design has; it names the nearest.
    """
    genes_to_check = {"hardware": tables.hardware.genes}
    if tables.network is not None:
        genes_to_check["network"] = tables.network.genes
    possible = _values_of_known_genes(family)
    _add_values(possible, "hardware", tables.hardware.genes)
    if tables.architecture is not None:
        _add_values(possible, "architecture", tables.architecture.genes)
    listed = _listed_values(tables)
    if (
        tables.hardware.simulator != "cimbo"
    ):  # genes of its chips are the user's own, whatever their names
        possible |= {name: v for name, v in listed.items() if name in tables.hardware.genes}
    for table, genes in genes_to_check.items():
        _check_table(table, genes, possible, listed)


def _listed_values(tables: StudyTable) -> dict[str, Values]:
    """Gene to the values that the study itself lists for it."""
    listed: dict[str, Values] = {}
    _add_values(listed, "hardware", tables.hardware.genes)
    if tables.architecture is not None:
        _add_values(listed, "architecture", tables.architecture.genes)
    return listed


def warn_of_early_ends(tables: StudyTable) -> None:
    """Log a warning for each range of a study's genes that ends below its ``high``.

    Args:
        tables: The description of the study.

    Raises:
        BadInput: For a range that is none.
    """
    for name in ("architecture", "network", "hardware"):
        table = getattr(tables, name)
        if table is None:
            continue
        for gene, values in table.genes.items():
            line = early_end(f"{name}.genes.{gene}", values)
            if line is not None:
                logger.warning(line)


def _add_values(possible: dict[str, Values], table: str, genes: Mapping[str, Gene]) -> None:
    """Add the values that a table of a study lists for its genes to the possible ones, by gene."""
    for name, gene in genes.items():
        read = read_gene(f"{table}.genes.{name}", gene)
        possible.setdefault(name, []).extend(read.values)


def _values_of_known_genes(family: Iterable[Choice]) -> dict[str, Values]:
    """Gene to all values it can have, for the genes of the network's family and of cimbo's chips."""
    possible: dict[str, Values] = {}
    for choice in (*hardware.chip_choices(extended=True), *family):
        possible.setdefault(choice.name, []).extend(choice.values)
    for name, words in GENE_WORDS.items():
        possible.setdefault(name, []).extend(words)
    possible["array"] += FAMILY_ALIASES
    return possible


def _check_table(
    table: str,
    genes: Mapping[str, Gene],
    possible: Mapping[str, Values],
    listed: Mapping[str, Values],
) -> None:
    """Refuse genes of a table whose ``active_if`` asks for a value that is not possible; name those that are listed."""
    for name, gene in genes.items():
        where = f"{table}.genes.{name}"
        conditions = read_gene(where, gene).active_if or {}
        for gate, values in conditions.items():
            if gate in possible:
                told = listed.get(gate, possible[gate])
                for value in values:
                    if value not in possible[gate]:
                        what = f"is {shown(value)}, which {gate} never is"
                        check_known(value, dict.fromkeys(told), f"{where}.active_if.{gate}", what)
