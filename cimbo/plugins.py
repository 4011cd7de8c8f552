"""What can be added from outside: networks, simulators and sources of accuracy, found by entry points.

A plug-in is a class of two to four methods; ``cimbo doctor NAME`` checks one with the conformance kit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cimbo.errors import BadInput, choose_from

T = TypeVar("T")


class Accuracy(Protocol):
    """Where a sub-network's accuracy comes from.

    A source that has no images for the end lists ``parts = ("validation",)``. One that rounds the operands of stages to the
    genes ``weight_bits_N`` and ``act_bits_N`` says ``rounds_stages = True``; others are refused where these are genes.
    """

    @property
    def genes(self) -> Iterable[str] | None:
        """The hardware genes that change the accuracy, besides every architecture gene; None where nobody knows which."""
        ...

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Accuracy in percent of ``design`` on the images of ``part`` ("validation" for the search, "test" at the end)."""
        ...


def find(
    group: str,
    name: str,
    built_in: Mapping[str, Callable[..., T]],
    options: Mapping[str, Any] | None = None,
) -> T:
    """The plug-in ``name``: one of ``built_in``, or of the entry points ``cimbo.<group>``, called with ``options``.

    Returns:
        What the plug-in makes of the options.

    Raises:
        BadInput: When there is none of that name, or it takes no such options.
    """
    return _made(f"{group} {name!r}", maker(group, name, built_in), options or {})


def maker(group: str, name: str, built_in: Mapping[str, Callable[..., T]]) -> Callable[..., T]:
    """Find what makes a plug-in.

    Args:
        group: The entry points are those of ``cimbo.<group>``.
        name: The plug-in's.
        built_in: Those that cimbo brings, by name.

    Returns:
        The class or function, not called yet.

    Raises:
        BadInput: There is none of that name; it names the nearest.
    """
    if name in built_in:
        return built_in[name]
    points = {p.name: p for p in entry_points(group=f"cimbo.{group}")}
    if name in points:
        loaded: Callable[..., T] = points[name].load()
        return loaded
    known = sorted({*built_in, *points})
    todo = "install the package that brings it"
    if known:
        todo = choose_from(name, known)
    raise BadInput(f"{group} {name!r}", "is unknown", todo)


def has_entry_point(group: str, name: str) -> bool:
    """Whether an installed package brings a plug-in of that name under ``cimbo.<group>``."""
    return any(point.name == name for point in entry_points(group=f"cimbo.{group}"))


def is_python_name(name: str) -> bool:
    """Whether ``name`` is of something in a Python module: "package.module:object"."""
    module, _, inner = name.partition(":")
    words = [*module.split("."), *inner.split(".")]
    return all(word.isidentifier() for word in words)


class OpenedFiles:
    """Files that code of a user's was seen to open, while `watching`; Python tells every opening by an audit event."""

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}
        self._is_watching = False
        self._is_hooked = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what is opened for reading inside the block."""
        if not self._is_hooked:
            sys.addaudithook(
                self._note
            )  # it cannot be taken back, and does nothing outside of a block
            self._is_hooked = True
        before, self._is_watching = self._is_watching, True
        try:
            yield
        finally:
            self._is_watching = before

    def _note(self, event: str, details: tuple[Any, ...]) -> None:
        """Take down a path; the details of an opening are path, mode and flags."""
        if not self._is_watching or event != "open":
            return
        path, mode = details[:2]
        is_read = mode is None or "r" in mode
        if is_read and isinstance(path, str):
            self.paths[os.path.abspath(path)] = None  # noqa: PTH100 (no link is followed)


OPENED_FILES = OpenedFiles()


def search_current_folder() -> None:
    """Let Python find modules in the folder one is in too, after all others."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def python_object(where: str, name: str) -> Any:
    """What ``name``, "package.module:object", means. A module may also lie in the folder one is in.

    Args:
        where: what messages call it.
        name: of the object.

    Returns:
        The object.

    Raises:
        BadInput: there is no such module, or nothing of that name in it.
    """
    module_name, _, inner = name.partition(":")
    search_current_folder()
    try:
        with OPENED_FILES.watching():
            found: Any = import_module(module_name)
    except ImportError as error:
        todo = "name a module that Python finds: install it, or set PYTHONPATH"
        raise BadInput(where, f"cannot be imported ({error})", todo) from None
    except (Exception, SystemExit) as error:  # of code of the user's, which may raise anything
        what = f"importing {module_name} raised {type(error).__name__}: {error}"
        raise BadInput(where, what, "correct that module") from error
    for part in inner.split("."):
        if not hasattr(found, part):
            known = [known for known in dir(found) if not known.startswith("_")]
            raise BadInput(where, f"{module_name} has no {part}", choose_from(part, known))
        found = getattr(found, part)
    return found


def check_options(where: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check that something can be set up with options.

    Args:
        where: What messages call it.
        make: Its class, or a function that makes it.
        options: Names and values that it would be called with.

    Raises:
        BadInput: It has no such option, or lacks one.
    """
    taken = signature(make).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return
    for name in options:
        if name not in taken:
            todo = choose_from(name, taken) if taken else "leave it out"
            raise BadInput(f"{where}, options.{name}", "is no option of it", todo)
    for name, parameter in taken.items():
        if parameter.default is parameter.empty and name not in options:
            raise BadInput(f"{where}, options.{name}", "is missing", "give it")


def _made(where: str, make: Callable[..., T], options: Mapping[str, Any]) -> T:
    check_options(where, make, options)
    return make(**options)
