"""A study described in TOML, checked, and what follows from the description: problem, evaluator, baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cimbo.config.baseline import complete_chip, largest_network_costs
from cimbo.config.checking import checked
from cimbo.config.conditions import check_conditions
from cimbo.config.evaluators import joint_evaluator, whole_evaluator
from cimbo.config.genes import chip_genes, network_genes, own_genes
from cimbo.config.metric_checks import check_expensive, check_metrics, needed_metrics
from cimbo.config.network_settings import check_bits, stage_bits
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


@dataclass(frozen=True)
class Config:
    """A checked description of a study.

    Attributes:
        name: The file or preset that it stands in.
        data: What stands there, with all that it extends.
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
            check_expensive(problem, tables.expensive)
            return problem

    def _space(self) -> SearchSpace:
        """The genes of both sides, and what every design keeps."""
        if not self.is_stored:  # earlier releases dropped a gene with a condition that never holds
            check_conditions(self.tables, self._family_genes())
        known = list(self.tables.hardware.constraints)
        if self.tables.architecture is not None:
            known += self.tables.architecture.constraints
        return SearchSpace(self._architecture(), self._chips(), known)

    def evaluator(self) -> StudyEvaluator:
        """Set up the real evaluation that this study stands on.

        Returns:
            The evaluator; where the study names neither a network nor an evaluator, one that stands
            for its absence.

        Raises:
            BadInput: Where what the study says of its evaluation is wrong.
        """
        tables = self.tables
        if tables.evaluator is not None:
            with naming(self.name):
                names = [choice.name for choice in self._architecture()]
                evaluator = whole_evaluator(tables.evaluator, names, tables.network)
            evaluator.wanted = needed_metrics(self.problem)
            return evaluator
        if tables.network is None:
            return MissingEvaluator(self.name)
        return joint_evaluator(
            tables.network,
            tables.hardware,
            accuracy=self.accuracy,
            problem=self.problem,
            fidelities=tables.fidelity,
            expensive=tables.expensive,
        )

    def _network_table(self) -> NetworkTable:
        """What the study says of its network. Raises BadInput where it says nothing."""
        if self.tables.network is None:
            todo = "add a table [network], or [evaluator] and [architecture.genes]"
            raise BadInput(f"{self.name}, network", "is missing", todo)
        return self.tables.network

    @property
    def accuracy(self) -> str:
        """Name of the source of accuracy; "none" where costs alone are measured, "" without a network."""
        about = self.tables.network
        if about is None:
            return ""
        if about.accuracy:
            return about.accuracy
        has_usual = is_family_name(about.name) and (is_source(about.name) or self._seeks_accuracy())
        if has_usual:
            return about.name
        return NO_ACCURACY

    def _seeks_accuracy(self) -> bool:
        """Whether an objective, a constraint or an expression names an accuracy."""
        tables = self.tables
        names = [o.name for o in tables.objectives] + [c.metric for c in tables.constraints]
        return any("accuracy" in text for text in (*names, *tables.metrics.values()))

    def accuracy_provenance(self) -> dict[str, Any]:
        """Say what the accuracies of this study are worth.

        They are measured, or modelled with some error, for some networks, and from some source.

        Returns:
            ``kind``, such as "measured" or "none", and ``label``, a sentence; of a modelled
            accuracy also what is known of its model.
        """
        about = self.tables.network
        if about is None or self.tables.evaluator is not None:
            return {"kind": "measured", "label": "every metric is the evaluator's"}
        if self.accuracy == NO_ACCURACY:
            return {"kind": NO_ACCURACY, "label": "no accuracy is measured: costs alone"}
        if self.accuracy in published.names():
            return _published_provenance(self.accuracy)
        kind = about.accuracy_kind or "measured"
        return {"kind": kind, "label": f"accuracy is {kind} ({self.accuracy})"}

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
        about = dict(self.data["network"])
        about.pop("genes", None)
        about["accuracy"] = "checkpoint"
        about["accuracy_kind"] = "measured"
        about["options"] = {"network": self.network, **options}
        return replace(self, data={**self.data, "network": about})

    def with_table(self, table: str) -> Config:
        """Describe the same study with accuracies looked up in a user's file.

        Args:
            table: The file.

        Returns:
            A new description; it is checked when it is used.

        Raises:
            BadInput: Where the study's accuracies are in no such file.
        """
        about = dict(self.data["network"])
        about["accuracy"] = self._source_of_table()
        about["accuracy_kind"] = "measured by others"
        about["options"] = {"table": table}
        return replace(self, data={**self.data, "network": about})

    def _source_of_table(self) -> str:
        """What looks the accuracies up in a table. Raises BadInput where nothing does."""
        looked_up: str | None = None
        if self.accuracy in published.names():
            looked_up = published.description(self.accuracy).get("looked_up")
        if looked_up is None:
            what = f"holds no accuracies of {self.network or self.name}"
            raise BadInput("--table", what, "leave it out")
        return looked_up

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
        """Draw the chip that stands before any search.

        Genes that the table [baseline] does not give have their usual value, where the study allows
        that value and the gene is active.

        Returns:
            Genes of the chip, by name.

        Raises:
            BadInput: Where the study has no table [baseline].
        """
        if not self.tables.baseline:
            raise BadInput(
                f"{self.name}, baseline",
                "is missing",
                "add a table [baseline] with the genes of a chip",
            )
        return complete_chip(self.tables.baseline, self._chips())

    def baseline_costs(self) -> dict[str, float]:
        """Compute the costs of the largest sub-network on the baseline chip.

        The simulator of this study says them. Where that fails on the baseline, cimbo's own model
        takes its place, and stderr says so.

        Returns:
            Costs by name of the metric.

        Raises:
            BadInput: Where the simulator cannot run here, or the study has no network or no
                baseline.
        """
        about = self._network_table()
        return largest_network_costs(about, self.tables.hardware, self.baseline())

    def _architecture(self) -> list[Choice]:
        """The genes of the family, and those of the study's own."""
        tables = self.tables
        genes: list[Choice] = []
        if tables.network is not None:
            known = self.family.choices()
            genes += network_genes(self.network, known, self._searched_network_genes())
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
        """What the study says of genes of its network; genes of the one sub-network that it keeps have one value."""
        about = self._network_table()
        kept: dict[str, Gene] = {}
        if about.subnetwork is not None:
            family = network(about.name, about.sizes)
            values = family.largest() if about.subnetwork == "largest" else family.smallest()
            kept = {name: [value] for name, value in values.items()}
        return kept | about.genes

    @property
    def family(self) -> Network:
        """The network family with the genes that the study gives it. Raises BadInput where the study names none."""
        about = self._network_table()
        return with_stage_bits(network(about.name, about.sizes), stage_bits(about))

    def _family_genes(self) -> list[Choice]:
        """The genes of the network as its family has them; none without a network."""
        if self.tables.network is None:
            return []
        return list(self.family.choices())

    def _chips(self) -> list[Choice]:
        """The genes of the chips."""
        tables = self.tables
        if tables.evaluator is None:
            return chip_genes(tables.hardware)
        if tables.hardware.space in (None, "own"):
            return list(own_genes("hardware", tables.hardware.genes))
        return chip_genes(tables.hardware)

    def _constraint(self, entry: ConstraintTable) -> Constraint:
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
        """A metric of the baseline. Raises BadInput where it has no such metric."""
        derived = DerivedMetrics(self.tables.metrics, (metric,))
        costs = derived.completed(self.baseline_costs(), self.baseline())
        check_known(metric, costs, f"constraints.{metric}", "the baseline has no such metric")
        cost: float = costs[metric]
        return cost


def _objective(table: ObjectiveTable) -> Objective:
    return Objective(table.name, table.goal, table.reference)


def _published_provenance(accuracy: str) -> dict[str, Any]:
    """What a modelled accuracy is worth, with a sentence that says it."""
    standing = published.provenance(accuracy)
    metric = standing.get("metric", "accuracy")
    unit = "" if "metric" in standing else " points"
    error = f"± {standing['error_points']:g}{unit} ({standing['error_is']})"
    valid, source = standing["valid"], standing["source"]
    label = (
        f"{metric} is {standing['kind']}, not measured: {error}; valid for {valid}; from {source}"
    )
    return {**standing, "label": label}
