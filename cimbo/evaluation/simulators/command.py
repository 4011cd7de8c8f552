"""Any program as a simulator: JSON in, JSON out, a time limit, and never a shell.

It is asked for whole networks, or layer by layer; then each distinct layer is asked for only once for a chip.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from cimbo.errors import BadInput
from cimbo.evaluation.fingerprint import digested_command
from cimbo.evaluation.programs import protocol
from cimbo.evaluation.programs.program import DEFAULT_TIMEOUT_S, Program, weights_path
from cimbo.problem.scalars import integer
from cimbo.workloads.layers import Workload

MAX_KEPT_LAYERS = 100_000  # answers of layers kept in memory
# Fields of a request for a layer on which no simulator's costs depend
NAMES_OF_A_LAYER = ("name", "after", "shape", "frequency", "weights")

_known_layers: dict[str, dict[str, Any]] = {}  # answers by digest of request, in this process


@dataclass(frozen=True)
class Command:
    """Asks a program for costs, see docs/protocol.md.

    Attributes:
        command: The program and its arguments.
        timeout_s: Seconds that one answer may take.
        server: Whether it stays alive and answers one request a line.
        per_layer: Whether it is asked for each distinct layer instead of whole networks. Numbers are then added over
            the layers, but of those in ``largest`` the largest is taken.
        batch: Requests that are sent at a time.
        cache: Folder in which answers for layers are kept from one process to the next.
        weights: File or folder of trained weights, whose path is part of each request.
        largest: Metrics that are not added over layers, such as an area.

    Raises:
        BadInput: For settings that make no sense; when it cannot be started.
    """

    command: Sequence[str]
    timeout_s: float = DEFAULT_TIMEOUT_S
    server: bool = False
    per_layer: bool = False
    batch: int = 1
    cache: str | None = None
    weights: str | None = None
    largest: Sequence[str] = ("area_mm2",)
    name: str = "command"
    is_tried_first: ClassVar[bool] = (
        True  # a program that fails on everything is told before a search
    )

    def __post_init__(self) -> None:
        _ = self.program
        integer("simulator command, batch", self.batch, least=1)
        if (self.cache is not None or self.batch > 1) and not self.per_layer:
            named = "batch" if self.cache is None else "cache"
            todo = "set per_layer = true, or leave it out"
            raise BadInput(f"simulator command, {named}", "is for layers one by one", todo)

    @cached_property
    def program(self) -> Program:
        """The program that is asked."""
        return Program("simulator command", self.command, self.timeout_s, self.server)

    @cached_property
    def _content(self) -> list[Any]:
        """The command with its files by their content: a changed program has no answers yet."""
        return digested_command(self.command)

    def check(self) -> None:
        """Raises BadInput when there is no such program, or no such weights."""
        self.program.check()
        weights_path("simulator command", self.weights)

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Asks the program what a network costs on a chip.

        Args:
            workload: The network.
            chip: Genes and fixed properties of the chip.

        Returns:
            Every number and text that the program answered, and its list of layers where it has one.

        Raises:
            ProgramFailed: When the program fails, or answers with no numbers.
            BadInput: When it cannot be started, its weights are gone, or the cache cannot be
                written.
        """
        if self.per_layer:
            return self._by_layers(workload, chip)
        weights = weights_path("simulator command", self.weights)
        answer = self.program.ask(protocol.simulation(workload, chip, weights))
        costs: dict[str, Any] = {**answer.texts, **answer.metrics(self.program.name)}
        if isinstance(answer.document.get("layers"), list):
            costs["layers"] = answer.document["layers"]
        return costs

    def _by_layers(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Costs of a network on a chip from the costs of its layers; those of a token loop run once a token."""
        runs = [(layer, layer["frequency"]) for layer in protocol.network(workload)["layers"]]
        if workload.loop is not None:
            step = protocol.network(workload.loop.step)["layers"]
            runs += [(layer, layer["frequency"] * workload.loop.tokens) for layer in step]
        costs = self._costs([layer for layer, _ in runs], chip)
        total: dict[str, Any] = {}
        layers = []
        for (layer, times), own in zip(runs, costs, strict=True):
            for name, value in own.items():
                if name in self.largest:
                    total[name] = max(total.get(name, value), value)
                else:
                    total[name] = total.get(name, 0.0) + times * value
            layers.append({"name": layer["name"], **own})
        return total | {"layers": layers}

    def _costs(
        self, layers: Sequence[Mapping[str, Any]], chip: Mapping[str, Any]
    ) -> list[dict[str, float]]:
        """The costs of each layer, in order. Unknown ones are asked for, equal layers once."""
        digests = []
        known: dict[str, dict[str, Any]] = {}
        missing: dict[str, protocol.Request] = {}
        for layer in layers:
            shape = {k: v for k, v in layer.items() if k not in NAMES_OF_A_LAYER}
            digest = self._digest(shape, chip)
            digests.append(digest)
            kept = known.get(digest) or self._kept(digest)
            if kept is None:
                missing.setdefault(digest, protocol.layer_simulation(layer, chip))
            else:
                known[digest] = kept
        answers = self.program.ask_all(list(missing.values()), self.batch)
        for digest, answer in zip(missing, answers, strict=True):
            known[digest] = answer.metrics(self.program.name)
            self._keep(digest, known[digest])
        return [known[digest] for digest in digests]

    def _digest(self, shape: Mapping[str, Any], chip: Mapping[str, Any]) -> str:
        """The key of an answer: a digest of program, layer and chip."""
        text = json.dumps([self._content, shape, dict(chip)], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _kept(self, digest: str) -> dict[str, Any] | None:
        """An answer that is in memory or in the cache folder; None where it is in neither."""
        if digest not in _known_layers and self.cache is not None:
            try:
                answer = json.loads(self._file(digest).read_text(encoding="utf-8"))
            except (OSError, ValueError):  # none, or one that is being written
                return None
            if isinstance(answer, dict):
                _known_layers[digest] = answer
        return _known_layers.get(digest)

    def _keep(self, digest: str, metrics: dict[str, float]) -> None:
        """Keep an answer in memory, and in the cache folder if there is one. Raises BadInput."""
        if len(_known_layers) >= MAX_KEPT_LAYERS:
            _known_layers.clear()
        _known_layers[digest] = metrics
        if self.cache is None:
            return
        file = self._file(digest)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(metrics), encoding="utf-8")
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise BadInput(self.cache, what, "name a folder of yours as cache") from None

    def _file(self, digest: str) -> Path:
        """The file of an answer in the cache folder."""
        return Path(str(self.cache)).expanduser() / f"{digest[:32]}.json"
