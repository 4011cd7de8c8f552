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
from cimbo.problem.gene_columns import INACTIVE_INDEX, GeneColumns, Rows
from cimbo.problem.known_constraints import KnownConstraints
from cimbo.problem.listing import LISTABLE_SIZE, SpaceSize, measure_size
from cimbo.problem.sampling import sobol_rows
from cimbo.problem.scalars import is_absent, shown

Params = dict[str, Value]

__all__ = ["INACTIVE_INDEX", "Choice", "Params", "Rows", "SearchSpace", "Value", "canonical_key"]


def _genes(side: str, choices: object) -> tuple[Choice, ...]:
    """The genes of one side ("architecture" or "hardware") as a tuple; a single gene counts as a list of one."""
    listed: tuple[Any, ...] = (choices,)
    if isinstance(choices, Iterable) and not isinstance(choices, Choice):
        listed = tuple(choices)
    for choice in listed:
        if not isinstance(choice, Choice):
            raise BadInput(f"space, {side}", f"holds {shown(choice)}", "give a list of Choice")
    return listed


@dataclass(frozen=True)
class SearchSpace(GeneColumns):
    """All genes of a study, those of the architecture first, and the constraints between them.

    A gene's conditions (``active_if``) may name only genes of this space, without cycles. ``constraints``
    between genes, such as "rows * cols <= 65536", hold for every design that is proposed.

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
        self._check_names()
        self._check_conditions()
        _ = self.known  # refuses what is no constraint

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

    def _check_names(self) -> None:
        """Refuse a space without genes, or with two of one name."""
        if not self.choices:
            raise BadInput("space", "has no genes", "list at least one Choice")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            wrong = f"names {repeated} stand more than once"
            raise BadInput("space", wrong, "give every gene a name of its own")

    def _check_conditions(self) -> None:
        """Refuse conditions on unknown genes, on values that these cannot have, and conditions that form a cycle."""
        for choice in self.choices:
            for gate, values in choice.active_if.items():
                self._check_gate(choice, gate, values)
        _ = self.gated_genes  # refuses a cycle

    def _check_gate(self, choice: Choice, gate: str, values: Iterable[Value]) -> None:
        """Refuse a condition of a gene on another one, ``gate``, that this space lacks or that lacks one of the values."""
        if gate not in self.column:
            wrong = f"depends on unknown gene {gate}"
            raise BadInput(f"gene {choice.name}", wrong, f"use one of {list(self.names)}")
        for value in values:
            try:
                self.choices[self.column[gate]].index(value)
            except BadInput as error:
                where = f"gene {choice.name}, active_if {gate}"
                raise BadInput(where, error.what, error.todo) from None

    # ---- rows: what the optimizer works on --------------------------------------------------------------------------

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
        indices = [self._row(design) for design in designs]
        rows = np.array(indices, dtype=self.row_type).reshape(-1, len(self.choices))
        canonical = self.canonical_rows(rows)
        # A gene that is active in the canonical row but not in the design was left out
        missing = (canonical != INACTIVE_INDEX) & (rows == INACTIVE_INDEX)
        if missing.any():
            number, column = np.argwhere(missing)[0]
            self._refuse_missing(int(number), designs[number], self.choices[column])
        return canonical

    def _refuse_missing(
        self,
        number: int,
        design: Mapping[str, Value],
        choice: Choice,
    ) -> None:
        """Raises the BadInput for an active gene that a design does not have."""
        # Given, but as NaN or None, as a table has for an inactive gene: that is no value of the gene
        if choice.name in design:
            choice.index(design[choice.name])
        wrong = f"gene {choice.name} is missing"
        raise BadInput(f"design {number}", wrong, f"give it one of {list(choice.values)}")

    def _row(self, design: Mapping[str, Value]) -> list[int]:
        """The indices of a design's values; INACTIVE_INDEX for a gene that it does not have."""
        if not isinstance(design, Mapping):
            raise BadInput("design", f"is {shown(design)}", "give a dict of a gene to its value")
        self._check_known(design)
        row = []
        for choice in self.choices:
            value = design.get(choice.name)
            if value is None or is_absent(value):
                row.append(INACTIVE_INDEX)
            else:
                row.append(choice.index(value))
        return row

    def _check_known(self, names: Iterable[str]) -> None:
        """Refuse the first name that is no gene."""
        for name in names:
            if name not in self.column:
                todo = choose_from(name, self.names, "the genes are")
                raise BadInput(f"gene {name}", "is not in this space", todo)

    def designs(self, rows: NDArray[Any]) -> list[Params]:
        """Turns rows into dicts.

        Args:
            rows: (n, d) rows, canonical or not.

        Returns:
            n dicts of the active genes to their values, in the space's order.
        """
        designs = []
        for row in self.canonical_rows(rows):
            design = {}
            for choice, index in zip(self.choices, row, strict=True):
                if index != INACTIVE_INDEX:
                    design[choice.name] = choice.values[index]
            designs.append(design)
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

    # ---- what a search needs ----------------------------------------------------------------------------------------

    def sobol(self, n: int, seed: int = 0) -> list[Params]:
        """Draws the designs of `sobol_rows`.

        Args:
            n: How many.
            seed: Seed of the scrambling.

        Returns:
            The designs as dicts, all different.
        """
        return self.designs(self.sobol_rows(n, seed))

    def sobol_rows(self, n: int, seed: int = 0) -> Rows:
        """Draws different rows from a scrambled Sobol sequence.

        Small spaces repeat points of the sequence; those are skipped.

        Args:
            n: How many.
            seed: Seed of the scrambling.

        Returns:
            (n, d) canonical rows that keep the constraints, all different. They are fewer when the
            space holds fewer, or when no more are found in a space too large to list.
        """
        wanted = min(n, self.size)
        if wanted < 1:
            return np.zeros((0, len(self.choices)), self.row_type)
        return sobol_rows(self, wanted, seed)

    def random_rows(self, n: int, rng: np.random.Generator) -> Rows:
        """Draws rows at random, every gene uniformly among its values.

        Rows may repeat. A row that breaks a constraint is repaired, or left out where that fails.

        Args:
            n: How many to draw.
            rng: Where the random numbers come from.

        Returns:
            (n, d) canonical rows; fewer than n where some were left out.
        """
        rows = self.canonical_rows(rng.integers(0, self.cardinalities, size=(n, len(self.choices))))
        return self.put_right(rows)

    def put_right(self, rows: Rows) -> Rows:
        """Repairs rows that break a constraint: their genes take the nearest allowed values.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            (k, d) canonical rows that keep all constraints; rows that cannot be repaired are left out.
        """
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
        for column in np.flatnonzero(row != INACTIVE_INDEX):
            for index in range(self.cardinalities[column]):
                if index != row[column]:
                    changed.append(row.copy())
                    changed[-1][column] = index
        if not changed:
            return []
        rows = self.canonical_rows(np.stack(changed))
        return self.designs(rows[self.allowed_rows(rows)])

    @property
    def size(self) -> int:
        """The number of different designs; see `size_is_exact`."""
        return self._size.designs

    @property
    def is_listable(self) -> bool:
        """Whether there are so few designs that all of them can be looked at."""
        return self.size_is_exact and self.size < LISTABLE_SIZE

    @property
    def size_is_exact(self) -> bool:
        """Whether `size` was counted; it is estimated where conditions or constraints are too entangled."""
        return self._size.is_exact

    @cached_property
    def _size(self) -> SpaceSize:
        return measure_size(self)

    def key(
        self,
        design: Mapping[str, Value],
        genes: Iterable[str] | None = None,
    ) -> str:
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
        if genes is not None:
            canonical = {name: canonical[name] for name in genes if name in canonical}
        return canonical_key(canonical)

    def to_json(self) -> dict[str, Any]:
        """Describes the space for a study file; `from_json` reads it again."""
        described: dict[str, Any] = {
            "architecture": [choice.to_json() for choice in self.architecture],
            "hardware": [choice.to_json() for choice in self.hardware],
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
            architecture = [Choice.stored(**gene) for gene in data.get("architecture", ())]
            hardware = [Choice.stored(**gene) for gene in data.get("hardware", ())]
            return SearchSpace(architecture, hardware, data.get("constraints") or ())
        except (TypeError, AttributeError) as error:
            wrong = f"is not a description of genes ({error})"
            raise BadInput("space", wrong, "give lists of {name, values, active_if}") from None


def canonical_key(design: Params) -> str:
    """Computes the key of a design that is canonical already.

    Args:
        design: Gene to value, active genes only.

    Returns:
        12 hex digits; the order of the genes does not matter.
    """
    text = json.dumps(design, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
