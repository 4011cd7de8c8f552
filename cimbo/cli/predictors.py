"""``cimbo predictors``: bundles of fitted surrogates, looked at and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cimbo.cli.grouped import GroupedCommand
from cimbo.cli.options import existing
from cimbo.cli.output import emit, format_option
from cimbo.session import bundles
from cimbo.session.session import Session

FILE_TYPE = click.Path(path_type=Path)
study_to_ask = click.option(
    "--study", "study", default=None, help="A study whose evaluations the bundle is shown."
)
drawing = click.option(
    "-o",
    "--output",
    "picture",
    type=FILE_TYPE,
    default=None,
    help="Draw which genes matter, as SVG.",
)


@click.group()
def predictors() -> None:
    """List, inspect and compare bundles of fitted surrogates.

    Example: cimbo predictors list bundles
    """


@predictors.command("list", cls=GroupedCommand)
@click.argument("folder", type=FILE_TYPE)
@format_option
def listed(folder: Path, style: str) -> None:
    """The bundles of FOLDER, one a line; of a damaged file, what is wrong with it.

    held_out_error is what the final fit found on rows that it left out. fit-predictors prints another error: it
    cross-validates whole fits, each on fewer rows.

    Example: cimbo predictors list bundles
    """
    found = bundles.list_bundles(folder)
    emit(style, [file.row() for file in found.files], found.to_json())


@predictors.command(cls=GroupedCommand)
@click.argument("file", type=FILE_TYPE)
@study_to_ask
@drawing
@format_option
def inspect(file: Path, study: str | None, picture: Path | None, style: str) -> None:
    """What FILE holds and which genes matter to it; with --study also their SHAP values over its evaluations.

    Example: cimbo predictors inspect bundles/accuracy.cimpred -o genes.svg
    """
    with _asked(study) as session:
        found = bundles.inspect_bundle(file, session, picture=picture)
    facts = dict(found.facts)
    for name in found.ranked():
        shares = (f"{measure} {share:.1%}" for measure, share in found.shares(name).items())
        facts[f"knob {name}"] = "  ".join(shares)
    rows = [{"what": name, "value": value} for name, value in facts.items()]
    emit(style, rows, found.to_json())


@predictors.command(cls=GroupedCommand)
@click.argument("files", type=FILE_TYPE, nargs=-1, required=True)
@study_to_ask
@drawing
@format_option
def compare(files: tuple[Path, ...], study: str | None, picture: Path | None, style: str) -> None:
    """FILES side by side; with --study their errors on those of its evaluations that each was not fitted to.

    Example: cimbo predictors compare a.cimpred b.cimpred --study new.db
    """
    with _asked(study) as session:
        found = bundles.compare_bundles(files, session, picture=picture)
    emit(style, [bundle.to_json() for bundle in found.bundles], found.to_json())


@contextmanager
def _asked(study: str | None) -> Iterator[Session | None]:
    """The named study, None where none is named."""
    if study is None:
        yield None
    else:
        with existing(study) as session:
            yield session
