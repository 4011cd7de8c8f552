"""Digests of the content of files and folders: equal content has the same digest, wherever it lies."""

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
    """A file, and what changes when it is written to.

    Attributes:
        name: Path within the folder that is digested; "" for a single file.
        path: Absolute path.
        size: Bytes.
        modified_ns: When it was changed last.
    """

    name: str
    path: str
    size: int
    modified_ns: int


def digest(path: str | os.PathLike[str]) -> str:
    """Compute a digest of the content of a file, or of a folder with all its files.

    Digests are cached by names, sizes and times of the files, so asking again costs little. Of a
    folder of more than READ_AT_MOST_BYTES, only the names and sizes of the last files count.

    Args:
        path: The file or folder.

    Returns:
        "sha256:" and the first hexadecimal digits of the hash.

    Raises:
        OSError: When it cannot be read.
    """
    return _content_digest(tuple(_states(Path(path))))


def _states(path: Path) -> Iterator[FileState]:
    """Yield the file ``path``, or all files in that folder, sorted, those of the training set last."""
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
    """Size and time of the file ``path``, under a name."""
    status = path.stat()
    return FileState(name, str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _content_digest(states: Sequence[FileState]) -> str:
    """Digest of files: their names, their sizes, and the content of the first READ_AT_MOST_BYTES."""
    total, bytes_so_far = hashlib.sha256(), 0
    for state in states:
        total.update(f"{state.name}\0{state.size}\0".encode())
        bytes_so_far += state.size
        if bytes_so_far <= READ_AT_MOST_BYTES:
            with Path(state.path).open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{total.hexdigest()[:DIGEST_LENGTH]}"
