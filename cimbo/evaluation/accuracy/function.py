"""Accuracy from a Python function of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cimbo.errors import BadInput, CimboError
from cimbo.evaluation.accuracy.answers import ACCURACY, Answer, check_callable, checked
from cimbo.evaluation.accuracy.watched_design import WatchedDesign, refusal
from cimbo.plugins import python_object

# Raised by what needs a plain dictionary and is handed another mapping
NEEDS_A_DICT = (TypeError, AttributeError)


class FunctionAccuracy:
    """Asks ``function(design)`` for an accuracy in percent; the design is a mapping of all active genes.

    An answer serves every design that agrees in the genes of the network and in the genes of the chip that the function
    looked up. A function may declare the latter in an attribute ``genes``; it is then handed no others. It may return a
    dictionary of ``accuracy`` and further metrics.

    Args:
        name: Where the function is, as "package:function".
        options: What it is called with besides, by name.

    Raises:
        BadInput: There is no such function, or it takes no such options.
    """

    parts = ("validation",)
    # Whether bits of single stages change its accuracy; assumed, since it is told them.
    rounds_stages = True
    is_tried_first = True  # before a search, so that a function that always fails is found out

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.where = f"accuracy {name}"
        function = python_object(self.where, name)
        check_callable(self.where, function)
        try:
            inspect.signature(function).bind({}, **options)
        except TypeError as error:
            what = f"cannot be called with a design and these options ({error})"
            raise BadInput(self.where, what, "correct [network.options]") from None
        except ValueError:  # a function of C, which does not say what it takes
            pass
        self._function: Callable[..., object] = function
        self._options = dict(options)
        self._has_read_a_mapping = False
        self.genes = declared_genes(self.where, function)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Calls the function for the accuracy of a design.

        Args:
            design: Genes of a network and of a chip.
            part: Ignored: there is one part.

        Returns:
            Percent, as the function returns.

        Raises:
            WrongAnswer: The function returns no accuracy in percent.
        """
        return self.answer(design).metrics[ACCURACY]

    def answer(
        self,
        design: Mapping[str, Any],
        hidden: Iterable[str] = (),
        declared_by: str = "its attribute genes",
        *,
        costs: Iterable[str] = (),
    ) -> Answer:
        """Call the function, and note which genes it looks up.

        It is given a `WatchedDesign`. If it fails with that, perhaps because it needs a plain
        dictionary, it is called again with one; it may then have read every gene.

        Args:
            design: Genes of a network and of a chip.
            hidden: Genes that it was declared not to depend on: it is not given these.
            declared_by: Where that was declared, for the error.
            costs: Names that its further metrics may not have.

        Returns:
            What it measured, and the names that it looked up.

        Raises:
            WrongAnswer: It returns no accuracy in percent.
            BadInput: It looks up a gene that it was declared not to depend on.
        """
        watched = WatchedDesign(design, hidden, refusal(self.where, declared_by))
        looked_up: frozenset[str] | None
        try:
            returned = self._function(watched, **self._options)
            looked_up = frozenset(watched.looked_up)
            self._has_read_a_mapping = True
        except CimboError:
            raise
        except Exception as error:  # of the user's code, which may raise anything
            # A function that has worked with a mapping before fails for another reason.
            if self._has_read_a_mapping and not isinstance(error, NEEDS_A_DICT):
                raise
            plain = {name: v for name, v in design.items() if name not in frozenset(hidden)}
            returned = self._function(plain, **self._options)
            looked_up = None
        return Answer(checked(self.where, returned, tuple(costs)), looked_up)


def declared_genes(where: str, source: object) -> tuple[str, ...] | None:
    """Read which genes of the chip an accuracy declares to depend on.

    Args:
        where: What errors call it.
        source: A function, a method or an object. The attribute ``genes`` of it, or of a method's object, is read.

    Returns:
        Names of genes; None where nothing is declared.

    Raises:
        BadInput: ``genes`` is no list of names.
    """
    genes = getattr(source, "genes", None)
    if genes is None:
        genes = getattr(getattr(source, "__self__", None), "genes", None)
    if genes is None:
        return None
    if isinstance(genes, str) or not isinstance(genes, Iterable):
        raise BadInput(f"{where}, genes", f"is {genes!r:.40}", "give a list of names of genes")
    names = tuple(genes)
    if not all(isinstance(name, str) for name in names):
        raise BadInput(f"{where}, genes", "lists what is no name", "give a list of names of genes")
    return names
