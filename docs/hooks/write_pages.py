"""Writes into ``docs/`` and the README what they take from elsewhere: figures, tables, two pages of reference.

Run it after a change of a benchmark, of a constant, or of the command line: ``python docs/hooks/write_pages.py``. A test
fails while a page is older than what it shows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent
GENERATED_PAGES = {"commands.md": "cli_reference", "study-toml.md": "study_reference"}
"""Pages that are written whole, each by a module beside this one."""

API_PAGES = DOCS / "api"
"""Only the site fills these: they are made of docstrings, and list what else a package exports."""


def pages() -> Iterator[tuple[Path, str]]:
    """Go over the pages.

    Yields:
        A page and the text that it should have.
    """
    figures = import_module("figures")
    for path in [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]:
        if API_PAGES in path.parents:
            continue
        if path.name in GENERATED_PAGES:
            text: str = import_module(GENERATED_PAGES[path.name]).page()
            yield path, text.rstrip() + "\n"
        else:
            yield path, figures.written(path.read_text(encoding="utf-8"))


def main() -> None:
    """Write every page that is older than what it shows."""
    sys.path[:0] = [str(HERE), str(DOCS.parent)]
    for path, text in pages():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
