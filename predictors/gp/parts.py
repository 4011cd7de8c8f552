"""What a kernel is evaluated on, part by part, and how many hyper-parameters its parts have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.schema import Array

Index = NDArray[np.intp]


@dataclass(frozen=True)
class MaternInput:
    """The rows as one Matern part sees them.

    Attributes:
        points: (..., n, k) coordinates, not yet divided by lengthscales.
        owners: (k,) for each column the index of its lengthscale among all lengthscales.
    """

    points: Array
    owners: Index

    def take(self, rows: Any) -> MaternInput:
        """Choose rows.

        Args:
            rows: Row numbers, or anything else that indexes the first axis.

        Returns:
            The points of these rows.
        """
        return MaternInput(self.points[rows], self.owners)


@dataclass(frozen=True)
class KernelInputs:
    """The rows as the whole kernel sees them.

    Attributes:
        matern: The points of every Matern part: the fine one, then the coarse one if there is one.
        linear: (..., n, l) columns of all linear parts side by side.
        group: (l,) the number of the linear part that each of these columns belongs to.
    """

    matern: tuple[MaternInput, ...]
    linear: Array
    group: Index

    def take(self, rows: Any) -> KernelInputs:
        """Choose rows.

        Args:
            rows: Row numbers, or anything else that indexes the first axis.

        Returns:
            Kernel inputs of these rows.
        """
        matern = tuple(part.take(rows) for part in self.matern)
        return KernelInputs(matern, self.linear[rows], self.group)


@dataclass(frozen=True)
class Sizes:
    """How many hyper-parameters a kernel has.

    Attributes:
        lengthscales: (Matern parts,) how many lengthscales each Matern part has.
        linear_parts: How many linear parts there are, without that of a basis.
        has_basis: Whether there is one more linear part, of a basis.
    """

    lengthscales: tuple[int, ...]
    linear_parts: int
    has_basis: bool = False

    @property
    def ends(self) -> list[int]:
        """Where lengthscales, Matern variances and linear variances end in a packed array."""
        lengthscales_end = sum(self.lengthscales)
        matern_end = lengthscales_end + len(self.lengthscales)
        linear_end = matern_end + self.linear_parts + int(self.has_basis)
        return [lengthscales_end, matern_end, linear_end]
