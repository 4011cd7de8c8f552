"""CIM-NAS-Bench: measured accuracies of sub-networks on compute-in-memory arrays, to be looked up and learned from.

>>> from cimbo.benchmarking import cim_nas_bench
>>> bench = cim_nas_bench.load("fmnist-vit")
>>> subnet = {"depth": 4, "embed": 48, "heads": 4, "mlp": 3}
>>> measured = bench.lookup(subnet, {"array": "digital_sram", "weight_bits": 8})
>>> 80 < measured.accuracy < 95, measured.standard_error < 2  # percent and points
(True, True)
>>> costs = bench.costs(subnet, {"array": "digital_sram", "weight_bits": 8, "pes": 2})
>>> sorted(costs)
['area_mm2', 'energy_uj', 'latency_ms']
>>> train, test = bench.split(400)

``data/cim-nas-bench/README.md`` says what was measured, how, and what it is not good for. As search problems for
``cimbo compare`` its tables are in `cimbo.benchmarking.cim_nas_bench.problem`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cimbo import hardware
from cimbo.benchmarking.cim_nas_bench.measurements import (
    ARRAY_COLUMNS,
    N_TEST_ROWS,
    NOISE_COLUMNS,
    PARTS,
    Measurement,
    read,
    read_about,
)
from cimbo.benchmarking.cim_nas_bench.spaces import (
    DIGITAL_ARRAY,
    DIGITAL_WEIGHT_BITS,
    TABLE_ARRAYS,
    TABLE_NETWORKS,
    all_layers,
)
from cimbo.config.study_config import preset
from cimbo.errors import BadInput, check_known, choose_from
from cimbo.hardware.array_description import ARRAY_GENES
from cimbo.hardware.chip_columns import columns
from cimbo.workloads import network

__all__ = ["PARTS", "CimNasBench", "Measurement", "load", "names"]

COSTS = ("latency_ms", "energy_uj", "area_mm2")


def names() -> list[str]:
    """Lists the super-networks of the benchmark.

    Returns:
        Their names.
    """
    return list(TABLE_NETWORKS)


def load(name: str, folder: Path | None = None) -> CimNasBench:
    """Loads the measurements of a super-network.

    Args:
        name: One of `names`.
        folder: Where the files are; the shipped ones where none is named.

    Returns:
        The measurements, and cimbo's cost model beside them.

    Raises:
        BadInput: There is no such super-network, or its file has been changed.
    """
    version = read_about(folder).accuracy_results_version
    return CimNasBench(name, read(name, folder), version)


@dataclass(frozen=True)
class CimNasBench:
    """All measurements of a super-network.

    Attributes:
        network: Its name.
        measurements: By number.
        accuracy_results_version: Of cimbo's accuracy under the errors of arrays, when they were made.
    """

    network: str
    measurements: tuple[Measurement, ...]
    accuracy_results_version: int

    def part(self, name: str) -> list[Measurement]:
        """Selects a part.

        Args:
            name: "table", "random" or "exact".

        Returns:
            Its measurements, by number.

        Raises:
            BadInput: There is no such part.
        """
        if name not in PARTS:
            raise BadInput(f"part {name!r}", "is unknown", choose_from(name, PARTS))
        return [each for each in self.measurements if each.part == name]

    def split(self, n_train: int) -> tuple[list[Measurement], list[Measurement]]:
        """Splits the random part for predictors.

        Its order is random already: the first rows are to be learned from, the last, always the same,
        to be predicted.

        Args:
            n_train: How many rows to learn from.

        Returns:
            Rows to learn from, rows to predict.

        Raises:
            BadInput: There are not so many.
        """
        rows = self.part("random")
        most = len(rows) - N_TEST_ROWS
        if most < 1:
            what = f"has {len(rows)} random rows, too few for a split"
            raise BadInput(self.network, what, "use all of them to see what carries over")
        if not 1 <= n_train <= most:
            todo = f"{self.network} has 1 to {most} rows to learn from"
            raise BadInput("n_train", f"is {n_train}", todo)
        return rows[:n_train], rows[-N_TEST_ROWS:]

    def lookup(self, subnet: Mapping[str, Any], array: Mapping[str, Any]) -> Measurement:
        """Finds the measured accuracy of a sub-network on an array, die 0.

        Args:
            subnet: Genes of the small space, such as ``{"depth": 4, "embed": 48, "heads": 4, "mlp": 3}``, or of
                every layer.
            array: Genes of the array, or of a whole chip.

        Returns:
            The measurement.

        Raises:
            BadInput: The table has no such sub-network or no such array, a name is of no gene, or a value
                is none that a chip can have.
        """
        for where, genes in (("sub-network", subnet), ("array", array)):
            if not isinstance(genes, Mapping):
                raise BadInput(where, f"is {genes!r:.40}", "give a dict of gene to value")
        self._check_names(subnet, array)
        columns([self.whole_chip(array)])  # refuses values that no chip has
        full = dict(subnet)
        if set(subnet) <= set(TABLE_NETWORKS[self.network]):
            self._check_small(subnet)
            full = all_layers(self.network, subnet)
        key = (_key(full), _key(table_array(array)))
        if key not in self._table:
            what = f"has not measured {dict(subnet)} on {dict(array)}"
            raise BadInput("CIM-NAS-Bench", what, self._measured_in_words())
        return self._table[key]

    def _check_names(self, subnet: Mapping[str, Any], array: Mapping[str, Any]) -> None:
        """Raises BadInput for a name that is no gene of the super-network, or none of a chip."""
        small = TABLE_NETWORKS[self.network]
        every_layer = [choice.name for choice in network(self.network).choices()]
        for name in subnet:
            check_known(name, [*small, *every_layer], f"sub-network, {name}", "is no gene of it")
        chip_genes = [*ARRAY_COLUMNS, *ARRAY_GENES, *hardware.DEFAULT_GENES]
        chip_genes += [choice.name for choice in hardware.chip_choices()]
        for name in array:
            if name in (*NOISE_COLUMNS, "die"):
                todo = 'look among bench.part("random"), where it varies'
                raise BadInput(f"array, {name}", "is the same in the whole table", todo)
            check_known(name, dict.fromkeys(chip_genes), f"array, {name}", "is no gene of a chip")

    def _measured_in_words(self) -> str:
        """The sub-networks and arrays of the table, gene by gene."""
        genes = []
        for spans in (TABLE_NETWORKS[self.network], TABLE_ARRAYS[self.network]):
            for gene, values in spans.items():
                genes.append(f"{gene} {', '.join(map(str, values))}")
        bits = " or ".join(map(str, DIGITAL_WEIGHT_BITS))
        return f"it has {'; '.join(genes)}; and {DIGITAL_ARRAY} with weight_bits {bits}"

    def _check_small(self, subnet: Mapping[str, Any]) -> None:
        """Raises BadInput for a gene of the small space that is missing."""
        missing = [gene for gene in TABLE_NETWORKS[self.network] if gene not in subnet]
        if missing:
            raise BadInput("sub-network", f"lacks {', '.join(missing)}", "give every gene")

    @cached_property
    def _table(self) -> dict[tuple[str, str], Measurement]:
        by_genes = {}
        for each in self.part("table"):
            by_genes[_key(each.subnet), _key(each.array)] = each
        return by_genes

    def whole_chip(self, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Complete an array to a chip that can be simulated.

        Args:
            chip: Genes of an array, and of the rest of the chip as far as it is not the baseline's.

        Returns:
            Genes of a chip that can be simulated: the rest is as the preset of the super-network
            draws its baseline.
        """
        return {**self._baseline, **chip}

    @cached_property
    def _baseline(self) -> dict[str, Any]:
        config = preset(self.network)
        return {**config.tables.hardware.fixed, **config.baseline()}

    def costs(self, subnet: Mapping[str, Any], chip: Mapping[str, Any]) -> dict[str, float]:
        """Compute what a sub-network costs on a chip, by cimbo's own model.

        Args:
            subnet: Genes of the small space, or of every layer.
            chip: Genes of an array, and of the rest of the chip as far as it is not the baseline's.

        Returns:
            latency_ms and energy_uj of one inference, area_mm2.

        Raises:
            BadInput: The chip or the sub-network is not valid.
        """
        full = dict(subnet)
        if set(subnet) <= set(TABLE_NETWORKS[self.network]):
            full = all_layers(self.network, subnet)
        workload = network(self.network).workload(full)
        answer = hardware.simulate_batch([workload], [self.whole_chip(chip)])
        return {name: float(answer[name][0]) for name in COSTS}

    def columns(self, part: str = "random") -> dict[str, list[Any]]:
        """Lists a part by columns, as ``pandas.DataFrame`` takes it.

        Args:
            part: "table", "random" or "exact".

        Returns:
            Features, accuracy in percent, its standard error, examples asked and classified
            rightly; None where a gene is inactive.
        """
        rows = []
        for each in self.part(part):
            own = {"number": each.number, "form": each.form, "die": each.die}
            counts = {"images": each.images, "right": each.right}
            found = {"accuracy": each.accuracy, "standard_error": each.standard_error}
            rows.append({**own, **each.features(), **counts, **found})
        return _by_column(rows)


def table_array(chip: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce a chip to the genes on which its accuracy in the table depends.

    Args:
        chip: Genes of an array or of a whole chip.

    Returns:
        Genes of the array, as the table names them.

    Raises:
        BadInput: It has a gene that changes the accuracy and is not as in the table.
    """
    kept: tuple[str, ...] = ("array", "rows", "adc_bits")
    if chip.get("array") == DIGITAL_ARRAY:
        kept = ("array", "weight_bits")
    ignored = ("rows", "adc_bits", "dac_bits", "cell_bits", "adc_range", "rows_active")
    for gene in ARRAY_GENES:
        usual = hardware.DEFAULT_GENES.get(gene)
        as_usual = gene in kept or gene not in chip or chip[gene] == usual
        if not as_usual and not (chip.get("array") == DIGITAL_ARRAY and gene in ignored):
            raise BadInput(f"chip.{gene}", f"is {chip[gene]}", f"the table has {usual}")
    genes = {gene: chip[gene] for gene in kept if gene in chip}
    if chip.get("array") == DIGITAL_ARRAY:
        genes.setdefault("weight_bits", hardware.DEFAULT_GENES["weight_bits"])
    return genes


def _key(genes: Mapping[str, Any]) -> str:
    """Genes as a text, the same whatever their order; 64.0 is 64."""
    plain = {}
    for name, value in genes.items():
        is_whole = isinstance(value, float) and value.is_integer()
        plain[name] = int(value) if is_whole else value
    return repr(sorted(plain.items()))


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows turned into columns; None where a row lacks one."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name in row:
            columns.setdefault(name, [])
    for name, values in columns.items():
        for row in rows:
            values.append(row.get(name))
    return columns
