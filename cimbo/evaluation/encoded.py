"""Decodes the networks and chips of encoded designs, by the thousand, without a dictionary for each design.

An encoded design is a row of integers (d,): for each of the d genes the index of its value, or INACTIVE_INDEX. It splits into
the genes of the network and those of the chip. Each distinct part is decoded once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.space import INACTIVE_INDEX, Params, Rows, SearchSpace
from cimbo.workloads.layers import Workload

MAX_CACHED_PARTS = 20_000  # networks, and chips, kept in memory
Part = TypeVar("Part")


@dataclass
class DesignParts:
    """Decodes the networks and chips of encoded designs of one space.

    Attributes:
        space: The space.
        is_architecture: Whether each gene belongs to the network, (d,).
        workload: Makes a network of its active genes.
        fixed: Properties that every chip has.
        descriptors: Describes a network by its active genes, as ``cimbo.workloads.Described`` does.
    """

    space: SearchSpace
    is_architecture: NDArray[np.bool_]
    workload: Callable[[Params], Workload]
    fixed: Mapping[str, Any]
    descriptors: Callable[[Params], Mapping[str, float]]
    _workloads: dict[bytes, Workload] = field(default_factory=dict, repr=False)
    _chips: dict[bytes, dict[str, Any]] = field(default_factory=dict, repr=False)
    _descriptions: dict[bytes, Mapping[str, float]] = field(default_factory=dict, repr=False)

    def workloads(self, rows: Rows) -> list[Workload]:
        """Decodes the network of each row.

        Args:
            rows: (n, d) canonical rows of the space.

        Returns:
            n networks; rows with the same network share one.
        """
        return _each(rows, self.is_architecture, self._workloads, self._network)

    def chips(self, rows: Rows) -> list[dict[str, Any]]:
        """Decodes the chip of each row.

        Args:
            rows: (n, d) canonical rows of the space.

        Returns:
            n chips as a simulator takes them: active genes and fixed properties. Rows with the same
            chip share one.
        """
        return _each(rows, ~self.is_architecture, self._chips, self._chip)

    def descriptions(self, rows: Rows) -> list[Mapping[str, float]]:
        """Describes the network of each row.

        Args:
            rows: (n, d) canonical rows of the space.

        Returns:
            n descriptions, numbers by name; rows with the same network share one.
        """
        return _each(rows, self.is_architecture, self._descriptions, self._description)

    def _description(self, row: Rows) -> Mapping[str, float]:
        """Describe the network of one encoded design (d,)."""
        return self.descriptors(self._decoded(row, self.is_architecture))

    def _network(self, row: Rows) -> Workload:
        """Decode the network of one encoded design (d,)."""
        return self.workload(self._decoded(row, self.is_architecture))

    def _chip(self, row: Rows) -> dict[str, Any]:
        """Decode the chip of one encoded design (d,), with the properties that every chip has."""
        return {**self.fixed, **self._decoded(row, ~self.is_architecture)}

    def _decoded(self, row: Rows, part: NDArray[np.bool_]) -> Params:
        """Decode the active genes of an encoded design (d,) for which ``part`` (d,) is True."""
        columns = np.flatnonzero(part & (row != INACTIVE_INDEX))
        choices = self.space.choices
        return {choices[j].name: choices[j].values[row[j]] for j in columns}


def _each(
    rows: Rows,
    part: NDArray[np.bool_],
    known: dict[bytes, Part],
    make: Callable[[Rows], Part],
) -> list[Part]:
    """Decode a part of each row, once for all rows that agree in it.

    Args:
        rows: Encoded designs, (n, d).
        part: True for the genes that belong to the part, (d,).
        known: Parts that were decoded before, by the bytes of their genes; new ones are added.
        make: Decodes the part of one row.

    Returns:
        The part of each row; equal parts are the same object.
    """
    keys = [key.tobytes() for key in np.ascontiguousarray(rows[:, part])]
    if len(known) + len(keys) > MAX_CACHED_PARTS:
        known.clear()
    for key, row in zip(keys, rows, strict=True):
        if key not in known:
            known[key] = make(row)
    return [known[key] for key in keys]
