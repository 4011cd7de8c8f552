"""Digests of the Python files on which a user's function depends, without their comments and docstrings.

They are the file of the function's module and the modules that it imports, directly or indirectly, from its own folder.
Installed packages do not count. Imports are read from the source, not from the loaded modules, so that every process finds the
same files.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from cimbo.evaluation.content import DIGEST_LENGTH, digest
from cimbo.plugins import search_current_folder

DOCUMENTED_NODES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
INSTALLED_FOLDERS = frozenset({"site-packages", "dist-packages"})
LINE_ENDS = frozenset({tokenize.NEWLINE, tokenize.NL})
OWN_PACKAGE_FOLDER = Path(__file__).resolve().parents[1]


def module_file(name: str) -> Path | None:
    """Find the file that a module stands in.

    Args:
        name: The module, with dots; it may lie in the folder one is in.

    Returns:
        The file; None for what is no file of Python's.
    """
    search_current_folder()
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    return Path(spec.origin)


def code_of_module(name: str) -> dict[str, str]:
    """Compute digests of a user's module and of the modules of the same folder that it imports.

    Args:
        name: The module, with dots.

    Returns:
        Digest of each file without its comments and docstrings, by its path from the folder that the
        module is imported from; empty where the module is no file, is installed, or is cimbo's own.
    """
    file = module_file(name)
    if file is None or file.suffix != ".py" or is_installed(file):
        return {}
    root = file.parent
    for _ in range(name.count(".") + (file.name == "__init__.py")):
        root = root.parent
    digests: dict[str, str] = {}
    waiting = [file]
    while waiting:
        next_file = waiting.pop()
        relative = next_file.relative_to(root).as_posix()
        if relative not in digests:
            digests[relative] = code_digest(next_file)
            waiting.extend(_imported_files(next_file, root))
    return dict(sorted(digests.items()))


def is_installed(file: Path) -> bool:
    """Tell whether a file belongs to an installed package, to Python itself or to cimbo.

    Args:
        file: The file.

    Returns:
        False for a file of the user's.
    """
    if not INSTALLED_FOLDERS.isdisjoint(file.parts):
        return True
    own = file.resolve()
    standard = Path(sysconfig.get_paths()["stdlib"]).resolve()
    return own.is_relative_to(OWN_PACKAGE_FOLDER) or own.is_relative_to(standard)


def _imported_files(file: Path, root: Path) -> Iterator[Path]:
    """Yield the files under ``root`` that the import statements of ``file`` name."""
    tree = _parsed(file.read_bytes())
    if tree is None:
        return
    package = file.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(root, tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base: tuple[str, ...] = ()
            if node.level:
                base = package[: len(package) - node.level + 1]
            if node.module:
                base += tuple(node.module.split("."))
            for alias in node.names:
                yield from _files_of(root, (*base, alias.name))


def _files_of(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a module and of the packages around it.

    Args:
        root: The folder from which modules are imported.
        names: The parts of the module's name; the last may be an object in a module instead.
    """
    for count in range(1, len(names) + 1):
        path = root.joinpath(*names[:count])
        for file in (path / "__init__.py", path.with_name(path.name + ".py")):
            if file.is_file() and not is_installed(file):
                yield file


def code_digest(file: Path) -> str:
    """Compute a digest of a Python file that comments, docstrings and empty lines do not change.

    Args:
        file: The file.

    Returns:
        "sha256:" and the first hexadecimal digits of the hash; of the whole content where the file
        is not valid Python.

    Raises:
        OSError: When it cannot be read.
    """
    about = file.stat()
    return _known_digest(str(file.resolve()), about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=512)
def _known_digest(path: str, size: int, modified_ns: int) -> str:
    """The digest of a file; its size and time only say whether the one that is known still holds."""
    source = Path(path).read_bytes()
    tree = _parsed(source)
    if tree is None:
        return digest(path)
    text = "\n".join(_code_lines(source, tree))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]}"


def _parsed(source: bytes) -> ast.Module | None:
    """The syntax tree; None for what is no valid Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _code_lines(source: bytes, tree: ast.Module) -> Iterator[str]:
    """The lines of a source without comments, docstrings and empty lines; lines inside of string literals stay.

    The text itself is hashed, not the tree or the tokens: these differ between versions of Python.

    Args:
        source: What stands in the file.
        tree: Its syntax tree.

    Yields:
        A line that counts.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    lines = io.TextIOWrapper(io.BytesIO(source), encoding).read().split("\n")
    docstrings = _docstring_lines(tree, lines)
    inside_texts: set[int] = set()
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        (first, start), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[first - 1] = lines[first - 1][:start].rstrip()
        elif last > first and token.type not in LINE_ENDS:
            inside_texts.update(range(first + 1, last + 1))
    for number, line in enumerate(lines, start=1):
        if number in docstrings:
            continue
        if number in inside_texts:
            yield line
        elif line.strip():
            yield line.rstrip()


def _docstring_lines(tree: ast.Module, lines: Sequence[str]) -> set[int]:
    """Numbers of the lines that hold docstrings and nothing else."""
    numbers: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, DOCUMENTED_NODES) or ast.get_docstring(node, clean=False) is None:
            continue
        text = node.body[0]
        assert text.end_lineno is not None
        before = lines[text.lineno - 1].encode()[: text.col_offset]
        after = lines[text.end_lineno - 1].encode()[text.end_col_offset :]
        if not before.strip() and not after.partition(b"#")[0].strip():
            numbers.update(range(text.lineno, text.end_lineno + 1))
    return numbers
