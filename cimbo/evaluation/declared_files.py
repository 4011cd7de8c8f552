"""Files that a user says an evaluation reads, such as the weights that a function loads: they count by their content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation import content

FILES = "files"  # entry of a part of a fingerprint: digests by the name of a file


def declared_files(where: str, files: Sequence[str]) -> dict[str, Any]:
    """Collects the files that a user says an evaluation reads.

    Args:
        where: The key that lists them, for the error.
        files: Their paths.

    Returns:
        The entry ``files`` with the digest of each by its path from the folder that holds all; empty
        where none are declared.

    Raises:
        BadInput: There is no such file.
        OSError: It cannot be read.
    """
    if not files:
        return {}
    check_files(where, files)
    paths = [Path(file).resolve() for file in files]
    folder = os.path.commonpath([path.parent for path in paths])
    digests = {}
    for path in paths:
        digests[path.relative_to(folder).as_posix()] = content.digest(path)
    return {FILES: dict(sorted(digests.items()))}


def check_files(where: str, files: Sequence[str]) -> None:
    """Check that declared files exist.

    Args:
        where: The key that lists them.
        files: Their paths.

    Raises:
        BadInput: One does not; the message offers files of similar names in its folder.
    """
    for file in files:
        path = Path(file)
        if path.exists():
            continue
        names = []
        if path.parent.is_dir():
            names = [each.name for each in path.parent.iterdir()]
        near = get_close_matches(path.name, names, 2)
        todo = "name a file or a folder beside the study.toml"
        if near:
            todo = f"did you mean {' or '.join(near)}?"
        raise BadInput(where, f"{file} does not exist", todo)
