"""What ``--fix`` says: GENE=VALUE, or the chip of a file as @FILE, or one of several designs in it as @FILE#KEY."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.cli.strict_json import parse_json
from cimbo.errors import BadInput, choose_from, unreadable

CHIP_TABLES = ("hardware", "chip")  # what a design's own table of a chip is called in our JSON
DESIGN_LISTS = ("pareto", "designs")  # what a list of designs is called there
ROW_MARKS = {"key", "status"}  # columns of a row of a table of designs
FORM_OF_A_CHIP = (
    'give an object of genes such as {"rows": 128}, or a design of cimbo show --format json'
)


@dataclass(frozen=True)
class FixedGene:
    """A gene that keeps a value: as it was asked for, its name, and the value as text."""

    asked: str
    name: str
    value: str


def fixed_genes(fixes: Iterable[str]) -> Iterator[FixedGene]:
    """Read the values of ``--fix`` one by one; whether there are such genes is not checked here.

    Args:
        fixes: GENE=VALUE, or @FILE or @FILE#KEY for all genes of the chip in a file.

    Yields:
        Each gene with the value that it keeps.

    Raises:
        BadInput: For a file that cannot be read or holds no chip, or several without the key of
            one.
    """
    for text in fixes:
        if text.startswith("@"):
            for name, value in _chip_of(text).items():
                yield FixedGene(f"--fix {text}, {name}", name, str(value))
        else:
            yield _one_gene(text)


def changed_genes(fixes: Iterable[str]) -> dict[str, Any]:
    """Read genes of a chip that need not be those of a study, as ``--fix`` gives them.

    Args:
        fixes: GENE=VALUE, or @FILE or @FILE#KEY for all genes of the chip in a file.

    Returns:
        Values by gene: numbers where they are written so, else words.

    Raises:
        BadInput: As `fixed_genes` does, and for a gene with two values.
    """
    found: dict[str, Any] = {}
    for gene in fixed_genes(fixes):
        value = number_or_word(gene.value)
        if found.get(gene.name, value) != value:
            what = f"{gene.name} is fixed at {found[gene.name]} too"
            raise BadInput(gene.asked, what, "fix a gene once")
        found[gene.name] = value
    return found


def chip_in_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """Take the genes of a chip from a row of a table of designs.

    Args:
        found: Genes of a chip; or a row of ``cimbo export --to json``, which has metrics and genes of the
            network beside them.

    Returns:
        The genes of the chip that have a value; what was given where it is no such row.
    """
    from cimbo import hardware

    if not set(found) >= ROW_MARKS:
        return dict(found)
    known = {choice.name for choice in hardware.chip_choices(extended=True)}
    known |= set(hardware.DEFAULT_GENES)
    return {name: value for name, value in found.items() if name in known and value is not None}


def number_or_word(text: str) -> Any:
    """Read a value of a gene.

    Args:
        text: How it is written.

    Returns:
        A number, true or false where it is written as JSON writes them; else the text.
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def _one_gene(text: str) -> FixedGene:
    """What GENE=VALUE says. Raises BadInput where the text is none."""
    name, sign, value = text.partition("=")
    if not sign:
        todo = "write GENE=VALUE or @FILE"
        if Path(text).is_file():
            todo = f"write @{text}"
        raise BadInput(f"--fix {text}", "gives no value", todo)
    return FixedGene(f"--fix {text}", name, value)


def _chip_of(text: str) -> Mapping[str, Any]:
    """The genes of the chip in a file, as @FILE or @FILE#KEY names it."""
    where = f"--fix {text}"
    design = design_in_file("--fix", text)
    for table in CHIP_TABLES:
        if isinstance(design.get(table), Mapping):
            return dict(design[table])
    if not design or not all(isinstance(v, int | float | str) for v in design.values()):
        raise BadInput(where, "holds no chip", FORM_OF_A_CHIP)
    return design


def design_in_file(option: str, text: str) -> Mapping[str, Any]:
    """Read a design, or a chip alone, from a JSON file.

    Args:
        option: What names the file, for messages.
        text: @FILE, or @FILE#KEY for one design of several in it.

    Returns:
        The object in the file, or that of the design.

    Raises:
        BadInput: For a file that cannot be read or holds no object, or several designs without the
            key of one.
    """
    file, sign, key = text[1:].partition("#")
    where = f"{option} {text}"
    return _design(where, _document(where, Path(file)), key if sign else None)


def _document(where: str, file: Path) -> Any:
    """The JSON in a file."""
    try:
        written = file.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(where, error, "name a readable file") from None
    except UnicodeDecodeError as error:
        raise BadInput(where, f"is not JSON ({error})", FORM_OF_A_CHIP) from None
    return parse_json(where, written, FORM_OF_A_CHIP)


def _design(where: str, document: Any, key: str | None) -> Mapping[str, Any]:
    """The one design of a document, or that of several which ``key`` names."""
    for name in DESIGN_LISTS:
        if isinstance(document, Mapping) and isinstance(document.get(name), list):
            document = document[name]
    if isinstance(document, Mapping):
        return document
    if not isinstance(document, list) or not all(isinstance(each, Mapping) for each in document):
        raise BadInput(where, "holds no chip", FORM_OF_A_CHIP)
    return _one_of(where, document, key)


def _one_of(where: str, designs: Sequence[Mapping[str, Any]], key: str | None) -> Mapping[str, Any]:
    """The design that ``key`` begins the key of; without one the only design."""
    keys = [str(design.get("key", design.get("for", ""))) for design in designs]
    if key is None and len(designs) == 1:
        return designs[0]
    if key is None:
        example = keys[0] if keys else "KEY"
        todo = f"name one, as {where.split(maxsplit=1)[-1]}#{example}"
        raise BadInput(where, f"holds {len(designs)} designs", todo)
    found = []
    for design, own in zip(designs, keys, strict=True):
        if own.startswith(key):
            found.append(design)
    if len(found) != 1:
        what = f"holds {len(found)} designs whose keys start so"
        raise BadInput(where, what, choose_from(key, keys))
    return found[0]
