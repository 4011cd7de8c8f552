"""The joint search space: architecture genes and hardware genes, some active only under others.

People see a design as a flat dict of its *active* genes; the optimizer sees a row of integers, one column a gene, holding
the index of the gene's value or INACTIVE. Two designs that differ only in inactive genes are one design: they have the same
canonical row, the same dict and the same key.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput

Value = int | float | str
Params = dict[str, Value]
Rows = NDArray[np.int16]
INACTIVE = -1


@dataclass(frozen=True)
class Choice:
    """One gene: a name and the values it may take, ordered when they are numbers, unordered when they are strings.

    ``active_if={"depth": [10, 12]}`` makes the gene exist only while every named gene has one of the listed values.
    Raises BadInput for no values, repeated values, or a mixture of numbers and strings.
    """

    name: str
    values: tuple[Value, ...]
    active_if: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __init__(
        self,
        name: str,
        values: Iterable[Value],
        active_if: Mapping[str, Iterable[Value]] | None = None,
    ) -> None:
        values = tuple(values)
        if not name or not isinstance(name, str):
            raise BadInput(f"gene {name!r}", "a gene needs a name", "give it a non-empty string")
        numbers = [isinstance(v, int | float) and abs(v) <= sys.float_info.max for v in values]
        if not all(numbers) and not all(isinstance(v, str) for v in values):
            raise BadInput(
                f"gene {name}",
                "values must be all finite numbers or all strings",
                f"it lists {list(values)}",
            )
        if not values or len(set(values)) < len(values):
            raise BadInput(
                f"gene {name}", "needs at least one value, none twice", f"it lists {list(values)}"
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", tuple(sorted(values)) if all(numbers) else values)
        object.__setattr__(self, "active_if", {k: tuple(v) for k, v in (active_if or {}).items()})

    @property
    def ordered(self) -> bool:
        return not isinstance(self.values[0], str)

    def index(self, value: Value) -> int:
        """Position of ``value``. Raises BadInput when the gene cannot take it."""
        try:
            return self.values.index(value)
        except ValueError:
            raise BadInput(
                f"gene {self.name}", f"cannot be {value!r}", f"choose one of {list(self.values)}"
            ) from None

    def to_json(self) -> dict[str, Any]:
        conditions = {k: list(v) for k, v in self.active_if.items()}
        return {"name": self.name, "values": list(self.values)} | (
            {"active_if": conditions} if conditions else {}
        )


@dataclass(frozen=True)
class SearchSpace:
    """All genes; those of the architecture first. A gene's conditions may name only genes of this space, without cycles."""

    architecture: tuple[Choice, ...]
    hardware: tuple[Choice, ...]

    def __init__(
        self, architecture: Iterable[Choice] = (), hardware: Iterable[Choice] = ()
    ) -> None:
        object.__setattr__(self, "architecture", tuple(architecture))
        object.__setattr__(self, "hardware", tuple(hardware))
        if not self.choices:
            raise BadInput("space", "has no genes", "list at least one Choice")
        repeated = {n for n in self.names if self.names.count(n) > 1}
        if repeated:
            raise BadInput(
                "space",
                f"names {sorted(repeated)} stand more than once",
                "give every gene a name of its own",
            )
        self._check_conditions()

    def _check_conditions(self) -> None:
        for choice in self.choices:
            for gate, values in choice.active_if.items():
                if gate not in self.column:
                    raise BadInput(
                        f"gene {choice.name}",
                        f"depends on unknown gene {gate}",
                        f"use one of {list(self.names)}",
                    )
                for value in values:
                    self.choices[self.column[gate]].index(value)
        _ = self._gating_order

    @property
    def choices(self) -> tuple[Choice, ...]:
        return self.architecture + self.hardware

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.choices)

    @cached_property
    def column(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def cardinalities(self) -> NDArray[np.int16]:
        return np.array([len(c.values) for c in self.choices], dtype=np.int16)

    @cached_property
    def ordered(self) -> NDArray[np.bool_]:
        return np.array([c.ordered for c in self.choices])

    @cached_property
    def _gating_order(self) -> tuple[int, ...]:
        """Columns of conditional genes, every gate before the genes it switches."""
        order: list[int] = []
        pending = [i for i, c in enumerate(self.choices) if c.active_if]
        while pending:
            ready = [
                i
                for i in pending
                if not any(self.column[g] in pending for g in self.choices[i].active_if)
            ]
            if not ready:
                raise BadInput(
                    "space",
                    f"conditions of {[self.names[i] for i in pending]} form a cycle",
                    "break the cycle",
                )
            order += ready
            pending = [i for i in pending if i not in ready]
        return tuple(order)

    @cached_property
    def _gates(self) -> tuple[tuple[int, tuple[tuple[int, NDArray[np.bool_]], ...]], ...]:
        """(column, ((gate column, table over its values and INACTIVE last: open or not), ...)) in gating order."""

        def table(gate: str, values: tuple[Value, ...]) -> NDArray[np.bool_]:
            return np.array([v in values for v in self.choices[self.column[gate]].values] + [False])

        return tuple(
            (i, tuple((self.column[g], table(g, v)) for g, v in self.choices[i].active_if.items()))
            for i in self._gating_order
        )

    # ---- rows: what the optimizer works on --------------------------------------------------------------------------

    def canonical_rows(self, rows: NDArray[Any]) -> Rows:
        """Rows (n, d) with every inactive gene set to INACTIVE; a gene that is active but INACTIVE gets its first value."""
        rows = np.maximum(np.array(rows, dtype=np.int16, ndmin=2), 0)
        for i, gates in self._gates:
            is_open = np.logical_and.reduce([open_[rows[:, gate]] for gate, open_ in gates])
            rows[~is_open, i] = INACTIVE
        return rows

    def rows(self, designs: Iterable[Mapping[str, Value]]) -> Rows:
        """Canonical rows (n, d) of dicts. Raises BadInput for an unknown gene, a missing active gene or a wrong value."""
        rows = np.array([self._row(d) for d in designs], dtype=np.int16).reshape(
            -1, len(self.choices)
        )
        canonical = self.canonical_rows(rows)
        for i, j in np.argwhere((canonical != INACTIVE) & (rows == INACTIVE))[:1]:
            raise BadInput(
                f"design {i}",
                f"gene {self.names[j]} is missing",
                f"give it one of {list(self.choices[j].values)}",
            )
        return canonical

    def _row(self, design: Mapping[str, Value]) -> list[int]:
        unknown = [name for name in design if name not in self.column]
        if unknown:
            raise BadInput(
                f"gene {unknown[0]}",
                "is not in this space",
                f"the genes are {', '.join(self.names)}",
            )
        return [c.index(design[c.name]) if c.name in design else INACTIVE for c in self.choices]

    def designs(self, rows: NDArray[Any]) -> list[Params]:
        """Dicts of the active genes of rows (n, d), in the space's order."""
        return [
            {c.name: c.values[i] for c, i in zip(self.choices, row, strict=True) if i != INACTIVE}
            for row in self.canonical_rows(rows)
        ]

    def canonical(self, design: Mapping[str, Value]) -> Params:
        """``design`` without its inactive genes. Raises as ``rows`` does."""
        return self.designs(self.rows([design]))[0]

    def encode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Rows (n, d) as numbers: the value of an ordered gene, the index of an unordered one's; NaN where inactive."""
        columns = [lookup[rows[:, i]] for i, lookup in enumerate(self._numbers)]
        return np.stack(columns, axis=1)

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float64], ...]:
        """For each gene the number that stands for each index; the last one, which INACTIVE (-1) selects, is NaN."""
        return tuple(
            np.array([*(c.values if c.ordered else range(len(c.values))), np.nan], float)
            for c in self.choices
        )

    # ---- what a search needs ----------------------------------------------------------------------------------------

    def sobol(self, n: int, seed: int = 0) -> list[Params]:
        """``n`` different designs from a scrambled Sobol sequence (fewer only when the space holds fewer).

        Small spaces repeat points of the sequence; those are skipped.
        """
        from scipy.stats import qmc

        n = min(n, self.size)
        if n < 1:
            return []
        sampler = qmc.Sobol(len(self.choices), scramble=True, rng=np.random.default_rng(seed))
        found: dict[bytes, NDArray[np.int16]] = {}
        draw = 1 << max(n - 1, 1).bit_length()
        for _ in range(64):
            points = sampler.random(draw)
            for row in self.canonical_rows(
                np.minimum(points * self.cardinalities, self.cardinalities - 1)
            ):
                found.setdefault(row.tobytes(), row)
            if len(found) >= n:
                return self.designs(np.stack(list(found.values())[:n]))
        found |= {row.tobytes(): row for row in self._enumerate(n)} if self.size < 100_000 else {}
        return self.designs(np.stack(list(found.values())[:n]))

    def random_rows(self, n: int, rng: np.random.Generator) -> Rows:
        """``n`` canonical rows, every gene uniform (repeats possible)."""
        return self.canonical_rows(rng.integers(0, self.cardinalities, size=(n, len(self.choices))))

    def neighbours(self, design: Mapping[str, Value]) -> list[Params]:
        """Every other design that differs in the value of one active gene; genes it wakes take their first value."""
        row = self.rows([design])[0]
        changed = [
            np.where(np.arange(len(row)) == i, v, row)
            for i in np.flatnonzero(row != INACTIVE)
            for v in range(self.cardinalities[i])
            if v != row[i]
        ]
        return self.designs(np.stack(changed)) if changed else []

    @cached_property
    def size(self) -> int:
        """The number of different designs, exactly."""
        return math.prod(self._count(group) for group in self._groups())

    def _groups(self) -> list[list[int]]:
        """Columns split into sets that no condition connects."""
        groups: list[set[int]] = [{i} for i in range(len(self.choices))]
        for i, gates in self._gates:
            touched = {i, *(gate for gate, _ in gates)}
            joined = [g for g in groups if g & touched]
            groups = [g for g in groups if not g & touched] + [set().union(*joined)]
        return [sorted(g) for g in groups]

    def _count(self, group: Sequence[int]) -> int:
        gates = sorted({gate for i, gs in self._gates if i in group for gate, _ in gs})
        leaves = [i for i in group if i not in gates]
        rows = np.full(
            (math.prod(int(self.cardinalities[g]) for g in gates), len(self.choices)),
            0,
            dtype=np.int16,
        )
        if gates:
            rows[:, gates] = list(itertools.product(*(range(self.cardinalities[g]) for g in gates)))
        settings = np.unique(self.canonical_rows(rows), axis=0)
        return sum(
            math.prod(int(self.cardinalities[i]) for i in leaves if row[i] != INACTIVE)
            for row in settings
        )

    def _enumerate(self, most: int) -> Rows:
        every = itertools.product(*(range(c) for c in self.cardinalities))
        seen: dict[bytes, Any] = {}
        for row in every:
            canonical = self.canonical_rows(np.array(row))[0]
            seen.setdefault(canonical.tobytes(), canonical)
            if len(seen) >= most:
                break
        return np.stack(list(seen.values()))

    def key(self, design: Mapping[str, Value], genes: Iterable[str] | None = None) -> str:
        """Canonical key: 12 hex digits of the active genes (of those among ``genes`` only, when given)."""
        canonical = self.canonical(design)
        kept = canonical if genes is None else {g: canonical[g] for g in genes if g in canonical}
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "architecture": [c.to_json() for c in self.architecture],
            "hardware": [c.to_json() for c in self.hardware],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> SearchSpace:
        """The space that ``to_json`` described. Raises BadInput when ``data`` is not of that form."""
        try:
            sides = (
                [Choice(**c) for c in data.get(side, ())] for side in ("architecture", "hardware")
            )
            return SearchSpace(*sides)
        except (TypeError, AttributeError) as error:
            raise BadInput(
                "space",
                f"is not a description of genes ({error})",
                "give lists of {name, values, active_if}",
            ) from None
