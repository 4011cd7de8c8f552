"""One gene of a search space: its name, its values, and when it exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.scalars import finite, plain, shown

Value = int | float | str
EXACT_INTEGERS = 2**53  # below, every integer is a float64 too


@dataclass(frozen=True)
class Choice:
    """One gene: a name and the values it may take.

    They are ordered when they are numbers, unordered when they are strings.
    ``active_if={"depth": [10, 12]}`` makes the gene exist only while every named gene has one of
    the listed values. Raises BadInput for no values, repeated values, or a mixture of numbers and
    strings.

    Examples:
        >>> from cimbo import Choice
        >>> Choice("rows", [64, 128, 256]).ordered
        True
        >>> Choice("adc_bits", [4, 6, 8], active_if={"array": ["charge_sram", "rram"]}).name
        'adc_bits'
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
        if not isinstance(name, str) or not name:
            raise BadInput(
                f"gene {shown(name)}", "a gene needs a name", "give it a non-empty string"
            )
        where = f"gene {name}"
        listed = _listed(where, values)
        if not listed or len(set(listed)) < len(listed):
            raise BadInput(
                where, "needs at least one value, none twice", f"it lists {shown(list(listed))}"
            )
        numeric = not isinstance(listed[0], str)
        conditions = {}
        for gate, wanted in _conditions(where, active_if).items():
            conditions[gate] = _listed(f"{where}, active_if {gate}", wanted)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "values", tuple(sorted(listed)) if numeric else listed)
        object.__setattr__(self, "active_if", conditions)

    @classmethod
    def stored(
        cls,
        name: str,
        values: Iterable[Value],
        active_if: Mapping[str, Iterable[Value]] | None = None,
    ) -> Choice:
        """Makes the gene that a study file describes, its numbers kept as the file writes them.

        They are not turned into integers where they are whole, since the keys of the file's designs
        were made of the numbers as they stand there.

        Args:
            name: The gene's name.
            values: What it may be: all numbers or all strings.
            active_if: Gene to the values of it with which this gene exists; None: it always exists.

        Returns:
            The gene, its values ascending where they are numbers.

        Raises:
            BadInput: as the constructor does.
        """
        choice = cls(name, values, active_if)
        if choice.ordered:
            object.__setattr__(choice, "values", tuple(sorted(values)))
        return choice

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, which have an order."""
        return not isinstance(self.values[0], str)

    def index(self, value: Value) -> int:
        """Finds the position of a value among the gene's values.

        Args:
            value: One of `values`.

        Returns:
            Its position, from 0.

        Raises:
            BadInput: When the gene cannot take the value.
        """
        try:
            return self.values.index(value)
        except Exception:  # a user's own class may raise anything when it is compared
            raise BadInput(
                f"gene {self.name}",
                f"cannot be {shown(value)}",
                f"choose one of {list(self.values)}",
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Describes the gene for a study file: name, values and, if any, conditions."""
        conditions = {k: list(v) for k, v in self.active_if.items()}
        return {"name": self.name, "values": list(self.values)} | (
            {"active_if": conditions} if conditions else {}
        )


def _listed(where: str, values: object) -> tuple[Value, ...]:
    """The values of a gene as Python's own.

    Raises BadInput for what is no list of finite numbers, or of strings.
    """
    if isinstance(values, str | bytes | Mapping):
        raise BadInput(
            where, f"its values are {shown(values)}, no list", f"write them as [{shown(values)}]"
        )
    if not isinstance(values, Iterable):
        raise BadInput(where, f"its values are {shown(values)}, no list", "give a list")
    try:
        found = list(values)
    except TypeError:  # an array without dimensions says that it can be gone through
        raise BadInput(where, f"its values are {shown(values)}, no list", "give a list") from None
    listed = tuple(str(v) if isinstance(v, str) else plain(v) for v in found)
    if listed and all(isinstance(v, str) for v in listed):
        if isinstance(
            values, Set
        ):  # its order is another one in each run of Python; numbers are sorted
            raise BadInput(where, "its values are a set, which has no order", "give a list")
        return listed  # type: ignore[return-value]
    numbers: list[float] = []
    for value in listed:
        number = None
        if not isinstance(value, str):
            number = finite(value)
        if number is None:
            raise BadInput(
                where,
                "values must be all finite numbers or all strings",
                f"it lists {shown(list(listed))}",
            )
        # So that [1, 2] and [1.0, 2.0] are one gene, whose designs have the same keys.
        whole = number.is_integer() and abs(number) < EXACT_INTEGERS
        if isinstance(value, int):
            numbers.append(value)
        elif whole:
            numbers.append(int(number))
        else:
            numbers.append(number)
    return tuple(numbers)


def _conditions(where: str, active_if: object) -> Mapping[str, Any]:
    if active_if is None:
        return {}
    if not isinstance(active_if, Mapping):
        raise BadInput(
            where, f"active_if is {shown(active_if)}", "give a dict of a gene to a list of values"
        )
    return active_if
