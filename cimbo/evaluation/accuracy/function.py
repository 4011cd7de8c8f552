"""Accuracy from a Python function of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cimbo.errors import BadInput
from cimbo.plugins import python_object


class FunctionAccuracy:
    """Asks ``function(design)`` for an accuracy in percent; the design is a dictionary of all active genes.

    A function whose accuracy depends on genes of the chip too lists them in an attribute ``genes``.

    Args:
        name: Where the function is, as "package:function".
        options: What it is called with besides, by name.

    Raises:
        BadInput: There is no such function, or it takes no such options.
    """

    parts = ("validation",)
    rounds_stages = True  # or so it is taken to: it is told the bits of every stage

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        where = f"accuracy {name}"
        function = python_object(where, name)
        if not callable(function):
            raise BadInput(where, "is no function", 'write it as "package:function"')
        try:
            inspect.signature(function).bind({}, **options)
        except TypeError as error:
            what = f"cannot be called with a design and these options ({error})"
            raise BadInput(where, what, "correct [network.options]") from None
        self._function: Callable[..., float] = function
        self._options = dict(options)

    @property
    def genes(self) -> Iterable[str]:
        """The hardware genes that change the accuracy."""
        return tuple(getattr(self._function, "genes", ()))

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Calls the function for the accuracy of a design.

        Args:
            design: Genes of a network and of a chip.
            part: Ignored: there is one part.

        Returns:
            Percent, as the function returns.
        """
        return float(self._function(dict(design), **self._options))
