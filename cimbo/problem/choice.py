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

    They are ordered when they are numbers, unordered when they are strings; ``False`` and ``True``
    are numbers.
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
            where = f"gene {shown(name)}"
            raise BadInput(where, "a gene needs a name", "give it a non-empty string")
        where = f"gene {name}"
        listed = _listed(where, values)
        if not listed or len(set(listed)) < len(listed):
            todo = f"it lists {shown(list(listed))}"
            raise BadInput(where, "needs at least one value, none twice", todo)
        if not isinstance(listed[0], str):
            listed = tuple(sorted(listed))
        conditions = {}
        for gate, wanted in _conditions(where, active_if).items():
            conditions[gate] = _listed(f"{where}, active_if {gate}", wanted)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "values", listed)
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
            todo = f"choose one of {list(self.values)}"
            raise BadInput(f"gene {self.name}", f"cannot be {shown(value)}", todo) from None

    def of_text(self, text: str) -> Value | None:
        """Finds the value that a text writes, as a command line or a cell of a table has it.

        Args:
            text: The value as Python, JSON or a shell writes it: "2", "2.0" and "2e0" are one
                number, and a boolean may be true or True.

        Returns:
            The value; None where the gene has none that is written so.
        """
        for value in self.values:
            if str(value) == text or _is_number_of(value, text) or _is_switch_of(value, text):
                return value
        return None

    def values_beside(self, value: Value) -> list[Value]:
        """Lists the values that are one step from a value.

        Args:
            value: Where the step starts; of an ordered gene it may be any number.

        Returns:
            Of an ordered gene the next below and the next above, as far as there are any; of
            another one all other values.
        """
        if not self.ordered:
            return [other for other in self.values if other != value]
        below: list[Any] = [other for other in self.values if other < value]  # type: ignore[operator]
        above: list[Any] = [other for other in self.values if other > value]  # type: ignore[operator]
        return below[-1:] + above[:1]

    def to_json(self) -> dict[str, Any]:
        """Describes the gene for a study file: name, values and, if any, conditions."""
        described: dict[str, Any] = {"name": self.name, "values": list(self.values)}
        if self.active_if:
            conditions = {gate: list(values) for gate, values in self.active_if.items()}
            described["active_if"] = conditions
        return described


def _is_number_of(value: Value, text: str) -> bool:
    """Whether ``text`` writes the number ``value``: "1.0" is 1."""
    try:
        return not isinstance(value, str) and float(text) == value
    except ValueError:
        return False


def _is_switch_of(value: Value, text: str) -> bool:
    """Whether ``text`` writes the boolean ``value``, in letters of either case."""
    return isinstance(value, bool) and str(value).lower() == text.strip().lower()


def _listed(where: str, values: object) -> tuple[Value, ...]:
    """Read the values of a gene.

    Args:
        where: The gene, for messages.
        values: What a user gave for them.

    Returns:
        Python's own numbers or strings, in the order given.

    Raises:
        BadInput: For what is no list of finite numbers, or of strings.
    """
    entries = _entries(where, values)
    texts = [entry for entry in entries if isinstance(entry, str)]
    if texts and len(texts) == len(entries):
        if isinstance(values, Set):  # whose order differs from run to run; numbers are sorted
            raise BadInput(where, "its values are a set, which has no order", "give a list")
        return tuple(map(str, texts))
    numbers = []
    for entry in entries:
        number = _number(entry)
        if number is None:
            todo = f"it lists {shown(entries)}"
            raise BadInput(where, "values must be all finite numbers or all strings", todo)
        numbers.append(number)
    return tuple(numbers)


def _entries(where: str, values: object) -> list[object]:
    """The entries of a list, numpy's scalars turned into Python's; raises BadInput for what is no list."""
    if isinstance(values, str | bytes | Mapping):
        raise _no_list(where, values, f"write them as [{shown(values)}]")
    if not isinstance(values, Iterable):
        raise _no_list(where, values, "give a list")
    try:
        listed = list(values)
    except TypeError:  # an array without dimensions says that it can be gone through
        raise _no_list(where, values, "give a list") from None
    return [str(value) if isinstance(value, str) else plain(value) for value in listed]


def _no_list(where: str, values: object, todo: str) -> BadInput:
    return BadInput(where, f"its values are {shown(values)}, no list", todo)


def _number(value: object) -> int | float | None:
    """Read a finite number, as an integer where it is whole.

    So the values [1, 2] and [1.0, 2.0] make the same gene, whose designs have the same keys.

    Args:
        value: Anything.

    Returns:
        The number; None where ``value`` is none, or not finite.
    """
    if isinstance(value, str):
        return None
    number = finite(value)
    if number is None:
        return None
    if isinstance(value, int):
        return value
    if number.is_integer() and abs(number) < EXACT_INTEGERS:
        return int(number)
    return number


def _conditions(where: str, active_if: object) -> Mapping[str, Any]:
    """``active_if`` as it was given, empty for None; raises BadInput for what is no dict."""
    if active_if is None:
        return {}
    if not isinstance(active_if, Mapping):
        wrong = f"active_if is {shown(active_if)}"
        raise BadInput(where, wrong, "give a dict of a gene to a list of values")
    return active_if
