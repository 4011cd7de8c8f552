"""What the documentation site is built from holds together: navigation, links, figures and generated pages.

``mkdocs build --strict`` (``tox -e docs``) builds it; this needs neither MkDocs nor a network.
"""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import cimbo
import predictors
from cimbo.cli import COMMAND_MODULES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
sys.path.append(str(DOCS / "hooks"))
import cli_reference  # noqa: E402
import figures  # noqa: E402
import study_reference  # noqa: E402
import write_pages  # noqa: E402

HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def navigation(entry):
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, dict):
        entry = list(entry.values())
    return [page for each in entry for page in navigation(each)]


def text_of(page):
    """A page as the site has it, without blocks of code."""
    return CODE.sub("", figures.filled((DOCS / page).read_text(encoding="utf-8")))


def anchors(page):
    """The anchors that MkDocs gives the headings of a page."""
    found = set()
    for heading in HEADING.findall(text_of(page)):
        plain = re.sub(r"[`*]|\]\([^)]*\)", "", heading)
        slug = re.sub(r"[^\w\s-]", "", plain).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", slug))
    return found


ALL_PAGES = [str(page.relative_to(DOCS)) for page in PAGES]


def test_pages_in_the_clone_have_the_figures_of_today():
    """Readers of the repository see the files themselves: no page shows a placeholder, or an old figure."""
    old = []
    for path, text in write_pages.pages():
        if path.read_text(encoding="utf-8") != text:
            old.append(str(path.relative_to(ROOT)))
    assert not old, f"{old}: run python docs/hooks/write_pages.py"


def test_every_page_has_a_place_in_the_navigation():
    listed = navigation(CONFIG["nav"])
    notebooks = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.ipynb")]
    assert sorted(listed) == sorted([*ALL_PAGES, *notebooks])
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_links_between_pages_lead_somewhere(page):
    for target in LINK.findall(text_of(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        other = str(Path(page).parent / file) if file else page
        other = str((DOCS / other).resolve().relative_to(DOCS))
        assert (DOCS / other).exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(other), f"{page}: {target}"


@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_page_names_no_folder_of_a_machine(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert not re.search(r"/(work|home|root|Users)/|\.\./shared", text), page


def test_a_figure_that_is_not_there_is_named():
    with pytest.raises(figures.FigureError, match="stopped at 'nobody'"):
        figures.filled("<!-- supernets.json/nobody/random as .1f -->")
    with pytest.raises(figures.FigureError, match="no NOTHING"):
        figures.filled("<!-- code predictors/gp/likelihood.py:NOTHING as d -->")
    with pytest.raises(figures.FigureError, match="no table"):
        figures.filled("<!-- table: nothing -->\n")


def test_figures_are_those_of_the_files():
    told = figures.filled("<!-- code predictors/gp/likelihood.py:HYPER_ROWS as d -->")
    from predictors import gp

    assert int(told) == gp.HYPER_ROWS
    share = figures.figure("supernets.json", "fmnist-vit/random/count")
    assert figures.filled("<!-- supernets.json/fmnist-vit/random/count as d -->") == str(share)


@pytest.mark.parametrize(
    ("old", "style", "before", "after"),
    [
        ("12", "d", "(", ")"),
        ("-3.25", "+.2f", " ", " points"),
        ("1,234", ",d", "x", ""),
        ("7", "d", "3-", ""),  # a range: its dash is no sign
        ("99%", ".0%", "", "."),
        ("", "d", "first ", " time"),
    ],
)
def test_a_figure_is_written_over_an_older_one_and_nothing_else(old, style, before, after):
    comment = f"<!-- supernets.json/fmnist-vit/random/count as {style} -->"
    new = format(figures.figure("supernets.json", "fmnist-vit/random/count"), style)
    text = before + old + comment + after
    assert figures.written(text) == before + new + comment + after
    assert figures.filled(text) == before + new + after
    assert figures.written(figures.written(text)) == figures.written(text)


def test_a_table_ends_before_the_next_paragraph():
    text = figures.filled("<!-- table: silicon -->\nNext.\n")
    assert text.endswith("|\n\nNext.\n")
    assert figures.filled(figures.written("<!-- table: silicon -->\nNext.\n")) == text


def test_a_table_without_an_end_does_not_swallow_the_next_one():
    text = figures.written("<!-- table: silicon -->\nBetween.\n<!-- table: recovery -->\nAfter.\n")
    assert text.count("<!-- end of table -->") == 2
    assert "Between." in text
    assert figures.written(text) == text


def test_the_page_on_commands_has_every_command():
    page = cli_reference.page()
    headings = HEADING.findall(page)
    assert {f"cimbo {name}" for name in COMMAND_MODULES} <= set(headings)
    assert "<code>--budget" in page


def test_the_page_on_study_toml_has_every_key_of_the_schema():
    from cimbo.config.schema import study_schema

    page = study_reference.page()
    definitions = study_schema()["$defs"]
    keys = {key for table in definitions.values() for key in table.get("properties", {})}
    for key in keys:
        assert f"`{key}`" in page or f"[{key}]" in page, key


@pytest.mark.parametrize("package", [cimbo, predictors], ids=lambda package: package.__name__)
def test_the_reference_has_every_exported_name(package):
    page = figures.filled((DOCS / "api" / f"{package.__name__}.md").read_text(encoding="utf-8"))
    shown = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith("::: ")}
    assert shown == set(package.__all__) - {"__version__"}


def test_the_docs_environment_installs_what_the_extra_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = set(project["optional-dependencies"]["docs"])
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    section = tox.partition("[testenv:docs]")[2].partition("[testenv")[0]
    named = {
        line.strip() for line in section.partition("deps =")[2].partition("\n\n")[0].split("\n")
    }
    assert extra <= named
