"""A user's own search method: a class with ``ask`` and ``tell``, named as "package:object" or by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from cimbo.benchmarking.method import Measured, MethodFailure, Task
from cimbo.errors import BadInput, CimboError
from cimbo.plugins import has_entry_point, is_python_name, maker, python_object
from cimbo.problem.space import Params, SearchSpace

ENTRY_POINT_GROUP = "methods"  # a package names its methods under cimbo.methods


def is_own(name: str) -> bool:
    """Tell whether a name means a user's own method: "package:object", or an entry point's name.

    Args:
        name: Name of a method.

    Returns:
        Whether `start_own` can make it.
    """
    return (":" in name and is_python_name(name)) or has_entry_point(ENTRY_POINT_GROUP, name)


def installed_names() -> list[str]:
    """Return the names of methods that installed packages bring."""
    return sorted(point.name for point in entry_points(group=f"cimbo.{ENTRY_POINT_GROUP}"))


class OwnMethod:
    """A user's method whose answers are checked: a mistake becomes a BadInput that names the method."""

    def __init__(self, name: str, method: Any, space: SearchSpace) -> None:
        self._name = name
        self._method = method
        self._space = space

    def ask(self, n: int) -> list[Params]:
        """Ask the method for designs.

        Args:
            n: How many at most.

        Returns:
            Its designs in their canonical form.

        Raises:
            BadInput: It raises, or returns too many designs or something else.
        """
        designs = _called(self._name, "ask", self._method.ask, n)
        if not isinstance(designs, list | tuple) or len(designs) > n:
            what = f"ask({n}) returned {designs!r:.60}"
            raise BadInput(f"method {self._name}", what, f"return a list of at most {n} designs")
        return [self._canonical(design) for design in designs]

    def _canonical(self, design: Params) -> Params:
        """A design of the method without inactive genes. Raises BadInput, naming the method, for what is none."""
        try:
            return self._space.canonical(design)
        except BadInput as error:
            what = f"ask returned a design that is none ({error.where}: {error.what})"
            raise BadInput(f"method {self._name}", what, error.todo) from None

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Tell the method what was measured.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.

        Raises:
            BadInput: It raises.
        """
        _called(self._name, "tell", self._method.tell, designs, measured)


def start_own(name: str, task: Task) -> OwnMethod:
    """Make a user's method that is ready to be asked.

    Args:
        name: "package:object", or the name of an entry point of the group ``cimbo.methods``.
        task: The problem and the seed, which the class or function is called with.

    Returns:
        The method.

    Raises:
        BadInput: There is no such object, or it has no ``ask`` and ``tell``.
        MethodFailure: It raises when it is made.
    """
    where = f"method {name}"
    if ":" in name:
        make = python_object(where, name)
    else:
        make = maker(ENTRY_POINT_GROUP, name, {})
    try:
        method = _called(name, "it", make, task)
    except CimboError as error:
        raise MethodFailure(str(error)) from error
    for question in ("ask", "tell"):
        if not callable(getattr(method, question, None)):
            raise BadInput(where, f"has no {question}", "see docs/researcher.md")
    return OwnMethod(name, method, task.problem.space)


def _called(name: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function, and turn whatever it raises into a BadInput.

    Args:
        name: Name of the method.
        what: The function, for the error.
        function: The function.
        *arguments: Its arguments.

    Returns:
        What it returns.
    """
    try:
        return function(*arguments)
    except CimboError:
        raise
    except (Exception, SystemExit) as error:
        told = f"{what} raised {type(error).__name__}: {error}"
        raise BadInput(f"method {name}", told, "correct it") from error
