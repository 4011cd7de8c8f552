"""A study described in TOML, checked; from it come the problem, the evaluator and the baseline chip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cimbo.config.baseline import (
    check_own_baseline,
    check_own_chip,
    complete_chip,
    evaluated_costs,
    largest_network_costs,
)
from cimbo.config.checking import checked
from cimbo.config.conditions import check_conditions, warn_of_early_ends
from cimbo.config.evaluators import joint_evaluator, refuse_unwatched_files, whole_evaluator
from cimbo.config.fidelities import check_fidelities, image_stages, low_fidelities
from cimbo.config.genes import chip_genes, network_genes, own_genes
from cimbo.config.metric_checks import (
    check_expensive,
    check_metrics,
    check_new_names,
    needed_metrics,
)
from cimbo.config.network_settings import check_bits, stage_bits
from cimbo.config.provenance import accuracy_provenance
from cimbo.config.roles import check_roles
from cimbo.config.tables import ConstraintTable, Gene, NetworkTable, ObjectiveTable, StudyTable
from cimbo.errors import BadInput, check_known, naming
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import is_source
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.evaluation.missing import MissingEvaluator
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.problem.derived import DerivedMetrics
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads import Network, is_family_name, network
from cimbo.workloads.precision import with_stage_bits

# What a title says of accuracies that are modelled, such as "(perplexity modelled)"
MODELLED_IN_TITLE = re.compile(r"\((\w+) modelled[^()]*\)")


@dataclass(frozen=True)
class Config:
    """A checked description of a study.

    Attributes:
        name: The file or preset that the description was read from.
        data: Its tables, merged with those of the studies that it extends.
        is_stored: Whether it comes from a study file, which an older release may have written.

    Examples:
        >>> from cimbo.config import preset
        >>> config = preset("fmnist-vit")
        >>> [objective.name for objective in config.problem.objectives]
        ['accuracy', 'latency_ms']
    """

    name: str
    data: Mapping[str, Any]
    is_stored: bool = False

    @cached_property
    def tables(self) -> StudyTable:
        """The description with its types. Raises BadInput naming every place that is wrong."""
        return checked(self.name, self.data)

    @property
    def title(self) -> str:
        """What the study is called."""
        return self.tables.title or self.name

    @property
    def network(self) -> str:
        """The network family; "" where the study names none."""
        if self.tables.network is None:
            return ""
        return self.tables.network.name

    @cached_property
    def problem(self) -> Problem:
        """Space, objectives and constraints. Raises BadInput naming the table that is wrong."""
        tables = self.tables
        with naming(self.name):
            space = self._space()
            check_roles(tables, space)
            objectives = tuple(map(_objective, tables.objectives))
            constraints = tuple(map(self._constraint, tables.constraints))
            problem = Problem(space, objectives, constraints, tables.metrics)
            check_metrics(problem, tables, self.accuracy)
            if not self.is_stored:  # earlier releases computed it in the place of the measured one
                check_new_names(problem, tables, self.accuracy)
                self._check_own_evaluation(space)
            check_expensive(problem, tables.expensive)
            check_fidelities(tables, space, self.accuracy)
            return problem

    def _check_own_evaluation(self, space: SearchSpace) -> None:
        """Check what a study with an evaluator of its own says that only such a study gets wrong."""
        if self.tables.evaluator is None:
            return
        refuse_unwatched_files(self.tables.network, self.tables.hardware)
        if self.tables.baseline and self._has_own_chips():
            check_own_baseline(space, self.baseline())

    def _has_own_chips(self) -> bool:
        """Whether the genes of chips are the study's alone, for an evaluator of its own."""
        is_own_space = self.tables.hardware.space in (None, "own")
        return self.tables.evaluator is not None and is_own_space

    def _space(self) -> SearchSpace:
        """The genes of networks and chips, and the constraints between them."""
        # Earlier releases allowed a condition that never holds, and dropped its gene: their files open
        if not self.is_stored:
            check_conditions(self.tables, self._family_genes())
            warn_of_early_ends(self.tables)
        constraints = list(self.tables.hardware.constraints)
        if self.tables.architecture is not None:
            constraints += self.tables.architecture.constraints
        return SearchSpace(self._architecture(), self._chips(), constraints)

    def evaluator(self) -> StudyEvaluator:
        """Set up what really evaluates the designs of this study.

        Returns:
            The evaluator. Where the study names neither a network nor an evaluator, one that refuses
            every evaluation.

        Raises:
            BadInput: Where what the study says of its evaluation is wrong.
        """
        tables = self.tables
        if tables.evaluator is not None:
            with naming(self.name):
                names = [choice.name for choice in self._architecture()]
                evaluator = whole_evaluator(tables.evaluator, names, tables.network)
            evaluator.wanted = needed_metrics(self.problem)
            evaluator.low_fidelities = low_fidelities(tables, self.accuracy)
            return evaluator
        if tables.network is None:
            return MissingEvaluator(self.name)
        return joint_evaluator(
            tables.network,
            tables.hardware,
            accuracy=self.accuracy,
            problem=self.problem,
            stages=image_stages(tables.fidelity),
            low_fidelities=low_fidelities(tables, self.accuracy),
            expensive=tables.expensive,
        )

    def _network_table(self) -> NetworkTable:
        """The table [network] of the study. Raises BadInput where it has none."""
        if self.tables.network is None:
            todo = "add a table [network], or [evaluator] and [architecture.genes]"
            raise BadInput(f"{self.name}, network", "is missing", todo)
        return self.tables.network

    @property
    def accuracy(self) -> str:
        """Name of the source of accuracy; "none" where costs alone are measured, "" without a network."""
        table = self.tables.network
        if table is None:
            return ""
        if table.accuracy:
            return table.accuracy
        # A shipped family has a source of the same name; where there is none, asking for accuracy
        # must fail with that name rather than search without accuracy
        has_usual = is_family_name(table.name) and (is_source(table.name) or self._seeks_accuracy())
        if has_usual:
            return table.name
        return NO_ACCURACY

    def _seeks_accuracy(self) -> bool:
        """Whether an objective, a constraint or an expression names an accuracy."""
        tables = self.tables
        names = [o.name for o in tables.objectives] + [c.metric for c in tables.constraints]
        return any("accuracy" in text for text in (*names, *tables.metrics.values()))

    def accuracy_provenance(self) -> dict[str, Any]:
        """Say where the accuracies of this study come from, and what they are worth.

        Returns:
            As `cimbo.config.provenance.accuracy_provenance` has it.
        """
        return accuracy_provenance(self.tables, self.accuracy)

    def with_checkpoint(self, options: Mapping[str, Any]) -> Config:
        """Describe the same study with accuracy measured on the user's weights and images.

        The network's whole space is searched: what the study says of the network's genes is
        dropped.

        Args:
            options: Options of the source of accuracy "checkpoint".

        Returns:
            A new description; it is checked when it is used.

        Raises:
            BadInput: Where the study has no network.
        """
        self._network_table()
        table = dict(self.data["network"])
        table.pop("genes", None)
        table["accuracy"] = "checkpoint"
        table["accuracy_kind"] = "measured"
        table["options"] = {"network": self.network, **options}
        return replace(self, data=self._data_with(table, "measured"))

    def with_table(self, table: str) -> Config:
        """Describe the same study with accuracies looked up in a user's file.

        Args:
            table: Path of the file.

        Returns:
            A new description; it is checked when it is used.

        Raises:
            BadInput: Where the study's accuracies are in no such file.
        """
        network_table = dict(self.data["network"])
        network_table["accuracy"] = self._source_of_table()
        network_table["accuracy_kind"] = "measured by others"
        network_table["options"] = {"table": table}
        return replace(self, data=self._data_with(network_table, "measured by others"))

    def _data_with(self, network: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """The study with another table of its network, and the title saying how its accuracies come about."""
        data = {**self.data, "network": network}
        if "title" in data:
            data["title"] = MODELLED_IN_TITLE.sub(rf"(\1 {kind})", str(data["title"]))
        return data

    def _source_of_table(self) -> str:
        """Name of the source of accuracy that reads a table for this network. Raises BadInput where there is none."""
        source: str | None = None
        if self.accuracy in published.names():
            source = published.description(self.accuracy).get("looked_up")
        if source is None:
            what = f"holds no accuracies of {self.network or self.name}"
            raise BadInput("--table", what, "leave it out")
        return source

    def with_function(self, function: str) -> Config:
        """Describe the same study evaluated by a function.

        Args:
            function: The function, as "package:function".

        Returns:
            A new description; it is checked when it is used.
        """
        return replace(self, data={**self.data, "evaluator": {"python": function}})

    def with_simulator(self, name: str, options: Mapping[str, Any]) -> Config:
        """Describe the same study with another simulator.

        Args:
            name: Name of the simulator.
            options: Its options; those that the study has are dropped.

        Returns:
            A new description; it is checked when it is used.
        """
        chip = dict(self.data.get("hardware", {}))
        chip["simulator"] = name
        chip["options"] = dict(options)
        return replace(self, data={**self.data, "hardware": chip})

    def baseline(self) -> dict[str, Any]:
        """Give the hand-designed chip that searched chips are compared with.

        Genes that the table [baseline] does not give have their default value, where the study allows
        that value and the gene is active.

        Returns:
            Genes of the chip, by name.

        Raises:
            BadInput: Where the study has no table [baseline].
        """
        if not self.tables.baseline:
            todo = "add a table [baseline] with the genes of a chip"
            raise BadInput(f"{self.name}, baseline", "is missing", todo)
        return complete_chip(self.tables.baseline, self._chips())

    def baseline_costs(self) -> dict[str, float]:
        """Compute the costs of the largest sub-network on the baseline chip.

        They are those of the study's simulator, or of its own evaluator. Where a simulator fails on a
        chip of cimbo's, cimbo's own cost model is used instead, and stderr says so.

        Returns:
            Metric to cost, in the metric's unit.

        Raises:
            BadInput: Where the simulator cannot run here, or the study has no network or no
                baseline.
        """
        tables = self.tables
        if tables.evaluator is not None:
            return evaluated_costs(tables.evaluator, tables.network, self._space(), self.baseline())
        chip = self.baseline()
        check_own_chip(tables.hardware, self._chips(), chip)
        return largest_network_costs(self._network_table(), tables.hardware, chip)

    def _architecture(self) -> list[Choice]:
        """The network's genes: those of its family as the study narrows them, and the study's own."""
        tables = self.tables
        genes: list[Choice] = []
        if tables.network is not None:
            family_genes = self.family.choices()
            genes += network_genes(self.network, family_genes, self._searched_network_genes())
            check_bits(self.accuracy, tables.network, tables.hardware)
        if tables.architecture is not None:
            if tables.evaluator is None:
                what = "needs an [evaluator] that understands it"
                raise BadInput("architecture", what, "add one, or leave it out")
            genes += own_genes("architecture", tables.architecture.genes)
        if not genes and tables.evaluator is None:
            self._network_table()
        return genes

    def _searched_network_genes(self) -> dict[str, Gene]:
        """Gene to the values that the study gives it; where one sub-network is kept, all others have its single value."""
        table = self._network_table()
        kept: dict[str, Gene] = {}
        if table.subnetwork is not None:
            family = network(table.name, table.sizes)
            values = family.largest() if table.subnetwork == "largest" else family.smallest()
            kept = {name: [value] for name, value in values.items()}
        return kept | table.genes

    @property
    def family(self) -> Network:
        """The network family with the genes that the study gives it. Raises BadInput where the study names none."""
        table = self._network_table()
        return with_stage_bits(network(table.name, table.sizes), stage_bits(table))

    def _family_genes(self) -> list[Choice]:
        """The genes of the network as its family has them; none without a network."""
        if self.tables.network is None:
            return []
        return list(self.family.choices())

    def _chips(self) -> list[Choice]:
        """The chip's genes: cimbo's, or the study's own where it has an evaluator of its own and names no shipped space."""
        tables = self.tables
        if self._has_own_chips():
            return list(own_genes("hardware", tables.hardware.genes))
        return chip_genes(tables.hardware)

    def _constraint(self, entry: ConstraintTable) -> Constraint:
        """Build a constraint from its table, which has either a bound or a factor of the baseline."""
        if (entry.bound is None) == (entry.baseline is None):
            where = f"constraints.{entry.metric}"
            todo = "give a bound in the metric's unit, or a factor of the baseline's"
            raise BadInput(where, "needs either bound or baseline", todo)
        return Constraint(entry.metric, entry.relation, self._bound(entry))

    def _bound(self, entry: ConstraintTable) -> float:
        """The bound of a constraint in the metric's unit."""
        if entry.bound is not None:
            return entry.bound
        assert entry.baseline is not None
        return entry.baseline * self._cost_of_baseline(entry.metric)

    def _cost_of_baseline(self, metric: str) -> float:
        """The value of a metric, measured or derived, of the largest network on the baseline chip.

        Args:
            metric: Its name.

        Returns:
            In the metric's unit.

        Raises:
            BadInput: When the baseline has no such metric.
        """
        derived = DerivedMetrics(self.tables.metrics, (metric,))
        costs = derived.completed(self.baseline_costs(), self.baseline())
        check_known(metric, costs, f"constraints.{metric}", "the baseline has no such metric")
        cost: float = costs[metric]
        return cost


def _objective(table: ObjectiveTable) -> Objective:
    return Objective(table.name, table.goal, table.reference)
