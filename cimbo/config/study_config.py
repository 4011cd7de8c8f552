"""A study described in TOML: a shipped preset, or a user's study.toml of the same form.

``load`` checks every key, so that a typing error is one line with its place and never a silent default.
"""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from cimbo import hardware
from cimbo.errors import BadInput, choose_from, naming, printable
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.joint import COSTS, METRICS, JointEvaluator
from cimbo.evaluation.simulators import simulator
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.problem.scalars import finite
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads import network

PRESETS_FOLDER = Path(__file__).parent / "presets"
DEFAULT_PRESET = "fmnist-vit"
SCHEMA_FILE = PRESETS_FOLDER / "study.schema.json"


@dataclass(frozen=True)
class Config:
    """A checked description of a study."""

    name: str
    data: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.data.get("title", self.name))

    @property
    def network(self) -> str:
        return str(self.data["network"]["name"])

    @cached_property
    def problem(self) -> Problem:
        """Space, objectives and constraints. Raises BadInput naming the table that is wrong."""
        with naming(self.name):
            space = SearchSpace(self._network_genes(), self._chip_genes())
            objectives = tuple(Objective(**o) for o in self.data["objectives"])
            problem = Problem(
                space,
                objectives,
                tuple(self._constraint(c) for c in self.data.get("constraints", ())),
            )
            for metric in {o.name for o in problem.objectives} | {
                c.metric for c in problem.constraints
            }:
                if metric not in METRICS:
                    raise BadInput(
                        metric, "is measured by no evaluation", choose_from(metric, METRICS)
                    )
            return problem

    def evaluator(self) -> JointEvaluator:
        """The real evaluation this study stands on."""
        chip, about = self.data.get("hardware", {}), self.data["network"]
        return JointEvaluator(
            self.network,
            self.accuracy,
            chip.get("simulator", "cimbo"),
            chip.get("options", {}),
            chip.get("fixed", {}),
            accuracy_options=about.get("options", {}),
        )

    @property
    def accuracy(self) -> str:
        """Name of the source of accuracy."""
        return str(self.data["network"].get("accuracy", self.network))

    def accuracy_provenance(self) -> dict[str, Any]:
        """What the accuracies of this study are worth: measured, or modelled with which error, where and from what."""
        if self.accuracy in published.names():
            about = published.provenance(self.accuracy)
            error = f"± {about['error_points']:g} points ({about['error_is']})"
            label = f"accuracy is {about['kind']}, not measured: {error}; valid for {about['valid']}; from {about['source']}"
            return {**about, "label": label}
        kind = str(self.data["network"].get("accuracy_kind", "measured"))
        return {"kind": kind, "label": f"accuracy is {kind} ({self.accuracy})"}

    def with_checkpoint(self, options: Mapping[str, Any]) -> Config:
        """The same study with accuracy measured on the user's weights and images, over the network's whole space."""
        about = {k: v for k, v in self.data["network"].items() if k != "genes"}
        about |= {
            "accuracy": "checkpoint",
            "accuracy_kind": "measured",
            "options": {"network": self.network, **options},
        }
        return Config(self.name, {**self.data, "network": about})

    def with_simulator(self, name: str, options: Mapping[str, Any]) -> Config:
        """The same study with another simulator."""
        chip = dict(self.data.get("hardware", {})) | {"simulator": name, "options": dict(options)}
        return Config(self.name, {**self.data, "hardware": chip})

    def baseline(self) -> dict[str, Any]:
        """The chip drawn before any search. Raises BadInput when the study names none."""
        if "baseline" not in self.data:
            raise BadInput(
                f"{self.name}, baseline",
                "is missing",
                "add a table [baseline] with the genes of a chip",
            )
        return dict(self.data["baseline"])

    def baseline_costs(self) -> dict[str, float]:
        """Computes the costs of the largest sub-network on the baseline chip, by the simulator of this study.

        Where that fails on the baseline, cimbo's own model takes its place, and stderr says so.

        Raises:
            BadInput: when the simulator cannot run here.
        """
        chip = self.data.get("hardware", {})
        simulating = {
            "simulator": chip.get("simulator", "cimbo"),
            "options": chip.get("options", {}),
            "chip": {**chip.get("fixed", {}), **self.baseline()},
        }
        return dict(_costs(self.network, json.dumps(simulating)))

    def _network_genes(self) -> list[Choice]:
        """The family's genes, those that the study narrows with fewer values."""
        genes = {c.name: c for c in network(self.network).choices()}
        for name, values in self.data["network"].get("genes", {}).items():
            where = f"{self.name}, network.genes.{name}"
            if name not in genes:
                raise BadInput(where, f"is no gene of {self.network}", choose_from(name, genes))
            if any(v not in genes[name].values for v in values):
                raise BadInput(
                    where, f"is {values}", f"use values among {list(genes[name].values)}"
                )
            genes[name] = Choice(name, values, genes[name].active_if)
        return list(_reachable(genes))

    def _chip_genes(self) -> list[Choice]:
        """The genes of the study's space, with its own values for some; it may name genes of the extended space one by one."""
        chip = self.data.get("hardware", {})
        known = {c.name: c for c in hardware.chip_choices(extended=True)}
        listed = hardware.chip_choices(extended=chip.get("space", "core") == "extended")
        own = chip.get("genes", {})
        for name in own:
            if name not in known:
                where = f"{self.name}, hardware.genes.{name}"
                raise BadInput(where, "is no gene of a chip", choose_from(name, known))
        names = dict.fromkeys([*(choice.name for choice in listed), *own])
        values = {name: own.get(name, known[name].values) for name in names}
        usual = {choice.name: choice.values[-1] for choice in hardware.chip_choices()}
        genes = {}
        for name, allowed in values.items():
            gates = {g: v for g, v in known[name].active_if.items() if g in names}
            genes[name] = Choice(name, allowed, gates)
            with naming(f"hardware.genes.{name}"):  # refuses what no chip can have
                hardware.area_mm2([{**usual, name: value} for value in allowed])
        return list(_reachable(genes))

    def _constraint(self, entry: Mapping[str, Any]) -> Constraint:
        where = f"constraint on {entry['metric']}"
        if "bound" in entry:
            return Constraint(entry["metric"], entry.get("relation", "<="), entry["bound"])
        costs = self.baseline_costs()
        if entry["metric"] not in costs:
            raise BadInput(
                where, "the baseline has no such metric", choose_from(entry["metric"], costs)
            )
        return Constraint(
            entry["metric"], entry.get("relation", "<="), entry["baseline"] * costs[entry["metric"]]
        )


@lru_cache(maxsize=32)
def _costs(name: str, simulating: str) -> dict[str, float]:
    """Costs of the largest sub-network of ``name``; once a process, as a simulator may take minutes."""
    about = json.loads(simulating)
    family = network(name)
    who = simulator(about["simulator"], **about["options"])
    try:
        answer = dict(who.simulate(family.workload(family.largest()), about["chip"]))
    except RuntimeError as error:  # how simulators say that they cannot
        told = f"baseline: {about['simulator']} cannot simulate it ({error}); its limits are by cimbo's own model"
        print(printable(told), file=sys.stderr)
        answer = dict(hardware.simulate(family.workload(family.largest()), about["chip"]))
    answer.setdefault("area_mm2", hardware.area_mm2([about["chip"]])[0])
    costs = {}
    for metric in COSTS:
        value = finite(answer.get(metric))
        if value is not None:
            costs[metric] = value
    return costs


def _reachable(genes: Mapping[str, Choice]) -> Iterator[Choice]:
    """Genes whose conditions can still be met, the conditions without values that no gene has any more."""
    for choice in genes.values():
        active_if = {
            g: [v for v in values if v in genes[g].values] for g, values in choice.active_if.items()
        }
        if all(active_if.values()):
            yield Choice(choice.name, choice.values, active_if)


def presets() -> dict[str, str]:
    """Name and title of every shipped preset."""
    return {
        p.stem: str(_read(p).get("title", p.stem)) for p in sorted(PRESETS_FOLDER.glob("*.toml"))
    }


def preset(name: str) -> Config:
    """A shipped study. Raises BadInput listing the known ones."""
    path = PRESETS_FOLDER / f"{name}.toml"
    known = sorted(p.stem for p in PRESETS_FOLDER.glob("*.toml"))
    if name not in known:
        raise BadInput(f"preset {name!r}", "is unknown", choose_from(name, known))
    return _checked(name, _read(path))


def load(path: Path) -> Config:
    """A user's study.toml. Raises BadInput naming file and place."""
    return _checked(str(path), _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            path, f"cannot be read ({error.strerror})", "give the path of a study.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(path, f"is not TOML ({error})", "correct that line") from None


@cache
def _validator() -> Callable[[Any], Any]:
    import fastjsonschema

    validate: Callable[[Any], Any] = fastjsonschema.compile(
        json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    )
    return validate


def _checked(name: str, data: dict[str, Any]) -> Config:
    """Checks ``data`` against the schema that editors use. Raises BadInput naming the place."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(data)
    except JsonSchemaValueException as error:
        raise _told(name, _place(data, error.path[1:]), error) from None
    for place, value in _leaves(data):
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"{name}, {place}", f"is {value}", "give a finite number")
    return Config(name, data)


def _place(value: Any, path: list[str]) -> str:
    """``path`` in words: an entry of a list by its name rather than its number."""
    words = []
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
        known = (
            [value[key] for key in ("name", "metric") if key in value]
            if isinstance(value, dict)
            else []
        )
        words.append(str(known[0]) if known and step.isdigit() else step)
    return ".".join(words)


def _told(name: str, place: str, error: Any) -> BadInput:
    """What the validator complains of, in our words."""
    table = error.definition.get("properties", {})
    if error.rule == "additionalProperties" and error.rule_definition is False:
        unknown = next(key for key in error.value if key not in table)
        return BadInput(
            f"{name}, {_joined(place, unknown)}",
            "is no key of a study",
            choose_from(unknown, sorted(table)),
        )
    if error.rule == "required":
        missing = next(key for key in error.rule_definition if key not in error.value)
        return BadInput(
            f"{name}, {_joined(place, missing)}",
            "is missing",
            "add it; cimbo init shows a complete study",
        )
    if error.rule == "oneOf":
        what, todo = (
            "needs either bound or baseline",
            "give a bound in the metric's unit, or a factor of the baseline's",
        )
        return BadInput(f"{name}, {place}", what, todo)
    wanted = error.message.partition(" must ")[2]
    return BadInput(f"{name}, {place}", f"is {error.value!r:.60}", f"it must {wanted}")


def _joined(*parts: str) -> str:
    return ".".join(filter(None, parts))


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(inner, _joined(place, str(key)))
    else:
        yield place, value


def from_definition(where: str, definition: Mapping[str, Any]) -> Config:
    """What a study file was made from. Raises BadInput for a study that was made in Python, not from a description."""
    stored = definition.get("config") or {}
    if "data" not in stored:
        raise BadInput(
            where,
            "was not started from a preset or a study.toml",
            "go on with it in Python, where its evaluator is",
        )
    return _checked(str(stored.get("name", where)), stored["data"])
