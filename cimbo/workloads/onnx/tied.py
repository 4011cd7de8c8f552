"""Weights that a file stores twice: a table that is looked up, and its transpose that is multiplied with.

Networks of language share one matrix for both ends; exporters that fold the transpose store a second copy. Copies are
known by their sizes and some of their elements, so that the weights' bytes need not be read.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.workloads.onnx.tensors import Tensor

# Elements of each matrix that are compared, on a diagonal through all rows and columns
COMPARED_ELEMENTS = 61
# Two quantised copies correlate by more; 61 elements of unrelated matrices stay below 0.6
SAME_CORRELATION = 0.98
# Bit patterns of an element by its type: float, uint8, int8, float16, double, bfloat16.
BIT_PATTERNS = {1: "<u4", 2: "u1", 3: "i1", 10: "<u2", 11: "<u8", 16: "<u2"}
_BYTE_TYPES = frozenset({2, 3})


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
        """Takes in a stored tensor; a matrix may turn out to be one of two copies.

        Args:
            source: Its name, one in the whole file.
            proto: The TensorProto; anything but a matrix is ignored.
        """
        if len(proto.dims) == 2:
            self._stored[source] = proto

    def look_up(self, table: Tensor) -> None:
        """Takes note of a table that a node looks rows up in.

        Args:
            table: What is known of it.
        """
        self._tables += [source for source in table.sources if source in self._stored]

    def original(self, sources: frozenset[str]) -> frozenset[str]:
        """Finds the table that a weight is a copy of.

        Args:
            sources: Names of the stored tensors that the weight is made of.

        Returns:
            The table's name, alone; ``sources`` where the weight is no copy.
        """
        if len(sources) != 1:
            return sources
        (source,) = sources
        weight = self._stored.get(source)
        if weight is None:
            return sources
        for table in self._tables:
            if table != source and self._is_copy(weight, self._stored[table]):
                return frozenset({table})
        return sources

    def _is_copy(self, weight: Any, table: Any) -> bool:
        """Tells whether ``weight`` is the transpose of ``table``, as far as a sample of their elements shows."""
        rows, columns = weight.dims
        if list(table.dims) != [columns, rows]:
            return False
        element_types = {weight.data_type, table.data_type}
        are_bytes = element_types <= _BYTE_TYPES
        if len(element_types) > 1 and not are_bytes:
            return False
        # Steps of a large prime spread the sample over all rows and columns.
        sample = [(i * 7919 % rows, i * 104729 % columns) for i in range(COMPARED_ELEMENTS)]
        of_weight = self._elements(weight, [row * columns + column for row, column in sample])
        of_table = self._elements(table, [column * rows + row for row, column in sample])
        if of_weight is None or of_table is None:
            return False
        if min(len(np.unique(of_weight)), len(np.unique(of_table))) < 2:
            return False  # constant matrices say nothing
        if are_bytes:  # each quantised by a scale of its own
            return bool(np.corrcoef(of_weight, of_table)[0, 1] > SAME_CORRELATION)
        return bool(np.array_equal(of_weight, of_table))

    def _elements(self, proto: Any, positions: list[int]) -> NDArray[Any] | None:
        """Elements of a tensor at flat ``positions``, floats as their bit patterns; None where they cannot be read."""
        pattern = BIT_PATTERNS.get(proto.data_type)
        if pattern is None:
            return None
        if proto.int32_data and proto.data_type in _BYTE_TYPES:
            return np.array([proto.int32_data[position] for position in positions])
        width = np.dtype(pattern).itemsize  # bytes
        pieces = [self._bytes(proto, position * width, width) for position in positions]
        if any(len(piece) != width for piece in pieces):
            return None
        return np.frombuffer(b"".join(pieces), dtype=pattern).astype(np.int64)

    def _bytes(self, proto: Any, start: int, length: int) -> bytes:
        """A piece of a tensor's data, from the file beside it where they lie there; empty where it is missing."""
        raw: bytes = proto.raw_data
        if raw:
            return raw[start : start + length]
        external = {entry.key: entry.value for entry in proto.external_data}
        name, offset = external.get("location", ""), external.get("offset", "0")
        if not name or Path(name).name != name or not offset.isdecimal():
            return b""  # only a file in the same folder is opened
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(int(offset) + start)
                piece: bytes = file.read(length)
                return piece
        except OSError:
            return b""
