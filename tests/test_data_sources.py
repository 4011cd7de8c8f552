"""Every shipped file of data is named with its source and its licence, and says itself where its figures come from."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
CODE = {".py", ".md", ".toml", ".js", ".css", ".typed"}  # of the package, which are no data
SCHEMA = "cimbo/config/presets/study.schema.json"  # made from the types of the code


def rows() -> list[list[str]]:
    """The cells of each row of the two tables."""
    lines = (DATA / "README.md").read_text(encoding="utf-8").splitlines()
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [cells for cells in found if cells[0].startswith("`")]


def patterns(cell: str) -> list[str]:
    """The paths of a row's first cell; a name without a folder lies beside the one before it."""
    found: list[str] = []
    for path in re.findall(r"`([^`]+)`", cell):
        if "/" not in path and found and path != "constants.toml":
            path = f"{found[-1].rpartition('/')[0]}/{path}"
        found.append(path)
    return found


def shipped() -> list[str]:
    """Every file of data, below ``data/`` or inside the package."""
    found = []
    for path in DATA.rglob("*"):
        if path.is_file() and path.name != "README.md":
            found.append(path.relative_to(DATA).as_posix())
    for package in ("cimbo", "predictors"):
        for path in (ROOT / package).rglob("*"):
            hidden = "__pycache__" in path.parts
            if path.is_file() and path.suffix not in CODE and not hidden:
                found.append(path.relative_to(ROOT).as_posix())
    return [path for path in found if path != SCHEMA]


def test_every_row_names_a_source_and_a_licence():
    for cells in rows():
        assert len(cells) == 4, cells[0]
        assert all(cells), cells[0]


def test_every_file_stands_in_a_table_and_every_row_has_a_file():
    named = [pattern for cells in rows() for pattern in patterns(cells[0])]
    files = shipped()
    assert len(files) > 40
    for file in files:
        assert any(fnmatch(file, pattern) for pattern in named), f"{file} is not in data/README.md"
    for pattern in named:
        assert any(fnmatch(file, pattern) for file in files), f"there is no {pattern}"


@pytest.mark.parametrize("file", sorted(DATA.glob("accuracy/*.toml")), ids=lambda p: p.stem)
def test_published_accuracies_say_what_they_are_and_how_far_to_believe_them(file):
    about = tomllib.loads(file.read_text(encoding="utf-8"))
    assert {"source", "licence", "valid", "error_points", "error_is"} <= about.keys()
    assert about["kind"].startswith("modelled")


@pytest.mark.parametrize("file", sorted(DATA.glob("silicon/*.toml")), ids=lambda p: p.stem)
def test_published_chips_name_their_paper_and_who_read_it(file):
    about = tomllib.loads(file.read_text(encoding="utf-8"))
    assert {"citation", "source", "conditions"} <= about.keys()


@pytest.mark.parametrize(
    "file", sorted([*DATA.glob("cells/*.toml"), DATA / "constants.toml"]), ids=lambda p: p.stem
)
def test_physical_constants_name_source_node_and_how_they_are_known(file):
    def entries(table):
        if "value" in table:
            yield table
        for inner in table.values():
            if isinstance(inner, dict):
                yield from entries(inner)

    found = list(entries(tomllib.loads(file.read_text(encoding="utf-8"))))
    assert found
    for entry in found:
        assert {"unit", "node_nm", "status", "source"} <= entry.keys(), entry
        assert entry["source"]
