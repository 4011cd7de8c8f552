"""The joint search space: architecture genes and hardware genes, some active only under others.

People see a design as a flat dict of its *active* genes; the optimizer sees a row of integers, one
column a gene, holding the index of the gene's value or INACTIVE_INDEX. Two designs that differ only in
inactive genes are one design: they have the same canonical row, the same dict and the same key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, choose_from
from cimbo.problem.choice import Choice, Value
from cimbo.problem.counting import (
    ESTIMATE_SAMPLES,
    ConditionalGene,
    count_designs,
    estimate_designs,
)
from cimbo.problem.known_constraints import KnownConstraints
from cimbo.problem.scalars import is_absent, shown

Params = dict[str, Value]
Rows = NDArray[np.signedinteger[Any]]
LISTABLE_SIZE = 100_000  # designs of a smaller space can all be listed
INACTIVE_INDEX = -1

__all__ = ["INACTIVE_INDEX", "Choice", "Params", "Rows", "SearchSpace", "Value", "canonical_key"]


def _genes(side: str, choices: object) -> tuple[Choice, ...]:
    if isinstance(choices, Choice):
        return (choices,)
    if isinstance(choices, Iterable):
        listed = tuple(choices)
    else:
        listed = (choices,)
    for choice in listed:
        if not isinstance(choice, Choice):
            raise BadInput(f"space, {side}", f"holds {shown(choice)}", "give a list of Choice")
    return listed


@dataclass(frozen=True)
class SearchSpace:
    """All genes; those of the architecture first.

    A gene's conditions may name only genes of this space, without cycles. ``constraints`` between genes,
    such as "rows * cols <= 65536", hold for every design that is proposed.

    Examples:
        >>> from cimbo import Choice, SearchSpace
        >>> space = SearchSpace(
        ...     architecture=[Choice("depth", [8, 10, 12]), Choice("heads_9", [6, 8], {"depth": [10, 12]})],
        ...     hardware=[Choice("rows", [64, 128, 256]), Choice("cols", [64, 128])],
        ...     constraints=["rows * cols <= 16384"],
        ... )
        >>> space.size  # 5 networks on 5 chips
        25
        >>> space.canonical({"depth": 8, "heads_9": 6, "rows": 64, "cols": 64})
        {'depth': 8, 'rows': 64, 'cols': 64}
    """

    architecture: tuple[Choice, ...]
    hardware: tuple[Choice, ...]
    constraints: tuple[str, ...]

    def __init__(
        self,
        architecture: Iterable[Choice] = (),
        hardware: Iterable[Choice] = (),
        constraints: Iterable[str] = (),
    ) -> None:
        if isinstance(constraints, str):
            constraints = (constraints,)
        object.__setattr__(self, "constraints", tuple(constraints))
        object.__setattr__(self, "architecture", _genes("architecture", architecture))
        object.__setattr__(self, "hardware", _genes("hardware", hardware))
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
        _ = self.known

    @cached_property
    def known(self) -> KnownConstraints:
        """The constraints between genes, parsed."""
        return KnownConstraints(self, self.constraints)

    def allowed_rows(self, rows: Rows) -> NDArray[np.bool_]:
        """Tells which rows keep the constraints between genes.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            (n,) True where all are kept.
        """
        return self.known.allowed(rows)

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
        """All genes, those of the architecture first: the columns of a row."""
        return self.architecture + self.hardware

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all genes, in the order of `choices`."""
        return tuple(c.name for c in self.choices)

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each gene in a row, by its name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def row_type(self) -> type[np.signedinteger[Any]]:
        """The integers that rows are made of: of 16 bits, unless a gene has more values than they count."""
        most = max(len(c.values) for c in self.choices)
        if most <= np.iinfo(np.int16).max:
            return np.int16
        return np.int32

    @cached_property
    def cardinalities(self) -> Rows:
        """(d,) how many values each gene has."""
        return np.array([len(c.values) for c in self.choices], dtype=self.row_type)

    @cached_property
    def ordered(self) -> NDArray[np.bool_]:
        """(d,) whether each gene's values are numbers."""
        return np.array([c.ordered for c in self.choices])

    @cached_property
    def _gating_order(self) -> tuple[int, ...]:
        """Columns of conditional genes, every gate before the genes it switches."""
        order: list[int] = []
        pending = [i for i, c in enumerate(self.choices) if c.active_if]
        while pending:
            ready = []
            for i in pending:
                if not any(self.column[g] in pending for g in self.choices[i].active_if):
                    ready.append(i)
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
        """The gated columns in gating order, each with its gates.

        (column, ((gate column, table over its values and INACTIVE_INDEX last: open or not), ...))
        """

        def table(gate: str, values: tuple[Value, ...]) -> NDArray[np.bool_]:
            """(values + 1,) which values of ``gate`` are among ``values``; last, INACTIVE_INDEX: False."""
            return np.array([v in values for v in self.choices[self.column[gate]].values] + [False])

        gates = []
        for i in self._gating_order:
            conditions = self.choices[i].active_if.items()
            gates.append((i, tuple((self.column[g], table(g, v)) for g, v in conditions)))
        return tuple(gates)

    # ---- rows: what the optimizer works on --------------------------------------------------------------------------

    def canonical_rows(self, rows: NDArray[Any]) -> Rows:
        """Brings rows into their canonical form.

        Args:
            rows: (n, d) indices of values, or one row (d,); a negative index counts as 0.

        Returns:
            (n, d) the rows with every inactive gene set to INACTIVE_INDEX; a gene that is active but was
            INACTIVE_INDEX gets its first value.
        """
        rows = np.maximum(np.array(rows, dtype=self.row_type, ndmin=2), 0)
        for i, gates in self._gates:
            is_open = np.logical_and.reduce([open_[rows[:, gate]] for gate, open_ in gates])
            rows[~is_open, i] = INACTIVE_INDEX
        return rows

    def rows(self, designs: Iterable[Mapping[str, Value]]) -> Rows:
        """Turns dicts into canonical rows.

        Args:
            designs: n dicts of gene to value; inactive genes may be left out, or be given.

        Returns:
            (n, d) indices of the values; INACTIVE_INDEX for inactive genes.

        Raises:
            BadInput: For an unknown gene, a missing active gene or a wrong value.
        """
        designs = list(designs)
        rows = np.array([self._row(d) for d in designs], dtype=self.row_type).reshape(
            -1, len(self.choices)
        )
        canonical = self.canonical_rows(rows)
        for i, j in np.argwhere((canonical != INACTIVE_INDEX) & (rows == INACTIVE_INDEX))[:1]:
            if self.names[j] in designs[i]:  # with NaN or None, as an inactive gene has in a table
                self.choices[j].index(designs[i][self.names[j]])
            raise BadInput(
                f"design {i}",
                f"gene {self.names[j]} is missing",
                f"give it one of {list(self.choices[j].values)}",
            )
        return canonical

    def _row(self, design: Mapping[str, Value]) -> list[int]:
        if not isinstance(design, Mapping):
            raise BadInput("design", f"is {shown(design)}", "give a dict of a gene to its value")
        unknown = [name for name in design if name not in self.column]
        if unknown:
            raise BadInput(
                f"gene {unknown[0]}",
                "is not in this space",
                choose_from(unknown[0], self.names, "the genes are"),
            )
        row = []
        for choice in self.choices:
            value = design.get(choice.name)
            row.append(INACTIVE_INDEX if is_absent(value) else choice.index(value))  # type: ignore[arg-type]
        return row

    def designs(self, rows: NDArray[Any]) -> list[Params]:
        """Turns rows into dicts.

        Args:
            rows: (n, d) rows, canonical or not.

        Returns:
            n dicts of the active genes to their values, in the space's order.
        """
        designs = []
        for row in self.canonical_rows(rows):
            genes = zip(self.choices, row, strict=True)
            designs.append({c.name: c.values[i] for c, i in genes if i != INACTIVE_INDEX})
        return designs

    def canonical(self, design: Mapping[str, Value]) -> Params:
        """Drops the inactive genes of a design.

        Args:
            design: Gene to value.

        Returns:
            The active genes to their values, in the space's order.

        Raises:
            BadInput: As `rows` does.
        """
        return self.designs(self.rows([design]))[0]

    def encode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Writes rows as numbers.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            (n, d) the value of an ordered gene, the index of an unordered one's; NaN where
            inactive.
        """
        columns = [lookup[rows[:, i]] for i, lookup in enumerate(self._numbers)]
        return np.stack(columns, axis=1)

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float64], ...]:
        """For each gene the number that stands for each index.

        The last one, which INACTIVE_INDEX (-1) selects, is NaN.
        """
        numbers = []
        for c in self.choices:
            values = c.values if c.ordered else range(len(c.values))
            numbers.append(np.array([*values, np.nan], float))
        return tuple(numbers)

    # ---- what a search needs ----------------------------------------------------------------------------------------

    def sobol(self, n: int, seed: int = 0) -> list[Params]:
        """Draws the designs of `sobol_rows`.

        Args:
            n: How many.
            seed: Of the scrambling.

        Returns:
            The designs as dicts, all different.
        """
        return self.designs(self.sobol_rows(n, seed))

    def sobol_rows(self, n: int, seed: int = 0) -> Rows:
        """Draws different rows from a scrambled Sobol sequence.

        Small spaces repeat points of the sequence; those are skipped.

        Args:
            n: How many.
            seed: Of the scrambling.

        Returns:
            (n, d) canonical rows that keep the constraints, all different. They are fewer when the
            space holds fewer, or when no more are found in a space too large to list.
        """
        from scipy.stats import qmc

        n = min(n, self.size)
        if n < 1:
            return np.zeros((0, len(self.choices)), self.row_type)
        sampler = qmc.Sobol(len(self.choices), scramble=True, rng=np.random.default_rng(seed))
        found: dict[bytes, Rows] = {}
        draw = 1 << max(n - 1, 1).bit_length()
        for _ in range(64):
            points = sampler.random(draw)
            drawn = self.canonical_rows(
                np.minimum(points * self.cardinalities, self.cardinalities - 1)
            )
            for row in self._permitted(drawn):
                found.setdefault(row.tobytes(), row)
            if len(found) >= n:
                return np.stack(list(found.values())[:n])
        found |= {row.tobytes(): row for row in self._enumerate(n)} if self.is_listable else {}
        return np.stack(list(found.values())[:n])

    def random_rows(self, n: int, rng: np.random.Generator) -> Rows:
        """Draws rows at random, every gene uniform.

        Rows may repeat. One that breaks a constraint is put right, or left out where that fails.

        Args:
            n: How many to draw.
            rng: Where the random numbers come from.

        Returns:
            (n, d) canonical rows; fewer than n where some were left out.
        """
        rows = self.canonical_rows(rng.integers(0, self.cardinalities, size=(n, len(self.choices))))
        return self._permitted(rows)

    def _permitted(self, rows: Rows) -> Rows:
        """Canonical rows with those that break a constraint put right; what cannot be is left out."""
        if not self.constraints:
            return rows
        rows = self.known.repaired(rows)
        return rows[self.allowed_rows(rows)]

    def neighbours(self, design: Mapping[str, Value]) -> list[Params]:
        """Lists the designs that differ from a design in the value of one active gene.

        Genes that the change makes active take their first value.

        Args:
            design: Gene to value.

        Returns:
            The neighbours that keep the constraints, as dicts.

        Raises:
            BadInput: As `rows` does.
        """
        row = self.rows([design])[0]
        changed = []
        for i in np.flatnonzero(row != INACTIVE_INDEX):
            for v in range(self.cardinalities[i]):
                if v != row[i]:
                    changed.append(np.where(np.arange(len(row)) == i, v, row))
        if not changed:
            return []
        rows = self.canonical_rows(np.stack(changed))
        return self.designs(rows[self.allowed_rows(rows)])

    @property
    def size(self) -> int:
        """The number of different designs; see `size_is_exact`."""
        return self._size[0]

    @property
    def is_listable(self) -> bool:
        """Whether there are so few designs that all of them can be looked at."""
        return self.size_is_exact and self.size < LISTABLE_SIZE

    @property
    def size_is_exact(self) -> bool:
        """Whether `size` was counted.

        It is estimated where the conditions are too entangled to count.
        """
        return self._size[1]

    @cached_property
    def _size(self) -> tuple[int, bool]:
        """The number of designs, and whether it is exact."""
        gates = dict(self._gates)
        genes = []
        for i, choice in enumerate(self.choices):
            opening = tuple((gate, is_open[:-1]) for gate, is_open in gates.get(i, ()))
            genes.append(ConditionalGene(len(choice.values), opening))
        counted = count_designs(genes)
        if self.constraints and counted is not None:
            if counted < LISTABLE_SIZE:
                return len(self._enumerate(counted)), True
            return max(1, int(counted * self.known.share)), False
        if counted is not None:
            return counted, True
        sample = self.random_rows(ESTIMATE_SAMPLES, np.random.default_rng(0))
        return estimate_designs(self.cardinalities, sample != INACTIVE_INDEX), False

    def _enumerate(self, most: int) -> Rows:
        """The first ``most`` designs, each once, ordered by the indices of their values.

        Inactive genes count as 0.
        """
        conditional = dict(self._gates)
        rows = np.zeros((1, len(self.choices)), self.row_type)
        free = [i for i in range(len(self.choices)) if i not in conditional]
        for i in [*free, *conditional]:
            is_open = np.ones(len(rows), bool)
            for gate, opening in conditional.get(i, ()):
                is_open &= opening[rows[:, gate]]
            copies = np.where(is_open, self.cardinalities[i], 1)
            first = np.cumsum(copies) - copies
            rows = np.repeat(rows, copies, axis=0)
            rows[:, i] = np.arange(len(rows)) - np.repeat(first, copies)
            rows[np.repeat(~is_open, copies), i] = INACTIVE_INDEX
        rows = rows[self.allowed_rows(rows)]
        order = np.lexsort(np.maximum(rows, 0).T[::-1])
        return rows[order[:most]]

    def key(self, design: Mapping[str, Value], genes: Iterable[str] | None = None) -> str:
        """Computes the canonical key of a design.

        Args:
            design: Gene to value.
            genes: Names of the genes that count; None: all.

        Returns:
            12 hex digits; designs that differ only in inactive genes have the same.

        Raises:
            BadInput: As `rows` does.
        """
        canonical = self.canonical(design)
        if genes is None:
            kept = canonical
        else:
            kept = {g: canonical[g] for g in genes if g in canonical}
        return canonical_key(kept)

    def to_json(self) -> dict[str, Any]:
        """Describes the space for a study file; `from_json` reads it again."""
        described: dict[str, Any] = {
            "architecture": [c.to_json() for c in self.architecture],
            "hardware": [c.to_json() for c in self.hardware],
        }
        if self.constraints:
            described["constraints"] = list(self.constraints)
        return described

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> SearchSpace:
        """Makes the space that `to_json` described.

        Args:
            data: The description: lists of genes, and the constraints between them.

        Returns:
            The space.

        Raises:
            BadInput: When ``data`` is not of that form, or describes what is no valid space.
        """
        try:
            architecture, hardware = (
                [Choice.stored(**c) for c in data.get(side, ())]
                for side in ("architecture", "hardware")
            )
            return SearchSpace(architecture, hardware, data.get("constraints") or ())
        except (TypeError, AttributeError) as error:
            raise BadInput(
                "space",
                f"is not a description of genes ({error})",
                "give lists of {name, values, active_if}",
            ) from None


def canonical_key(design: Params) -> str:
    """Computes the key of a design that is canonical already.

    Args:
        design: Gene to value, active genes only.

    Returns:
        12 hex digits; the order of the genes does not matter.
    """
    text = json.dumps(design, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
