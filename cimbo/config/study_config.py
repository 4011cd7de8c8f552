"""A study described in TOML: a shipped preset, or a user's study.toml of the same form.

``load`` checks every key, so that a typing error is one line with its place and never a silent default.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from cimbo import hardware
from cimbo.config import reading
from cimbo.config.checking import checked
from cimbo.config.genes import (
    chip_genes,
    network_genes,
    own_genes,
    read_gene,
    takes_cimbo_chips,
)
from cimbo.config.reading import PRESETS_FOLDER
from cimbo.config.tables import ConstraintTable, EvaluatorTable, NetworkTable, StudyTable
from cimbo.errors import BadInput, choose_from, naming, printable
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.batched import NETWORK_SIZES
from cimbo.evaluation.joint import JOINT_METRICS, JointEvaluator
from cimbo.evaluation.measured_accuracy import DIE_ACCURACY, NO_ACCURACY
from cimbo.evaluation.programs.program import DEFAULT_TIMEOUT_S, Program
from cimbo.evaluation.simulated_costs import COST_METRICS, MORE_COSTS, with_rates
from cimbo.evaluation.simulators import simulator
from cimbo.evaluation.whole import (
    FunctionEvaluator,
    MissingEvaluator,
    ProgramEvaluator,
    StudyEvaluator,
    WholeEvaluator,
)
from cimbo.hardware.generation import GENERATION_METRICS
from cimbo.problem.derived import SHIPPED_METRICS, DerivedMetrics
from cimbo.problem.expressions import unknown_name
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.problem.scalars import finite
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads import Network, is_family_name, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.precision import GENE_NAMES, STAGE_BITS, with_stage_bits

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS_FOLDER",
    "Config",
    "from_definition",
    "load",
    "preset",
    "presets",
]
DEFAULT_PRESET = "fmnist-vit"


@dataclass(frozen=True)
class Config:
    """A checked description of a study.

    Attributes:
        name: The file or preset that it stands in.
        data: What stands there, with all that it extends.

    Examples:
        >>> from cimbo.config import preset
        >>> config = preset("fmnist-vit")
        >>> [objective.name for objective in config.problem.objectives]
        ['accuracy', 'latency_ms']
    """

    name: str
    data: Mapping[str, Any]

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
        with naming(self.name):
            known = list(self.tables.hardware.constraints)
            if self.tables.architecture is not None:
                known += self.tables.architecture.constraints
            space = SearchSpace(self._architecture(), self._chips(), known)
            objectives = []
            for o in self.tables.objectives:
                objectives.append(Objective(o.name, o.goal, o.reference))
            constraints = []
            for c in self.tables.constraints:
                constraints.append(self._constraint(c))
            metrics = self.tables.metrics
            problem = Problem(space, tuple(objectives), tuple(constraints), metrics)
            self._check_metrics(problem)
            self._check_expensive(problem)
            return problem

    def evaluator(self) -> StudyEvaluator:
        """Set up the real evaluation that this study stands on.

        Returns:
            The evaluator; where the study names neither a network nor an evaluator, one that stands
            for its absence.

        Raises:
            BadInput: Where what the study says of its evaluation is wrong.
        """
        if self.tables.evaluator is not None:
            with naming(self.name):
                names = [choice.name for choice in self._architecture()]
                return _whole_evaluator(self.tables.evaluator, names, self.tables.network)
        if self.tables.network is None:
            return MissingEvaluator(self.name)
        about, chip = self._network_table(), self.tables.hardware
        return JointEvaluator(
            about.name,
            self.accuracy,
            chip.simulator,
            chip.options,
            chip.fixed,
            accuracy_options=about.options,
            sizes_of_file=about.sizes,
            inference=_inference(about),
            more_costs=_more_costs(self.problem),
            stage_bits=_stage_bits(about),
            stages=tuple(sorted({f.images for f in self.tables.fidelity})),
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
        if self.tables.network is None:
            return ""
        if is_family_name(self.network):
            usual = self.network
        else:
            usual = NO_ACCURACY
        return self.tables.network.accuracy or usual

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
            standing = published.provenance(self.accuracy)
            unit = "" if "metric" in standing else " points"
            error = f"± {standing['error_points']:g}{unit} ({standing['error_is']})"
            valid, source = standing["valid"], standing["source"]
            metric = standing.get("metric", "accuracy")
            label = f"{metric} is {standing['kind']}, not measured: {error}; valid for {valid}; from {source}"
            return {**standing, "label": label}
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
        about = {k: v for k, v in self.data["network"].items() if k != "genes"}
        about |= {
            "accuracy": "checkpoint",
            "accuracy_kind": "measured",
            "options": {"network": self.network, **options},
        }
        return Config(self.name, {**self.data, "network": about})

    def with_function(self, function: str) -> Config:
        """Describe the same study evaluated by a function.

        Args:
            function: The function, as "package:function".

        Returns:
            A new description; it is checked when it is used.
        """
        return Config(self.name, {**self.data, "evaluator": {"python": function}})

    def with_simulator(self, name: str, options: Mapping[str, Any]) -> Config:
        """Describe the same study with another simulator.

        Args:
            name: Name of the simulator.
            options: Its options; those that the study has are dropped.

        Returns:
            A new description; it is checked when it is used.
        """
        chip = dict(self.data.get("hardware", {})) | {"simulator": name, "options": dict(options)}
        return Config(self.name, {**self.data, "hardware": chip})

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
        chip = dict(self.tables.baseline)
        for choice in self._chips():
            usual = hardware.DEFAULT_GENES.get(choice.name)
            if choice.name == "rows_active":  # whose default stands for all rows
                usual = choice.values[-1]
            gates = choice.active_if.items()
            is_active = all(chip.get(gate) in values for gate, values in gates)
            if usual in choice.values and is_active:
                chip.setdefault(choice.name, usual)
        return chip

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
        chip = self.tables.hardware
        simulating = {
            "simulator": chip.simulator,
            "options": chip.options,
            "chip": {**chip.fixed, **self.baseline()},
            "sizes": self._network_table().sizes,
            "inference": _inference(self._network_table()).to_json(),
        }
        return dict(_costs(self._network_table().name, json.dumps(simulating)))

    def _architecture(self) -> list[Choice]:
        """The genes of the family, and those of the study's own."""
        tables, genes = self.tables, []
        if tables.network is not None:
            family = tables.network.name
            usual = self.family.choices()
            genes += network_genes(family, usual, tables.network.genes)
            self._check_bits(self._network_table())
        if tables.architecture is not None:
            if tables.evaluator is None:
                what, todo = "needs an [evaluator] that understands it", "add one, or leave it out"
                raise BadInput("architecture", what, todo)
            genes += own_genes("architecture", tables.architecture.genes)
        if not genes and tables.evaluator is None:
            self._network_table()
        return genes

    @property
    def family(self) -> Network:
        """The network family with the genes that the study gives it. Raises BadInput where the study names none."""
        about = self._network_table()
        return with_stage_bits(network(about.name, about.sizes), _stage_bits(about))

    def _check_bits(self, about: NetworkTable) -> None:
        """Raises BadInput for operands of bits that a modelled accuracy knows nothing of."""
        if self.accuracy not in published.names():
            return
        chip = self.tables.hardware
        if about.precision == "stage":
            raise published.unknown_bits(self.accuracy, "network.precision", about.precision)
        for name in GENE_NAMES:
            listed: list[Any] = []
            if name in chip.genes:
                listed.extend(read_gene(name, chip.genes[name]).values)
            if name in chip.fixed:
                listed.append(chip.fixed[name])
            for value in listed:
                if value not in published.KNOWN_BITS:
                    raise published.unknown_bits(self.accuracy, f"hardware, {name}", value)

    def _chips(self) -> list[Choice]:
        """The genes of the chips."""
        tables = self.tables
        if tables.evaluator is None:
            return chip_genes(tables.hardware)
        if tables.hardware.space in (None, "own"):
            return list(own_genes("hardware", tables.hardware.genes))
        return chip_genes(tables.hardware)

    def _check_metrics(self, problem: Problem) -> None:
        """Raises BadInput for a metric that no evaluation returns, where it is known what evaluations return."""
        if self.tables.evaluator is not None or not takes_cimbo_chips(self.tables.hardware):
            return
        derived = problem.derived
        measured = list(JOINT_METRICS)
        quality = published.metric_of(self.accuracy)
        if quality not in measured:  # of a language model: it stands in the place of an accuracy
            measured[measured.index("accuracy")] = quality
        if self.accuracy == NO_ACCURACY:
            measured.remove("accuracy")
            for name in (*problem.targets, *problem.metrics):
                if "accuracy" in problem.derived.parts(name):
                    todo = 'name what measures it: [network] accuracy = "..."'
                    raise BadInput("accuracy", f"is not measured for {self.network}", todo)
        for name, expression in derived.expressions.items():
            others = [other for other in derived.expressions if other != name]
            error = unknown_name(expression, [*measured, *others, *problem.space.names])
            if error is not None:
                raise error
        known = dict.fromkeys((*measured, *derived.expressions, *SHIPPED_METRICS))
        for metric in problem.targets:
            if metric not in known:
                todo = choose_from(metric, known)
                raise BadInput(metric, "is measured by no evaluation", todo)
        kept = _more_costs(problem)
        self._check_generates([name for name in GENERATION_METRICS if name in kept])

    def _check_expensive(self, problem: Problem) -> None:
        """Raises BadInput for an expensive metric that the study does not seek, or a gene that it does not have."""
        expensive = self.tables.expensive
        if expensive is None:
            return
        if expensive.metric not in problem.targets:
            what = f"{expensive.metric} is no objective and has no constraint"
            raise BadInput("expensive.metric", what, choose_from(expensive.metric, problem.targets))
        for name in expensive.genes or ():
            if name not in problem.space.column:
                todo = choose_from(name, problem.space.names)
                raise BadInput("expensive.genes", f"{name} is no gene", todo)

    def _check_generates(self, metrics: list[str]) -> None:
        """Raises BadInput for metrics of tokens where the network generates none."""
        if not metrics:
            return
        about = self._network_table()
        family = network(about.name, about.sizes)
        if family.workload(family.largest()).loop is None:
            what = f"is of a language model, and {about.name} generates no tokens"
            raise BadInput(metrics[0], what, "leave it out, or name one such as gpt2-s")

    def _constraint(self, entry: ConstraintTable) -> Constraint:
        where = f"constraints.{entry.metric}"
        if (entry.bound is None) == (entry.baseline is None):
            raise BadInput(
                where,
                "needs either bound or baseline",
                "give a bound in the metric's unit, or a factor of the baseline's",
            )
        if entry.bound is not None:
            return Constraint(entry.metric, entry.relation, entry.bound)
        assert entry.baseline is not None
        derived = DerivedMetrics(self.tables.metrics, (entry.metric,))
        costs = derived.completed(self.baseline_costs(), self.baseline())
        if entry.metric not in costs:
            what = "the baseline has no such metric"
            raise BadInput(where, what, choose_from(entry.metric, costs))
        return Constraint(entry.metric, entry.relation, entry.baseline * costs[entry.metric])


def _whole_evaluator(
    table: EvaluatorTable, architecture: Sequence[str], network: NetworkTable | None
) -> WholeEvaluator:
    """What a table [evaluator] describes. Raises BadInput where it names nothing, or two things."""
    if (table.python is None) == (table.command is None):
        told = "names both a function and a program"
        if table.python is None:
            told = "names nothing"
        raise BadInput("evaluator", told, 'give python = "package:function" or command = [...]')
    if table.python is not None:
        settings = {
            "server": table.server,
            "batch": table.batch > 1,
            "weights": table.weights is not None,
            "timeout_s": table.timeout_s is not None,
        }
        for name, value in settings.items():
            if value:
                raise BadInput(f"evaluator.{name}", "is for a command", "leave it out")
        return FunctionEvaluator(table.python, table.options)
    if table.options:
        raise BadInput("evaluator.options", "are for a function", "write them into the command")
    assert table.command is not None
    timeout_s = table.timeout_s or DEFAULT_TIMEOUT_S
    return ProgramEvaluator(
        Program("evaluator.command", table.command, timeout_s, table.server),
        architecture,
        network="" if network is None else network.name,
        sizes_of_file={} if network is None else network.sizes,
        inference=InferenceSettings() if network is None else _inference(network),
        weights=table.weights,
        batch=table.batch,
    )


def _more_costs(problem: Problem) -> tuple[str, ...]:
    """What is kept of each design because an objective, a constraint or a derived metric needs it."""
    named = list(problem.targets)
    for expression in problem.derived.expressions.values():
        named += expression.names
    return tuple(name for name in (*MORE_COSTS, DIE_ACCURACY) if name in named)


def _inference(about: NetworkTable) -> InferenceSettings:
    """What one run of the study's network is asked for."""
    return InferenceSettings(
        about.batch, about.prompt, about.tokens, about.activity or (), about.copies
    )


def _stage_bits(table: NetworkTable) -> tuple[int, ...]:
    """What the bits of a stage may be; nothing where stages have none of their own."""
    if table.precision == "chip":
        return ()
    if table.stage_bits is None:
        return STAGE_BITS
    if not table.stage_bits:
        raise BadInput("network.stage_bits", "lists nothing", "give bits such as [4, 8]")
    return tuple(table.stage_bits)


@lru_cache(maxsize=32)
def _costs(name: str, simulating: str) -> dict[str, float]:
    """Costs of the largest sub-network of ``name``; once a process, as a simulator may take minutes."""
    about = json.loads(simulating)
    settings = InferenceSettings(**about["inference"])
    family = with_settings(network(name, about["sizes"]), settings)
    who = simulator(about["simulator"], **about["options"])
    try:
        answer = dict(who.simulate(family.workload(family.largest()), about["chip"]))
    except RuntimeError as error:  # how simulators say that they cannot
        told = f"baseline: {about['simulator']} cannot simulate it ({error}); its limits are by cimbo's own model"
        print(printable(told), file=sys.stderr)
        answer = dict(hardware.simulate(family.workload(family.largest()), about["chip"]))
    answer.setdefault("area_mm2", hardware.area_mm2([about["chip"]])[0])
    answer = with_rates(answer, settings.batch)
    costs = {}
    largest = family.workload(family.largest())
    for size in NETWORK_SIZES:
        answer.setdefault(size, getattr(largest, size))
    for metric in (*COST_METRICS, *MORE_COSTS):
        value = finite(answer.get(metric))
        if value is not None:
            costs[metric] = value
    return costs


def presets() -> dict[str, str]:
    """List the shipped presets.

    Returns:
        Title of each, by name.
    """
    found = {}
    for name in reading.preset_names():
        found[name] = str(reading.read_preset(name).get("title", name))
    return found


def preset(name: str) -> Config:
    """Load a shipped study.

    Args:
        name: Name of the preset.

    Returns:
        Its description, checked.

    Raises:
        BadInput: For a name that is unknown; it lists the known ones.
    """
    return _checked(name, reading.read_preset(name))


def load(path: Path) -> Config:
    """Load a user's study.toml.

    Args:
        path: The file.

    Returns:
        Its description, checked.

    Raises:
        BadInput: Where the file cannot be read or says what no study can; it names file and place.
    """
    return _checked(str(path), reading.read_study(path))


def _checked(name: str, data: dict[str, Any]) -> Config:
    """The description in ``data``. Raises BadInput naming every place that is wrong."""
    config = Config(name, data)
    _ = config.tables
    return config


def from_definition(where: str, definition: Mapping[str, Any]) -> Config:
    """Recover the description of a study from its file.

    Args:
        where: What the study is called in messages, where it does not say itself.
        definition: What the study file keeps about the study.

    Returns:
        The description that the study was made from; of one that was made in Python, what its space
        and objectives say.

    Raises:
        BadInput: Where the description is none any more; it names every place that is wrong.
    """
    stored = definition.get("config") or {}
    if "data" not in stored:
        return _checked(where, _described(definition))
    return _checked(str(stored.get("name", where)), stored["data"])


def _described(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A study of Python as a study.toml would have it, without what evaluates it."""
    problem = Problem.from_json(definition)
    objectives = []
    for objective in problem.objectives:
        if objective.reference is None:
            known = {}
        else:
            known = {"reference": objective.reference}
        objectives.append({"name": objective.name, "goal": objective.goal, **known})
    constraints = []
    for c in problem.constraints:
        constraints.append({"metric": c.metric, "relation": c.relation, "bound": c.bound})
    return {
        "architecture": {"genes": _gene_tables(problem.space.architecture)},
        "hardware": {
            "genes": _gene_tables(problem.space.hardware),
            "space": "own",
            "constraints": list(problem.space.constraints),
        },
        "objectives": objectives,
        "constraints": constraints,
        "metrics": dict(problem.metrics),
    }


def _gene_tables(choices: Sequence[Choice]) -> dict[str, Any]:
    """Genes as a study.toml writes them."""
    genes = {}
    for choice in choices:
        about = choice.to_json()
        genes[about.pop("name")] = about
    return genes
