"""What a file or folder holds, as a short text: two that hold the same have the same digest, wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Of larger files and folders only names and sizes are hashed: reading a training set of ImageNet,
# 140 GB, would take too long.
READ_AT_MOST_BYTES = 8 * 2**30
DIGEST_LENGTH = 16  # hexadecimal digits, 64 bits
READ_LAST = "train"  # the folder of images that no accuracy is measured on


@dataclass(frozen=True)
class FileState:
    """A file, and what changes when it is written to. ``name`` is relative to what is digested."""

    name: str
    path: str
    size: int
    modified_ns: int


def digest(path: str | os.PathLike[str]) -> str:
    """Computes a digest of the content of a file, or of a folder with all its files.

    What was read is remembered for as long as size and time of the files stay, so asking again
    costs little.

    Args:
        path: The file or folder.

    Returns:
        "sha256:" and the first hexadecimal digits of the hash.

    Raises:
        OSError: When it cannot be read.
    """
    return _content_digest(tuple(_states(Path(path))))


def _states(path: Path) -> Iterator[FileState]:
    """The files of ``path``, those of the training set last."""
    if path.is_file():
        yield _state(path, "")
        return
    names = []
    for file in path.rglob("*"):
        if file.is_file():
            names.append(str(file.relative_to(path)))
    for name in sorted(names, key=lambda name: (Path(name).parts[0] == READ_LAST, name)):
        yield _state(path / name, name)


def _state(path: Path, name: str) -> FileState:
    about = path.stat()
    return FileState(name, str(path.resolve()), about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _content_digest(states: Sequence[FileState]) -> str:
    total, read = hashlib.sha256(), 0
    for state in states:
        total.update(f"{state.name}\0{state.size}\0".encode())
        read += state.size
        if read <= READ_AT_MOST_BYTES:
            with Path(state.path).open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{total.hexdigest()[:DIGEST_LENGTH]}"
