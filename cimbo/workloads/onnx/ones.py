"""Shares of ones in the weights of quantised files, whose bytes are read for it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.workloads.onnx.tensors import UINT8_TYPE

_INT8_TYPE = 3
STORED_BITS = 8


@dataclass
class StoredOnes:
    """Integer weights of a file, and the share of their bits that are one in two's complement.

    Args:
        folder: where external data lie.
    """

    folder: Path
    _stored: dict[str, Any] = field(default_factory=dict)

    def store(self, source: str, proto: Any) -> None:
        """Takes in a stored tensor; those that are no integers of 8 bits are ignored.

        Args:
            source: Its name, one in the whole file.
            proto: The TensorProto.
        """
        if proto.data_type in (UINT8_TYPE, _INT8_TYPE) and len(proto.dims) > 1:
            self._stored[source] = proto

    def share(self, sources: frozenset[str]) -> float:
        """Counts the ones of a weight.

        An unsigned integer stands for a signed one plus 128, half the range (zero point 128), so 128 is taken off.

        Args:
            sources: Names of the stored tensors that the weight is made of.

        Returns:
            Their share of all bits; 0 where the weight is no stored integer of 8 bits, or its bytes are
            missing.
        """
        from onnx import numpy_helper

        ones = bits = 0
        for source in sources:
            proto = self._stored.get(source)
            if proto is None:
                return 0.0
            try:
                values = numpy_helper.to_array(proto, str(self.folder))
            except (
                Exception
            ):  # its kind depends on whether bytes are missing, too few, or outside the folder
                return 0.0
            patterns = values.view(np.uint8)
            if proto.data_type == UINT8_TYPE:
                patterns = (
                    patterns ^ 0x80
                )  # flipping the highest bit takes 128 off, in two's complement
            ones += int(np.unpackbits(patterns.ravel()).sum())
            bits += STORED_BITS * patterns.size
        return ones / bits if bits else 0.0
