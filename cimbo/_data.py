"""What is shipped: which version, and where its data lie, inside the installed package, or next to it in a source checkout."""

from pathlib import Path

from cimbo.errors import BadInput

__version__ = "0.2.0"

PACKAGE_FOLDER = Path(__file__).resolve().parent
DATA_ROOTS = (PACKAGE_FOLDER / "data", PACKAGE_FOLDER.parent / "data")


def path(name: str) -> Path:
    """The shipped file or folder ``name`` below ``data/``. Raises BadInput when this installation lacks it."""
    for root in DATA_ROOTS:
        if (root / name).exists():
            return root / name
    raise BadInput(
        name,
        "is not among the shipped data files",
        "reinstall cimbo, or check out the whole repository",
    )
