"""Networks without genes: one workload, of which only the chip can be searched."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.workloads.layer import SAID_FIELDS, Layer
from cimbo.workloads.layers import Workload

MOST_KEPT_FILES = 32  # workloads of files kept in memory
DIGEST_LENGTH = 16  # hexadecimal digits, 64 bits


@dataclass(frozen=True)
class FixedNetwork:
    """A family of one network.

    Attributes:
        name: what reports call it.
        only: its layers.
    """

    name: str
    only: Workload

    def choices(self) -> list[Choice]:
        """None: nothing of it is elastic."""
        return []

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Gives the layers.

        Args:
            subnet: Ignored: there are no genes.

        Returns:
            The network's one workload.
        """
        return self.only

    def largest(self) -> dict[str, Any]:
        """No genes."""
        return {}

    def smallest(self) -> dict[str, Any]:
        """No genes."""
        return {}


def onnx_network(file: str, sizes: Mapping[str, int]) -> FixedNetwork:
    """The network of an ONNX file; read once for as long as the file stays as it is.

    Args:
        file: its path.
        sizes: its free sizes, by name.

    Returns:
        The network, which has no genes.

    Raises:
        BadInput: as `cimbo.workloads.onnx.from_onnx` does.
    """
    path = Path(file)
    if not path.is_file():
        raise BadInput(file, "is no file", "give the path of an ONNX file")
    state = path.stat()
    given = tuple(sorted(sizes.items()))
    return _read(str(path.resolve()), given, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=MOST_KEPT_FILES)
def _read(file: str, sizes: tuple[tuple[str, int], ...], modified: int, size: int) -> FixedNetwork:
    from cimbo.workloads.onnx import from_onnx

    workload = from_onnx(file, sizes=dict(sizes))
    return FixedNetwork(workload.name, workload)


def workload_digest(workload: Workload) -> str:
    """Computes a digest of all that a workload costs.

    Args:
        workload: The layers; their names do not count.

    Returns:
        "sha256:" and the first hexadecimal digits of the hash.
    """
    shapes = list(map(_counts, workload.layers))
    text = json.dumps([shapes, workload.other_parameters, workload.batch], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]}"


def _counts(layer: Layer) -> dict[str, Any]:
    """What a layer costs. Stored digests of older releases lack some fields, so zeros of these are left out."""
    counts = asdict(layer)
    counts.pop("name")
    for share in SAID_FIELDS:
        if not counts[share]:
            counts.pop(share)
    return counts
