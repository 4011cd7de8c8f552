"""An elastic family of PyTorch modules: genes, and a function that builds the module of a sub-network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from cimbo.errors import BadInput
from cimbo.problem.scalars import shown
from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, active
from cimbo.workloads.layers import Workload
from cimbo.workloads.pytorch.tracing import trace

Build = Callable[[dict[str, Any]], torch.nn.Module]
MOST_KEPT_WORKLOADS = 10_000


@dataclass(frozen=True)
class TorchFamily(Family):
    """What `cimbo.workloads.torch_family` makes.

    Attributes:
        name: what reports call it.
        genes: what a sub-network may be.
        build: makes the module of a sub-network from its active genes; it runs under ``torch.device("meta")``, so
            that parameters take no memory.
        example: what the module is called with, or a function of the genes that gives it; a tensor or several.
        batch: inferences that the example holds.
    """

    name: str
    genes: tuple[Choice, ...]
    build: Build
    example: Any
    batch: int = 1
    _kept: dict[str, Workload] = field(default_factory=dict, repr=False, compare=False)

    def choices(self) -> list[Choice]:
        """The genes, in a fixed order."""
        return list(self.genes)

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one sub-network; each is traced once.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The layers in the order in which they run.

        Raises:
            BadInput: On a missing active gene or a value outside its list, and as `trace` does.
        """
        genes = self._active(subnet)
        key = json.dumps(genes, sort_keys=True)
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT_WORKLOADS:
                self._kept.clear()
            self._kept[key] = self._traced(genes)
        return self._kept[key]

    def module(self, subnet: Mapping[str, Any]) -> tuple[torch.nn.Module, tuple[Any, ...]]:
        """Makes the module of one sub-network as build does, with memory and weights.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The module, and what it is called with.

        Raises:
            BadInput: On a missing active gene or a value outside its list, and where build or the
                example fail.
        """
        genes = self._active(subnet)
        with self._naming("build", genes):
            module = self.build(dict(genes))
        with self._naming("example", genes):
            return module, self._arguments(genes)

    def _active(self, subnet: Mapping[str, Any]) -> dict[str, Any]:
        """The values of those genes that are active in ``subnet``, checked."""
        read_gene = self.reader(subnet)
        values: dict[str, Any] = {}
        for choice in self.genes:
            # A gene whose gate is inactive itself is inactive, too.
            if all(gate in values for gate in choice.active_if) and active(choice, values):
                values[choice.name] = read_gene(choice.name)
        return values

    def _traced(self, genes: dict[str, Any]) -> Workload:
        """Builds the module of these active genes, and traces it with the example."""
        with torch.device("meta"), self._naming("build", genes):
            module = self.build(dict(genes))
        if not isinstance(module, torch.nn.Module):
            what = f"build returned {shown(module)}"
            raise BadInput(self._where(genes), what, "return a torch.nn.Module")
        with torch.device("meta"), self._naming("example", genes):
            arguments = self._arguments(genes)
        with self._naming("the module, called with the example,", genes):
            return trace(module, *arguments, batch=self.batch, name=self.name)

    def _where(self, genes: Mapping[str, Any]) -> str:
        """The family and the genes of a sub-network, for errors."""
        values = " ".join(f"{name}={value}" for name, value in genes.items())
        return f"network {self.name}, {values}"

    @contextmanager
    def _naming(self, what: str, genes: Mapping[str, Any]) -> Iterator[None]:
        """Turns whatever the user's code in this context raises into BadInput; ``what`` names that code."""
        try:
            yield
        except BadInput:
            raise
        except KeyError as error:
            what_happened = f"{what} raised KeyError: {error}"
            todo = f"the genes of the family are {', '.join(choice.name for choice in self.genes)}"
            raise BadInput(self._where(genes), what_happened, todo) from error
        except Exception as error:  # of code of the user's, which may raise anything
            lines = str(error).strip().splitlines() or [""]  # only the first one is shown
            what_happened = f"{what} raised {type(error).__name__}: {lines[0]}"
            todo = "correct build, or the example that is given to torch_family"
            raise BadInput(self._where(genes), what_happened, todo) from error

    def _arguments(self, genes: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments that the module of these genes is called with, always as a tuple."""
        example = self.example
        if callable(example):
            example = example(dict(genes))
        if isinstance(example, tuple):
            return example
        return (example,)


def torch_family(
    name: str,
    genes: Mapping[str, Sequence[Any]] | Sequence[Choice],
    build: Build,
    example: Any,
    *,
    batch: int = 1,
) -> TorchFamily:
    """Makes a family; see `cimbo.workloads.torch_family`.

    Args:
        name: What reports call it.
        genes: What a sub-network may be: a list of values for each name, or genes.
        build: Makes the module of a sub-network from a dictionary of its active genes.
        example: What the module is called with: a tensor, a tuple of them, or a function of the
            genes that gives it.
        batch: Inferences that the example holds.

    Returns:
        The family.
    """
    choices = tuple(_choice(gene, genes) for gene in genes)
    return TorchFamily(name, choices, build, example, batch)


def _choice(gene: str | Choice, genes: Mapping[str, Sequence[Any]] | Sequence[Choice]) -> Choice:
    """``gene`` as a Choice; where it is only a name, its values are in the mapping ``genes``."""
    if isinstance(gene, Choice):
        return gene
    assert isinstance(genes, Mapping)
    return Choice(gene, list(genes[gene]))
