"""Networks without genes: one workload, for which only chips are searched."""

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
    """Read the network of an ONNX file, once for as long as the file does not change.

    Args:
        file: Its path.
        sizes: Name to number, of sizes that the file leaves free.

    Returns:
        The network, which has no genes.

    Raises:
        BadInput: as `cimbo.workloads.onnx.from_onnx` does.
    """
    path = Path(file)
    if not path.is_file():
        raise BadInput(file, "is no file", "give the path of an ONNX file")
    state = path.stat()
    sorted_sizes = tuple(sorted(sizes.items()))
    return _read(str(path.resolve()), sorted_sizes, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=MOST_KEPT_FILES)
def _read(file: str, sizes: tuple[tuple[str, int], ...], modified: int, size: int) -> FixedNetwork:
    """Read a file; its time of change and size are arguments so that a changed file is no cache hit."""
    from cimbo.workloads.onnx import from_onnx

    workload = from_onnx(file, sizes=dict(sizes))
    return FixedNetwork(workload.name, workload)


def workload_digest(workload: Workload) -> str:
    """Computes a digest of everything in a workload that its cost depends on.

    Args:
        workload: The network; names of its layers do not count.

    Returns:
        "sha256:" and the first hexadecimal digits of the hash.
    """
    shapes = list(map(_counts, workload.layers))
    text = json.dumps([shapes, workload.other_parameters, workload.batch], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]}"


def _counts(layer: Layer) -> dict[str, Any]:
    """The fields of a layer that its cost depends on; those of later releases only where they are set."""
    counts = asdict(layer)
    counts.pop("name")
    # Zeros are left out, so that digests stored by older releases, which lack these fields, still agree
    for name in SAID_FIELDS:
        if not counts[name]:
            counts.pop(name)
    return counts
