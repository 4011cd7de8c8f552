"""The measured accuracies of CIM-NAS-Bench as they stand in its files, a line of CSV each."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

from cimbo import _data
from cimbo.errors import BadInput, choose_from
from cimbo.hardware.array_description import describe_array
from cimbo.hardware.cell_errors import SECONDS_AT_AGE, ArrayConditions
from cimbo.workloads import network

FOLDER = "cim-nas-bench"
ABOUT_FILE = "about.json"
PARTS = ("table", "random", "exact")
N_TEST_ROWS = 380  # of the random part, its last ones, that predictors are scored on


ARRAY_COLUMNS: dict[str, Callable[[str], Any]] = {
    "array": str,
    "rows": int,
    "adc_bits": int,
    "dac_bits": int,
    "cell_bits": int,
    "weight_bits": int,
    "act_bits": int,
    "adc_range": str,
}
"""Genes of an array, and how each is read."""

NOISE_COLUMNS: dict[str, Callable[[str], Any]] = {
    "age": str,
    "stuck_cells": float,
    "noise_lsb": float,
}
"""Settings of `cimbo.hardware.cell_errors.ArrayConditions`; an empty field: as the constants have it."""

OWN_COLUMNS = ("number", "part", "form", "die", "images", "right", "cpu_seconds")
"""Columns about the measurement itself."""


@dataclass(frozen=True)
class Measurement:
    """One measured accuracy: a sub-network on one die of one array, on the first test examples.

    Attributes:
        number: Its number; the same number is the same measurement, whoever makes it.
        network: The super-network.
        part: "table", "random" or "exact".
        subnet: Active genes of the sub-network.
        array: Genes of the array; what is left out is as cimbo's chips have it.
        noise: Settings of the array's errors that are not as usual.
        die: Number of the die.
        images: How many test examples were asked, from the first.
        form: "equivalent", errors as noise of their size; or "exact", bit-accurate arrays.
        right: How many examples are classified rightly.
        cpu_seconds: What it took on one core, the set-up of the network included.
    """

    number: int
    network: str
    part: str
    subnet: Mapping[str, Any]
    array: Mapping[str, Any]
    noise: Mapping[str, Any] = field(default_factory=dict)
    die: int = 0
    images: int = 500
    form: str = "equivalent"
    right: int = 0
    cpu_seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """Percent of the examples."""
        return 100.0 * self.right / self.images

    @property
    def standard_error(self) -> float:
        """Standard error of the accuracy by the choice of examples, in points; differences between dies add to it."""
        share = (self.right + 0.5) / (self.images + 1)
        return 100.0 * sqrt(share * (1.0 - share) / self.images)

    def features(self) -> dict[str, Any]:
        """Describes it for a predictor of accuracies.

        Returns:
            Genes of the sub-network and of the array, its multiply-accumulates and parameters, and
            the errors that it met as numbers.
        """
        workload = network(self.network).workload(dict(self.subnet))
        columns = {**self.subnet, **self.array}
        columns["macs"] = float(workload.macs)
        columns["parameters"] = float(workload.parameters)
        if self.array["array"] == "digital_sram":
            return columns
        conditions = ArrayConditions(**self.noise)
        described = describe_array(self.array, conditions)
        columns["noise_lsb"] = described.noise_lsb
        columns["stuck_cells"] = described.stuck_cells
        if described.family == "rram":
            columns["age_s"] = SECONDS_AT_AGE[conditions.age]
        return columns


@dataclass(frozen=True)
class About:
    """What all measurements have in common.

    Attributes:
        accuracy_results_version: `cimbo.evaluation.accuracy.RESULTS_VERSION` that they were made with.
        measurements: How many there are.
        asked: How many there should be; more where measuring was cut off.
        cpu_seconds: What they took together.
        sha256: Hash of each file.
    """

    accuracy_results_version: int
    measurements: int
    asked: int
    cpu_seconds: float
    sha256: Mapping[str, str]


def read_about(folder: Path | None = None) -> About:
    """Reads what all measurements have in common.

    Args:
        folder: Where the files are; the shipped ones where none is named.

    Returns:
        Version, counts and hashes.

    Raises:
        BadInput: The files are not there.
    """
    folder = folder or _data.path(FOLDER)
    if not (folder / ABOUT_FILE).exists():
        raise BadInput(str(folder), f"has no {ABOUT_FILE}", "name the folder of CIM-NAS-Bench")
    return About(**json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8")))


def read(name: str, folder: Path | None = None) -> tuple[Measurement, ...]:
    """Reads the measurements of a super-network, and checks that the file is as it was made.

    Args:
        name: The super-network.
        folder: Where the files are; the shipped ones where none is named.

    Returns:
        The measurements by number.

    Raises:
        BadInput: There is no such super-network, or its file has been changed.
    """
    folder = folder or _data.path(FOLDER)
    hashes = read_about(folder).sha256
    file = f"{name}.csv"
    if file not in hashes:
        known = [known_file.removesuffix(".csv") for known_file in hashes]
        raise BadInput(f"CIM-NAS-Bench {name!r}", "is unknown", choose_from(name, known))
    content = (folder / file).read_bytes()
    if hashlib.sha256(content).hexdigest() != hashes[file]:
        raise BadInput(str(folder / file), "has been changed", "take the file as it is shipped")
    genes = subnet_columns(name)
    lines = csv.DictReader(content.decode().splitlines())
    return tuple(_measurement(name, line, genes) for line in lines)


@cache
def subnet_columns(name: str) -> dict[str, dict[str, Any]]:
    """Lists the genes of a super-network.

    Args:
        name: The super-network.

    Returns:
        Gene to its values, each by how it is written.
    """
    columns = {}
    for choice in network(name).choices():
        columns[choice.name] = {str(value): value for value in choice.values}
    return columns


def _measurement(
    name: str, line: Mapping[str, str], genes: Mapping[str, Mapping[str, Any]]
) -> Measurement:
    """A line of a file, its genes as values."""
    subnet = {}
    for gene, values in genes.items():
        if line[gene]:
            subnet[gene] = values[line[gene]]
    return Measurement(
        number=int(line["number"]),
        network=name,
        part=line["part"],
        subnet=subnet,
        array=_given(line, ARRAY_COLUMNS),
        noise=_given(line, NOISE_COLUMNS),
        die=int(line["die"]),
        images=int(line["images"]),
        form=line["form"],
        right=int(line["right"]),
        cpu_seconds=float(line["cpu_seconds"]),
    )


def _given(line: Mapping[str, str], columns: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Read some columns of a line, without those that are empty."""
    given = {}
    for name, read_value in columns.items():
        if line[name]:
            given[name] = read_value(line[name])
    return given


def write(name: str, measurements: Sequence[Measurement], file: Path) -> None:
    """Writes the measurements of a super-network.

    Args:
        name: The super-network.
        measurements: What was measured of it.
        file: The CSV file to write.
    """
    genes = subnet_columns(name)
    columns = [*OWN_COLUMNS, *NOISE_COLUMNS, *ARRAY_COLUMNS, *genes]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for each in sorted(measurements, key=lambda m: m.number):
            own = {column: getattr(each, column) for column in OWN_COLUMNS}
            writer.writerow({**own, **each.noise, **each.array, **each.subnet})
