"""Accuracies that were measured, each with the genes that its measurement depended on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Genes = frozenset[str] | None
"""Names of the genes that a measurement depended on; None: any gene."""


@dataclass(frozen=True)
class Finding:
    """One measurement of a design.

    Attributes:
        metrics: What was measured, by name.
        genes: Names of the genes that it depended on; None: it may depend on any gene.
    """

    metrics: Mapping[str, float]
    genes: Genes


@dataclass
class KnownAccuracies:
    """Measured accuracies, each of which serves all designs with the same values of the genes that it depended on.

    Attributes:
        by_genes: For each set of genes: the values of these genes, as JSON, to the metrics.
    """

    by_genes: dict[Genes, dict[str, dict[str, float]]] = field(default_factory=dict)

    def find(self, design: Mapping[str, Any], metric: str) -> Finding | None:
        """Look up what is known of a design without measuring it.

        Args:
            design: Each active gene to its value.
            metric: Name of the metric that is wanted.

        Returns:
            The measurement that has this metric; None where there is none.
        """
        for genes, known in self.by_genes.items():
            metrics = known.get(_key(design, genes), {})
            if metric in metrics:
                return Finding(metrics, genes)
        return None

    def add(
        self, design: Mapping[str, Any], genes: Iterable[str] | None, metrics: Mapping[str, float]
    ) -> None:
        """Keep what was measured.

        Args:
            design: Each active gene to its value.
            genes: The genes that the measurement depended on; None for all.
            metrics: What was measured.
        """
        depended_on = None if genes is None else frozenset(genes)
        known = self.by_genes.setdefault(depended_on, {})
        known.setdefault(_key(design, depended_on), {}).update(metrics)


def _key(design: Mapping[str, Any], genes: Genes) -> str:
    """The values of ``genes`` (None: of all genes) in a design, as JSON; null for a gene that it does not have."""
    names = design if genes is None else genes
    return json.dumps([(name, design.get(name)) for name in sorted(names)])
