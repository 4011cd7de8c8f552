"""Runs the notebooks of this folder and writes what they print into them.

python docs/notebooks/run.py [NAME.ipynb ...]

Needs ``pip install nbclient ipykernel matplotlib``. The tests run the same notebooks and throw the results away.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
LONGEST_CELL_S = 300


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook in a process of its own.

    Args:
        path: The notebook.
        folder: Where it runs; files that it writes lie there.

    Returns:
        The notebook with what its cells gave.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=LONGEST_CELL_S, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of a machine
    return notebook


def main(names: list[str]) -> None:
    """Run notebooks and write them.

    Args:
        names: File names in this folder; all of them where none is given.
    """
    for path in [HERE / name for name in names] or sorted(HERE.glob("*.ipynb")):
        notebook = executed(path, HERE)
        notebook.metadata.pop("language_info", None)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
