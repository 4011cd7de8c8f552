"""Files that a user's function was seen to read and that its study does not name: a change of them would go unnoticed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cimbo.errors import cut_list
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.user_code import is_installed, module_file
from cimbo.evaluation.whole import FunctionEvaluator
from cimbo.plugins import is_python_name

CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyi", ".so", ".toml"})
MOST_LISTED_FILES = 3


def undeclared_files(evaluate: object, opened: Iterable[str]) -> str | None:
    """Warn of files beside a user's function that it was seen to read and that nothing names.

    Args:
        evaluate: What evaluates.
        opened: Paths of files that were opened for reading while it was tried.

    Returns:
        A line for the user; None where there are no such files, or what evaluates is no function of a
        study.toml.
    """
    if isinstance(evaluate, JointEvaluator):
        name, table, declared = evaluate.accuracy, "network", evaluate.files
    elif isinstance(evaluate, FunctionEvaluator):
        name, table, declared = evaluate.function, "evaluator", evaluate.files
    else:
        return None
    if not is_python_name(name):
        return None
    file = module_file(name.partition(":")[0])
    if file is None or is_installed(file):
        return None
    folders = (file.resolve().parent, Path.cwd())
    known = [Path(path).resolve() for path in declared]
    found = []
    for path in map(Path, opened):
        if _counts(path, folders) and not any(path.resolve().is_relative_to(k) for k in known):
            found.append(path.name)
    if not found:
        return None
    listed = cut_list(found, MOST_LISTED_FILES)
    return (
        f"{name} reads {listed}, which the study does not name: a change would not be noticed; "
        f'write [{table}] files = ["{found[0]}"] with all that decide its results'
    )


def _counts(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a file is data of the user's: it lies in one of the folders, and is no code."""
    if path.suffix in CODE_SUFFIXES or not path.is_file() or is_installed(path):
        return False
    return any(path.resolve().is_relative_to(folder) for folder in folders)
