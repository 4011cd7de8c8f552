"""A study described in TOML: a shipped preset, or a user's study.toml of the same form.

``load`` checks every key, so that a typing error is one line with its place and never a silent default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.evaluators import modelled
from cimbo.evaluators.joint import COSTS, JointEvaluator
from cimbo.evaluators.simulators import simulator
from cimbo.networks import network
from cimbo.objectives import Constraint, Objective, Problem
from cimbo.space import Choice, SearchSpace

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "fmnist-vit"
_KEYS: dict[str, set[str]] = {
    "": {"title", "network", "hardware", "baseline", "objectives", "constraints", "search"},
    "network": {"name", "genes", "accuracy", "accuracy_kind", "options"},
    "hardware": {"space", "genes", "fixed", "simulator", "options"},
    "objectives": {"name", "goal", "reference"},
    "constraints": {"metric", "relation", "bound", "baseline"},
    "search": {"initial", "batch"},
}


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
        space = SearchSpace(self._network_genes(), self._chip_genes())
        objectives = tuple(Objective(**o) for o in self.data["objectives"])
        return Problem(space, objectives, tuple(self._constraint(c) for c in self.data.get("constraints", ())))

    def evaluator(self) -> JointEvaluator:
        """The real evaluation this study stands on."""
        chip, about = self.data.get("hardware", {}), self.data["network"]
        return JointEvaluator(
            self.network, self.accuracy, chip.get("simulator", "cimbo"), chip.get("options", {}), chip.get("fixed", {}),
            accuracy_options=about.get("options", {}),
        )  # fmt: skip

    @property
    def accuracy(self) -> str:
        """Name of the source of accuracy."""
        return str(self.data["network"].get("accuracy", self.network))

    def standing(self) -> dict[str, Any]:
        """What the accuracies of this study are worth: measured, or modelled with which error, where and from what."""
        if self.accuracy in modelled.names():
            about = modelled.standing(self.accuracy)
            error = f"± {about['error_points']:g} points ({about['error_is']})"
            label = f"accuracy is {about['kind']}, not measured: {error}; valid for {about['valid']}; from {about['source']}"
            return {**about, "label": label}
        kind = str(self.data["network"].get("accuracy_kind", "measured"))
        return {"kind": kind, "label": f"accuracy is {kind} ({self.accuracy})"}

    def with_checkpoint(self, options: Mapping[str, Any]) -> Config:
        """The same study with accuracy measured on the user's weights and images, over the network's whole space."""
        about = {k: v for k, v in self.data["network"].items() if k != "genes"}
        about |= {"accuracy": "checkpoint", "accuracy_kind": "measured", "options": {"network": self.network, **options}}
        return Config(self.name, {**self.data, "network": about})

    def with_simulator(self, name: str, options: Mapping[str, Any]) -> Config:
        """The same study with another simulator."""
        chip = dict(self.data.get("hardware", {})) | {"simulator": name, "options": dict(options)}
        return Config(self.name, {**self.data, "hardware": chip})

    def baseline(self) -> dict[str, Any]:
        """The chip drawn before any search. Raises BadInput when the study names none."""
        if "baseline" not in self.data:
            raise BadInput(f"{self.name}, baseline", "is missing", "add a table [baseline] with the genes of a chip")
        return dict(self.data["baseline"])

    def baseline_costs(self) -> dict[str, float]:
        """Costs of the largest sub-network on the baseline chip."""
        family = network(self.network)
        answer = simulator("cimbo").simulate(family.workload(family.largest()), self.baseline())
        return {name: float(answer[name]) for name in COSTS}

    def _network_genes(self) -> list[Choice]:
        """The family's genes, those that the study narrows with fewer values."""
        genes = {c.name: c for c in network(self.network).choices()}
        for name, values in self.data["network"].get("genes", {}).items():
            where = f"{self.name}, network.genes.{name}"
            if name not in genes:
                raise BadInput(where, f"is no gene of {self.network}", f"use one of {', '.join(genes)}")
            if any(v not in genes[name].values for v in values):
                raise BadInput(where, f"is {values}", f"use values among {list(genes[name].values)}")
            genes[name] = Choice(name, values, genes[name].active_if)
        return list(_reachable(genes))

    def _chip_genes(self) -> list[Choice]:
        chip = self.data.get("hardware", {})
        spaces = {"core": False, "extended": True}
        if chip.get("space", "core") not in spaces:
            raise BadInput(f"{self.name}, hardware.space", f"{chip['space']!r} is unknown", "use 'core' or 'extended'")
        genes = {c.name: c for c in hardware.chip_choices(extended=spaces[chip.get("space", "core")])}
        for name, values in chip.get("genes", {}).items():
            if name not in genes:
                raise BadInput(
                    f"{self.name}, hardware.genes.{name}", "is no gene of a chip", f"use one of {', '.join(genes)}"
                )
            genes[name] = Choice(name, values)
        return list(genes.values())

    def _constraint(self, entry: Mapping[str, Any]) -> Constraint:
        where = f"{self.name}, constraint on {entry.get('metric')}"
        if ("bound" in entry) == ("baseline" in entry):
            raise BadInput(
                where,
                "needs either bound or baseline",
                "give a bound in the metric's unit, or a factor of the baseline's",
            )
        if "bound" in entry:
            return Constraint(entry["metric"], entry.get("relation", "<="), entry["bound"])
        costs = self.baseline_costs()
        if entry["metric"] not in costs:
            raise BadInput(where, "the baseline has no such metric", f"use one of {', '.join(costs)}")
        if not isinstance(entry["baseline"], int | float):
            raise BadInput(where, f"baseline is {entry['baseline']!r}", "give a factor, such as 1.0")
        return Constraint(entry["metric"], entry.get("relation", "<="), entry["baseline"] * costs[entry["metric"]])


def _reachable(genes: Mapping[str, Choice]) -> Iterator[Choice]:
    """Genes whose conditions can still be met, the conditions without values that no gene has any more."""
    for choice in genes.values():
        active_if = {g: [v for v in values if v in genes[g].values] for g, values in choice.active_if.items()}
        if all(active_if.values()):
            yield Choice(choice.name, choice.values, active_if)


def presets() -> dict[str, str]:
    """Name and title of every shipped preset."""
    return {p.stem: str(_read(p).get("title", p.stem)) for p in sorted(PRESETS.glob("*.toml"))}


def preset(name: str) -> Config:
    """A shipped study. Raises BadInput listing the known ones."""
    path = PRESETS / f"{name}.toml"
    known = sorted(p.stem for p in PRESETS.glob("*.toml"))
    if name not in known:
        raise BadInput(f"preset {name!r}", "is unknown", f"use one of {', '.join(known)}")
    return _checked(name, _read(path))


def load(path: Path) -> Config:
    """A user's study.toml. Raises BadInput naming file and place."""
    return _checked(str(path), _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", "give the path of a study.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(path, f"is not TOML ({error})", "correct that line") from None


def _checked(name: str, data: dict[str, Any]) -> Config:
    for required in ("network", "objectives"):
        if not data.get(required):
            raise BadInput(
                f"{name}, {required}", "is missing", f"add [{required}]; cimbo presets shows complete studies"
            )
    _check_keys(name, "", data)
    _check_values(name, data)
    for table, kind in (
        ("network", dict),
        ("hardware", dict),
        ("search", dict),
        ("objectives", list),
        ("constraints", list),
    ):
        if not isinstance(data.get(table, kind()), kind):
            raise BadInput(
                f"{name}, {table}", f"is not a {'table' if kind is dict else 'list of tables'}", "see a preset"
            )
        for entry in [data[table]] if kind is dict and table in data else data.get(table, ()):
            _check_keys(name, table, entry)
    for table, key in (("network", "name"), ("objectives", "name"), ("objectives", "goal"), ("constraints", "metric")):
        entries = [data[table]] if isinstance(data.get(table), dict) else data.get(table, [])
        if any(key not in e for e in entries):
            raise BadInput(f"{name}, {table}", f"lacks the key {key!r}", "add it")
    return Config(name, data)


def _check_values(name: str, data: Mapping[str, Any]) -> None:
    search, chip = data.get("search", {}), data.get("hardware", {})
    for key, value in search.items() if isinstance(search, dict) else ():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(f"{name}, search.{key}", f"is {value!r}", "give a whole number of at least 1")
    for table in ("genes", "fixed", "options") if isinstance(chip, dict) else ():
        if not isinstance(chip.get(table, {}), dict):
            raise BadInput(f"{name}, hardware.{table}", "is not a table", "write one line of NAME = VALUE each")
    for gene, values in chip.get("genes", {}).items() if isinstance(chip, dict) else ():
        if not isinstance(values, list):
            raise BadInput(
                f"{name}, hardware.genes.{gene}", f"is {values!r}", "list the values it may take, as [64, 128]"
            )


def _check_keys(name: str, table: str, entry: Mapping[str, Any]) -> None:
    for key in entry:
        if key not in _KEYS[table]:
            where = f"{name}, {table}.{key}" if table else f"{name}, {key}"
            raise BadInput(where, "is no key of a study", f"use one of {', '.join(sorted(_KEYS[table]))}")


def from_definition(where: str, definition: Mapping[str, Any]) -> Config:
    """What a study file was made from. Raises BadInput for a study that was made in Python, not from a description."""
    stored = definition.get("config")
    if not isinstance(stored, Mapping) or not isinstance(stored.get("data"), dict):
        raise BadInput(
            where, "was not started from a preset or a study.toml", "go on with it in Python, where its evaluator is"
        )
    return _checked(str(stored.get("name", where)), stored["data"])
