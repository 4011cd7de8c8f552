"""The space of a generated problem: layers with genes of their own, and a chip.

A gene for the depth may switch the last layers off. Genes are called by their meaning, such as ``width3``, or in one space of
five by a mere number, such as ``x7``. A chip has between five and nine genes; its other properties are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.space import Choice, Rows, SearchSpace

Array = NDArray[np.float64]
MIN_GENES, MAX_GENES = 20, 90
#: What a layer may be asked for, and the values it may take; widths are multiples of the layer's base
LAYER_VALUES: dict[str, tuple[tuple[float, ...], ...]] = {
    "width": ((1, 1.5, 2, 3, 4), (1, 2, 4), (0.5, 0.75, 1, 1.25, 1.5, 2)),
    "kernel": ((1, 3, 5, 7), (3, 5, 7)),
    "weight_bits": ((2, 3, 4, 6, 8), (4, 6, 8), (3, 4, 6, 8)),
    "input_bits": ((2, 3, 4, 6, 8), (4, 6, 8)),
    "expand": ((2, 3, 4, 6), (3, 4, 6)),
}
OPTIONAL_LAYER_GENES = ("kernel", "weight_bits", "input_bits", "expand")
#: What a layer has where it has no gene for it
FIXED_LAYER = {"kernel": 3.0, "weight_bits": 8.0, "input_bits": 8.0, "expand": 1.0}
CHIP_VALUES: dict[str, tuple[float, ...]] = {
    "rows": (32, 64, 128, 256, 512),
    "cols": (32, 64, 128, 256, 512),
    "adc_bits": (3, 4, 5, 6, 7, 8),
    "columns_per_adc": (1, 2, 4, 8, 16),
    "buffer_kb": (32, 64, 128, 256, 512, 1024),
    "buffer_bw": (8, 16, 32, 64, 128),
    "dram_bw": (2, 4, 8, 16, 32),
    "clock_mhz": (100, 200, 400, 800),
}
FIXED_CHIP = {
    "rows": 128.0,
    "cols": 128.0,
    "adc_bits": 6.0,
    "columns_per_adc": 4.0,
    "buffer_kb": 256.0,
    "buffer_bw": 32.0,
    "dram_bw": 8.0,
    "clock_mhz": 200.0,
}
#: One of the two says how many macros there are
MACRO_VALUES = {
    "macros": (4, 8, 16, 32, 64, 128),
    "area_budget_mm2": (1, 2, 3, 5, 8, 12, 20),
}


@dataclass(frozen=True)
class Blueprint:
    """A search space with the meaning of its genes.

    Attributes:
        space: The search space.
        layers: Largest number of layers.
        meaning: Name of a gene -> its meaning: ``"width3"``, ``"rows"``, ``"depth"``.
        base_width: The width of which each layer's widths are multiples, (layers,).
        pixels: Output positions of each layer at resolution 32, (layers,).
    """

    space: SearchSpace
    layers: int
    meaning: Mapping[str, str]
    base_width: Array
    pixels: Array

    def values(self, rows: Rows) -> dict[str, Array]:
        """Decode designs.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            Each meaning's values (n,), NaN where the gene is inactive.
        """
        encoded = self.space.encode(rows)
        named = zip(self.space.names, encoded.T, strict=True)
        return {self.meaning[name]: np.asarray(column, float) for name, column in named}


@dataclass(frozen=True)
class _Gene:
    """A gene before it is named.

    Attributes:
        meaning: What it stands for, such as ``"width3"``.
        values: Its values.
        gate: For each gene on which it depends, by meaning, the values with which it is active.
        hardware: Whether it belongs to the chip.
    """

    meaning: str
    values: tuple[float, ...]
    gate: Mapping[str, tuple[float, ...]]
    hardware: bool


def draw_blueprint(rng: np.random.Generator, *, gated: bool) -> Blueprint:
    """Draw a space of 20 to 90 genes.

    Args:
        rng: Source of all choices.
        gated: Whether a depth switches the last layers off.

    Returns:
        The space with the meaning of its genes.
    """
    options = ["width"]
    for name in OPTIONAL_LAYER_GENES:
        if rng.random() < 0.5:
            options.append(name)
    if len(options) == 1:
        options.append("weight_bits")
    fewest = int(np.ceil((MIN_GENES - 6) / len(options)))
    most = (MAX_GENES - 12) // len(options)
    layers = int(rng.integers(max(fewest, 5), max(fewest, min(most, 16)) + 1))
    step = 2.0 ** rng.uniform(1.5, 3.5)
    stage = np.arange(layers) / layers
    base_width = np.ceil(rng.choice([8.0, 16.0, 24.0]) * step**stage)
    pixels = np.ceil((32.0 / 2.0 ** (3.0 * stage * rng.integers(0, 2))) ** 2)
    genes = _layer_genes(rng, options, layers, base_width, gated=gated)
    genes += _chip_genes(rng)
    named = _named(rng, genes)
    architecture = []
    hardware = []
    meaning = {}
    for choice, gene in named:
        meaning[choice.name] = gene.meaning
        if gene.hardware:
            hardware.append(choice)
        else:
            architecture.append(choice)
    space = SearchSpace(architecture, hardware)
    return Blueprint(space, layers, meaning, base_width, pixels)


def _layer_genes(
    rng: np.random.Generator,
    options: list[str],
    layers: int,
    base_width: Array,
    *,
    gated: bool,
) -> list[_Gene]:
    """Draw the genes of the network.

    Args:
        rng: Source of all choices.
        options: Kinds of genes that every layer has.
        layers: Largest number of layers.
        base_width: The width of which each layer's widths are multiples, (layers,).
        gated: Whether a depth switches the last layers off.

    Returns:
        The genes.
    """
    genes: list[_Gene] = []
    fewest = max(2, layers // 2)
    depths = tuple(float(d) for d in range(fewest, layers + 1))
    if gated:
        genes.append(_Gene("depth", depths, {}, hardware=False))
    chosen = {name: _menu(rng, LAYER_VALUES[name]) for name in options}
    for layer in range(layers):
        gate: dict[str, tuple[float, ...]] = {}
        if gated and layer >= fewest:
            gate = {"depth": tuple(d for d in depths if d > layer)}
        for name, values in chosen.items():
            if name == "width":
                values = tuple(np.unique(np.ceil(base_width[layer] * np.array(values))))
            genes.append(_Gene(f"{name}{layer}", values, gate, hardware=False))
    if rng.random() < 0.3:
        genes.append(_Gene("resolution", (20.0, 24.0, 28.0, 32.0, 40.0), {}, hardware=False))
    return genes


def _chip_genes(rng: np.random.Generator) -> list[_Gene]:
    """Draw the genes of the chip: four or more of CHIP_VALUES, and one for the number of macros."""
    names = list(CHIP_VALUES)
    kept = rng.permutation(names)[: int(rng.integers(4, len(names) + 1))]
    genes = []
    for name in names:
        if name in kept:
            genes.append(_Gene(name, CHIP_VALUES[name], {}, hardware=True))
    if rng.random() < 0.5:
        macros = "macros"
    else:
        macros = "area_budget_mm2"
    genes.append(_Gene(macros, MACRO_VALUES[macros], {}, hardware=True))
    return genes


def _menu(rng: np.random.Generator, values: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    """Draw one of several lists of values."""
    return values[int(rng.integers(len(values)))]


def _named(rng: np.random.Generator, genes: list[_Gene]) -> list[tuple[Choice, _Gene]]:
    """Name genes and make them choices of a space.

    A gene is called by its meaning, which shows what layers have in common; but in one space of five
    it is called by its number.

    Returns:
        Each gene with its choice, in order.
    """
    is_by_number = rng.random() < 0.2
    names = {}
    for number, gene in enumerate(genes):
        names[gene.meaning] = f"x{number}" if is_by_number else gene.meaning
    named = []
    for gene in genes:
        active_if = {names[meaning]: values for meaning, values in gene.gate.items()}
        named.append((Choice(names[gene.meaning], gene.values, active_if), gene))
    return named
