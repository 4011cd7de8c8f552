"""A mapping of genes that notes which of them an accuracy function looks up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NoReturn

from cimbo.errors import BadInput


class WatchedDesign(MutableMapping[str, Any]):
    """Genes by name, with a note of those that were looked up.

    Listing, counting, copying or comparing the genes counts as looking up every one. It is not a subclass of ``dict``,
    because code in C reads a ``dict`` without calling its methods, so that nothing would be noted. Changes stay in this
    copy.

    Args:
        genes: Each active gene to its value.
        hidden: Genes that the accuracy was declared not to depend on. They are not listed.
        refuse: Raises the error for a hidden gene that is looked up by name.

    Attributes:
        looked_up: Names that were looked up, also those that the design does not have.
    """

    def __init__(
        self,
        genes: Mapping[str, Any],
        hidden: Iterable[str] = (),
        refuse: Callable[[str], NoReturn] | None = None,
    ) -> None:
        self._hidden = frozenset(hidden)
        self._refuse = refuse
        self._genes = {name: v for name, v in genes.items() if name not in self._hidden}
        self._names = frozenset(self._genes)
        self.looked_up: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        """The value of a gene."""
        self._note(name)
        return self._genes[name]

    def __contains__(self, name: object) -> bool:
        """Whether the design has a gene."""
        self._note(name)
        return name in self._genes

    def __iter__(self) -> Iterator[str]:
        """The names of all genes."""
        return iter(self._all())

    def __len__(self) -> int:
        """How many genes there are."""
        return len(self._all())

    def __setitem__(self, name: str, value: Any) -> None:
        """Changes this copy."""
        self._genes[name] = value

    def __delitem__(self, name: str) -> None:
        """Takes a gene out of this copy."""
        del self._genes[name]

    def __repr__(self) -> str:
        return repr(self._all())

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        """All genes and those of ``other``, as a plain dictionary."""
        return {**self._all(), **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        """``other`` and all genes, as a plain dictionary."""
        return {**other, **self._all()}

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """To another process, or into a copy, go all genes as a plain dictionary."""
        return dict, (dict(self._all()),)

    def copy(self) -> dict[str, Any]:
        """Return all genes as a plain dictionary."""
        return dict(self._all())

    def _all(self) -> dict[str, Any]:
        """All genes, each of which is noted as looked up."""
        self.looked_up |= self._names
        return self._genes

    def _note(self, name: object) -> None:
        """Note that a name was looked up; refuse a hidden one."""
        if not isinstance(name, str):
            return
        if name in self._hidden and self._refuse is not None:
            self._refuse(name)
        self.looked_up.add(name)


def refusal(where: str, declared_by: str) -> Callable[[str], NoReturn]:
    """Make a function that refuses a gene which an accuracy was declared not to depend on.

    Args:
        where: The accuracy, for the error.
        declared_by: What lists the genes, such as "genes of the function".

    Returns:
        A function of the gene's name that raises BadInput.
    """

    def refuse(name: str) -> NoReturn:
        """Raises BadInput for the gene."""
        what = f"reads the gene {name}, which {declared_by} does not list"
        raise BadInput(where, what, f"add {name} there, or leave the list out")

    return refuse
