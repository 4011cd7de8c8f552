"""Weights that a file stores twice: a table that is looked up, and its transpose that is multiplied with.

Networks of language share one matrix for both ends; exporters that fold the transpose store a second copy. Copies are
known by their sizes and some of their elements, so that the weights' bytes need not be read.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cimbo.workloads.onnx.tensors import Tensor, bits_of

COMPARED_ELEMENTS = 61  # of each matrix, on a diagonal that meets every row and column in turn


@dataclass
class TiedTables:
    """Tables that were looked up, and the stored tensors of a file by name.

    Args:
        folder: where external data lie.
    """

    folder: Path
    _stored: dict[str, Any] = field(default_factory=dict)
    _tables: list[str] = field(default_factory=list)

    def store(self, source: str, proto: Any) -> None:
        """A stored matrix, which may turn out to be one of two copies."""
        if len(proto.dims) == 2:
            self._stored[source] = proto

    def look_up(self, table: Tensor) -> None:
        """A table that a node looks rows up in."""
        self._tables += [source for source in table.sources if source in self._stored]

    def original(self, sources: frozenset[str]) -> frozenset[str]:
        """The table that a weight is a copy of; the weight itself where it is none."""
        if len(sources) != 1:
            return sources
        (source,) = sources
        weight = self._stored.get(source)
        for table in self._tables:
            if (
                weight is not None
                and table != source
                and self._is_copy(weight, self._stored[table])
            ):
                return frozenset({table})
        return sources

    def _is_copy(self, weight: Any, table: Any) -> bool:
        rows, columns = weight.dims
        if weight.data_type != table.data_type or list(table.dims) != [columns, rows]:
            return False
        found, bytes_of = set(), (weight.raw_data, table.raw_data)
        for index in range(COMPARED_ELEMENTS):
            row, column = index * 7919 % rows, index * 104729 % columns
            one = self._element(weight, bytes_of[0], row * columns + column)
            if one is None or one != self._element(table, bytes_of[1], column * rows + row):
                return False
            found.add(one)
        return len(found) > 1

    def _element(self, proto: Any, raw: bytes, index: int) -> bytes | None:
        """The bytes of one element; None where they are packed, missing or stored in another form."""
        width = bits_of(proto.data_type) // 8
        if not width:
            return None
        if raw:
            return raw[index * width : (index + 1) * width] or None
        place = {entry.key: entry.value for entry in proto.external_data}
        name, offset = place.get("location", ""), place.get("offset", "0")
        if not name or Path(name).name != name or not offset.isdecimal():
            return None
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(int(offset) + index * width)
                return file.read(width) or None
        except OSError:
            return None
