"""Fingerprints of evaluation functions, by which another function, or the same one changed, is told apart.

A function that another process can import is known by its module, its name and the content of the file that it stands in. Any
other one, such as a lambda, what another function made, or what stands in the script that runs, is known by its own compiled
code with all that it refers to there: a script may change its budget and go on with its study.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from cimbo.evaluation.content import DIGEST_LENGTH
from cimbo.evaluation.whole import FunctionEvaluator

PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))
# Instructions by which a function gives a variable of its surroundings another value
REBINDING_INSTRUCTIONS = frozenset({"STORE_DEREF", "DELETE_DEREF", "STORE_GLOBAL", "DELETE_GLOBAL"})


def importable_name(function: object) -> str | None:
    """Return the name by which another process can import a function.

    Args:
        function: Any object.

    Returns:
        "package:function" where that is ``function`` itself; None for all else, such as a lambda, a
        method of an object, or what is defined in the script that runs.
    """
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    if _importable(module, name) is function:
        return f"{module}:{name}"
    return None


def _importable(module: str, name: str) -> object:
    """The object that a loaded module has under a dotted name; None where there is none."""
    value: object = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def fingerprint_of_callable(evaluate: object) -> dict[str, Any]:
    """Make a fingerprint for an evaluator that has none of its own.

    Args:
        evaluate: A function, or an object that is called like one.

    Returns:
        JSON of the form that `cimbo.evaluation.whole.FunctionEvaluator.fingerprint` has, so that
        commands may go on with what a program began.
    """
    name = importable_name(evaluate)
    if name is not None:
        return FunctionEvaluator(name).fingerprint()
    code = hashlib.sha256()
    for part in _parts(evaluate, set()):
        code.update(part.encode("utf-8", "backslashreplace") + b"\0")
    digest = f"sha256:{code.hexdigest()[:DIGEST_LENGTH]}"
    return {"evaluator": {"python": _name(evaluate), "code": digest}}


def _name(evaluate: object) -> str:
    """Module and name of a callable, or of its class, as "module:name"."""
    if isinstance(evaluate, functools.partial):
        return _name(evaluate.func)
    named: Any = evaluate
    if not hasattr(named, "__qualname__"):
        named = type(evaluate)
    return f"{getattr(named, '__module__', None)}:{named.__qualname__}"


def _parts(value: object, seen: set[int]) -> Iterator[str]:
    """Yield texts that together identify a callable: its code and all that it refers to.

    The state of an object is left out, because it may change with every evaluation.

    Args:
        value: The callable, or something that it refers to.
        seen: Ids of the values that were visited, so that circles end.
    """
    if isinstance(value, PLAIN_TYPES):
        yield repr(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        yield from _parts(value.func, seen)
        yield from _parts(value.args, seen)
        yield from _parts(value.keywords, seen)
    elif isinstance(value, MethodType):
        yield from _parts(value.__func__, seen)
    elif isinstance(value, FunctionType):
        yield from _parts_of_function(value, seen)
    elif isinstance(value, tuple):
        for entry in value:
            yield from _parts(entry, seen)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield str(name)
            yield from _parts(entry, seen)
    else:
        yield _name(value)
        if callable(value):
            yield from _parts(type(value).__dict__.get("__call__"), seen)


def _parts_of_function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    """Yield the parts of a function: its code, its defaults, and the outer variables that it reads.

    Variables that it assigns to itself are left out, such as a counter of its calls.
    """
    yield from _parts_of_code(function.__code__)
    yield from _parts(function.__defaults__, seen)
    yield from _parts(function.__kwdefaults__, seen)
    rebound = _rebound_names(function.__code__)
    for name, value in inspect.getclosurevars(function).nonlocals.items():
        if name not in rebound:
            yield name
            yield from _parts(value, seen)
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if name not in rebound and _is_of_the_same_module(value, function):
            yield name
            yield from _parts(value, seen)


def _is_of_the_same_module(value: object, function: Callable[..., Any]) -> bool:
    """Whether a global is a constant, or a function of the module of ``function``."""
    if isinstance(value, FunctionType):
        return value.__module__ == function.__module__
    return isinstance(value, PLAIN_TYPES) and value is not None


def _rebound_names(code: CodeType) -> set[str]:
    """Names of the outer variables that a function assigns to or deletes."""
    names = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in REBINDING_INSTRUCTIONS:
            names.add(str(instruction.argval))
    return names


def _parts_of_code(code: CodeType) -> Iterator[str]:
    """Yield what compiled code consists of, without the numbers of its lines."""
    yield code.co_code.hex()
    yield " ".join((*code.co_names, *code.co_varnames, *code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant)
        elif isinstance(constant, frozenset):  # its order differs between processes
            yield " ".join(sorted(map(repr, constant)))
        else:
            yield repr(constant)
