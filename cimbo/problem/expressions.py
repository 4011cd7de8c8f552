"""Expressions over named values, as a study.toml writes them: ``energy_uj * latency_ms``, ``rows * cols <= 65536``.

The text is parsed by Python's own parser, and the tree is evaluated here. Only the operators and
functions in the tables of this module are understood, so that nothing a file says is ever executed.
Values are numbers, texts, or arrays of either, which are combined element by element.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, check_known, choose_from

Array = NDArray[Any]
Values = Mapping[str, Any]
LONGEST_EXPRESSION = 2000  # characters
DEEPEST_EXPRESSION = 60  # levels of brackets and operators

ARITHMETIC_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
COMPARISON_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
FUNCTIONS_OF_ONE: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "exp": np.exp,
    "floor": np.floor,
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "sqrt": np.sqrt,
}
FUNCTIONS_OF_SEVERAL: dict[str, Callable[[list[Any]], Any]] = {
    "max": lambda values: reduce(np.maximum, values),
    "mean": lambda values: reduce(np.add, values) / len(values),
    "min": lambda values: reduce(np.minimum, values),
    "sum": lambda values: reduce(np.add, values),
}
TRUTH_WORDS = {
    "true": True,
    "false": False,
}  # as a study.toml writes them; Python's own are constants
KNOWN_FUNCTIONS = tuple(sorted((*FUNCTIONS_OF_ONE, *FUNCTIONS_OF_SEVERAL)))


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
        text: The expression as it was written.
        where: What it belongs to, for messages.

    Raises:
        BadInput: Where it is no expression, or says what is not understood.
    """

    text: str
    where: str = "expression"

    def __post_init__(self) -> None:
        _check(self.where, self.tree, 0)

    @cached_property
    def tree(self) -> ast.expr:
        """The expression, parsed."""
        return _parse(self.where, self.text)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The metrics and genes that it names, each once, in order."""
        return tuple(dict.fromkeys(_names(self.tree)))

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false rather than a number."""
        return _is_condition(self.tree)

    def __call__(self, values: Values) -> Any:
        """Evaluate the expression.

        Args:
            values: A number, a text, or an array (n,) of either for every name.

        Returns:
            A number or a truth, or an array (n,) of these; NaN and infinities where arithmetic gives them.

        Raises:
            BadInput: Where texts and numbers are mixed.
        """
        try:
            with np.errstate(all="ignore"):
                return _value(self.tree, values)
        except (TypeError, np.exceptions.DTypePromotionError) as error:
            what = f"cannot be computed of {', '.join(self.names)} ({type(error).__name__})"
            raise BadInput(
                f"{self.where} {self.text!r}", what, "compare texts with texts"
            ) from None


def _parse(where: str, text: str) -> ast.expr:
    """Parse a text; refuse one that is too long or no expression of Python."""
    if len(text) > LONGEST_EXPRESSION:
        raise BadInput(where, f"has {len(text)} characters", f"use at most {LONGEST_EXPRESSION}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", type(error).__name__)
        todo = 'write one as "energy_uj * latency_ms"'
        raise BadInput(where, f"{text!r:.80} is no expression ({reason})", todo) from None


def _check(where: str, node: ast.expr, depth: int) -> None:
    """Refuse an expression that holds, at any depth, something that is not understood.

    Args:
        where: What it belongs to, for messages.
        node: The expression.
        depth: How deep it is nested in the whole one.

    Raises:
        BadInput: For what is not understood, or nested too deeply.
    """
    if depth > DEEPEST_EXPRESSION:
        raise BadInput(where, "is nested too deeply", "write it with fewer brackets")
    if isinstance(node, ast.Call):
        _check_call(where, node)
    elif not _is_understood(node):
        raise _not_understood(where, node)
    for inner in _operands(node):
        _check(where, inner, depth + 1)


def _is_understood(node: ast.expr) -> bool:
    """Whether this kind of expression is understood; it is no call, and its operands are not looked at."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float | str)
    if isinstance(node, ast.BinOp):
        return type(node.op) in ARITHMETIC_OPERATORS
    if isinstance(node, ast.Compare):
        return _lists_follow_in(node)
    if isinstance(node, ast.UnaryOp):
        return not isinstance(node.op, ast.Invert)
    return isinstance(node, ast.Name | ast.BoolOp)


def _lists_follow_in(node: ast.Compare) -> bool:
    """Whether a list follows each ``in`` and ``not in`` of a chain of comparisons, and no other operator."""
    for operator, right in zip(node.ops, node.comparators, strict=True):
        wants_list = isinstance(operator, ast.In | ast.NotIn)
        if wants_list != isinstance(right, ast.List | ast.Tuple):
            return False
    return True


def _check_call(where: str, node: ast.Call) -> None:
    """Refuse a call of an unknown function, or with a wrong number of arguments."""
    if not isinstance(node.func, ast.Name) or node.keywords:
        raise _not_understood(where, node)
    name = node.func.id
    check_known(name, KNOWN_FUNCTIONS, where, f"{name} is no function")
    count = len(node.args)
    if count == 0 or (name in FUNCTIONS_OF_ONE and count != 1):
        raise BadInput(where, f"{name} has {count} arguments", f"write {name}(x)")


def _not_understood(where: str, node: ast.expr) -> BadInput:
    functions = ", ".join(KNOWN_FUNCTIONS)
    todo = f"use numbers, names, + - * / // % **, comparisons, and, or, not, {functions}"
    return BadInput(where, f"{ast.unparse(node)!r:.60} is not understood", todo)


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions that one is made of: arguments of a call, operands, and the entries of a list after ``in``."""
    if isinstance(node, ast.Call):
        yield from node.args
        return
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.List | ast.Tuple) and isinstance(node, ast.Compare):
            yield from inner.elts
        elif isinstance(inner, ast.expr):
            yield inner


def _names(node: ast.expr) -> Iterator[str]:
    """The names of values in an expression, from left to right."""
    if isinstance(node, ast.Name) and node.id not in TRUTH_WORDS:
        yield node.id
    for inner in _operands(node):
        yield from _names(inner)


def _is_condition(node: ast.expr) -> bool:
    """Whether an expression is true or false: a comparison, and/or/not, or a constant."""
    if isinstance(node, ast.Compare | ast.BoolOp):
        return True
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _value(node: ast.expr, values: Values) -> Any:
    """Evaluate a checked expression: a number, a truth, a text, or an array of these."""
    if isinstance(node, ast.Constant):
        return _number(node.value)
    if isinstance(node, ast.Name) and node.id in TRUTH_WORDS:
        return TRUTH_WORDS[node.id]
    if isinstance(node, ast.Name):
        return _named_number(values[node.id])
    if isinstance(node, ast.BinOp):
        operator = ARITHMETIC_OPERATORS[type(node.op)]
        return operator(_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _unary(node, values)
    if isinstance(node, ast.BoolOp):
        return _joined(node, values)
    if isinstance(node, ast.Compare):
        return _compared(node, values)
    assert isinstance(node, ast.Call)
    return _called(node, values)


def _called(node: ast.Call, values: Values) -> Any:
    """Evaluate the call of a function."""
    assert isinstance(node.func, ast.Name)
    arguments = [_value(each, values) for each in node.args]
    if node.func.id in FUNCTIONS_OF_ONE:
        return FUNCTIONS_OF_ONE[node.func.id](arguments[0])
    return FUNCTIONS_OF_SEVERAL[node.func.id](arguments)


def _joined(node: ast.BoolOp, values: Values) -> Any:
    """Evaluate conditions joined by ``and`` or ``or``, element by element."""
    operands = [_value(each, values) for each in node.values]
    if isinstance(node.op, ast.And):
        return reduce(np.logical_and, operands)
    return reduce(np.logical_or, operands)


def _number(value: Any) -> Any:
    """Integers as floats, so that no power of them grows beyond all memory; texts as they are."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return value.astype(float)
    return value


def _named_number(value: Any) -> Any:
    """The value of a name; a gene that is true or false counts as 1 or 0, so that it may be added and subtracted."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    return _number(value)


def _unary(node: ast.UnaryOp, values: Values) -> Any:
    """Evaluate ``not``, a minus or a plus before an expression."""
    operand = _value(node.operand, values)
    if isinstance(node.op, ast.Not):
        return np.logical_not(operand)
    if isinstance(node.op, ast.USub):
        return np.negative(operand)
    return np.positive(operand)


def _compared(node: ast.Compare, values: Values) -> Any:
    """Evaluate a chain of comparisons, as in ``8 <= rows < cols``: true where all of them hold."""
    left = _value(node.left, values)
    holds = []
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(right, ast.List | ast.Tuple):
            holds.append(_is_among(left, operator, right, values))
            continue
        right_value = _value(right, values)
        holds.append(COMPARISON_OPERATORS[type(operator)](left, right_value))
        left = right_value
    return reduce(np.logical_and, holds)


def _is_among(
    left: Any,
    operator: ast.cmpop,
    entries: ast.List | ast.Tuple,
    values: Values,
) -> Any:
    """Evaluate ``left in entries``, or ``left not in entries``, element by element."""
    equal = [np.equal(left, _value(entry, values)) for entry in entries.elts]
    among = reduce(np.logical_or, equal, np.False_)
    if isinstance(operator, ast.NotIn):
        return np.logical_not(among)
    return among


def unknown_name(expression: Expression, known: Iterable[str]) -> BadInput | None:
    """Makes the error for the first name of an expression that is not known.

    Args:
        expression: The expression whose names are looked up.
        known: The names it may use.

    Returns:
        The error, not raised; None where all names are known.
    """
    listed = list(known)
    for name in expression.names:
        if name not in listed:
            what = f"{name} is neither measured nor a gene"
            return BadInput(expression.where, what, choose_from(name, listed))
    return None
