"""The small spaces whose every accuracy CIM-NAS-Bench has measured, and their genes in full."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cimbo.problem.space import SearchSpace
from cimbo.workloads import network

TABLE_NETWORKS: dict[str, dict[str, tuple[int, ...]]] = {
    "fmnist-vit": {"depth": (2, 4, 6), "embed": (32, 48, 64), "heads": (1, 4), "mlp": (1, 3)},
    "fmnist-mobilenet": {
        "resolution": (20, 24, 28),
        "depth": (1, 2, 3),
        "kernel": (3, 5),
        "expand": (2, 4),
    },
    "reviews-minilm": {"depth": (3, 6), "heads": (4, 12), "mlp": (384, 1536)},
}
"""The small spaces of sub-networks; a gene stands for those of all layers or stages."""

TABLE_ARRAYS: dict[str, dict[str, tuple[Any, ...]]] = {
    "fmnist-vit": {
        "array": ("charge_sram", "rram"),
        "rows": (32, 64, 128),
        "adc_bits": (6, 8),
    },
    "fmnist-mobilenet": {
        "array": ("charge_sram", "rram"),
        "rows": (32, 64, 128),
        "adc_bits": (5, 7),
    },
    "reviews-minilm": {"array": ("charge_sram",), "rows": (32, 64), "adc_bits": (7, 9)},
}
"""The small spaces of arrays with converters; beside them digital arrays of 4 and of 8 bits."""

DIGITAL_WEIGHT_BITS = (4, 8)
DIGITAL_ARRAY = "digital_sram"


def products(values: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Goes over all combinations of values.

    Args:
        values: Gene to its values.

    Yields:
        One design after another, the last gene changing fastest.
    """
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def table_arrays(name: str) -> list[dict[str, Any]]:
    """Lists the arrays of a super-network's table.

    Args:
        name: The super-network.

    Returns:
        Those with converters, then digital ones.
    """
    arrays_of_table = list(products(TABLE_ARRAYS[name]))
    for bits in DIGITAL_WEIGHT_BITS:
        arrays_of_table.append({"array": DIGITAL_ARRAY, "weight_bits": bits})
    return arrays_of_table


def all_layers(name: str, small: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the genes of every layer from those of a small space.

    Args:
        name: The super-network.
        small: Genes of its small space.

    Returns:
        Each active gene of the super-network's space to its value.
    """
    space, full = _whole_space(name), {}
    for gene in space.names:
        full[gene] = small[gene.split("_")[0]]
    return dict(space.canonical(full))


@cache
def _whole_space(name: str) -> SearchSpace:
    return SearchSpace(network(name).choices())
