"""Any program as a simulator: JSON in, JSON out, a time limit, and never a shell."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.scalars import finite, shown
from cimbo.processes import OutputTooLarge, run_program
from cimbo.workloads.layers import Workload

INPUT_PLACEHOLDER = "{input}"


@dataclass(frozen=True)
class Command:
    """Runs ``command`` (a list of words) once for each evaluation.

    It gets ``{"workload": {"name", "layers": [...]}, "chip": {...}}`` on stdin, or in a file where a word of the
    command contains ``{input}``, and prints one JSON object with numbers: latency_ms, energy_uj, area_mm2, ....
    Raises BadInput when the command cannot be started, and RuntimeError (a failed evaluation) when it exits with
    another code than 0, takes longer than ``timeout_s`` or prints something else.
    """

    command: Sequence[str]
    timeout_s: float = 600.0
    name: str = "command"

    def __post_init__(self) -> None:
        words = self.command
        listed = isinstance(words, list | tuple) and len(words) > 0
        if not listed or not all(isinstance(word, str) and "\0" not in word for word in words):
            raise BadInput(
                "simulator command",
                f"is {shown(words)}",
                'give a list of words, such as ["./simulate", "--json"]',
            )

        seconds = finite(self.timeout_s)
        if isinstance(self.timeout_s, bool) or seconds is None or seconds <= 0:
            raise BadInput(
                "simulator command, timeout_s",
                f"is {shown(self.timeout_s)}",
                "give a number of seconds above 0",
            )

    def check(self) -> None:
        """Raises BadInput when there is no such program."""
        if shutil.which(self.command[0]) is None:
            raise BadInput(self.command[0], "cannot be started", "give the path of a program")

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """What the program printed."""
        layers = [asdict(layer) for layer in workload.layers]
        text = json.dumps(
            {"workload": {"name": workload.name, "layers": layers}, "chip": dict(chip)},
            default=_plain,
        )
        with TemporaryDirectory() as folder:
            file = Path(folder) / "input.json"
            file.write_text(text, encoding="utf-8")
            words = [word.replace(INPUT_PLACEHOLDER, str(file)) for word in self.command]
            return self._parse(self._run(words, text))

    def _run(self, words: list[str], text: str) -> str:
        try:
            done = run_program(words, text=text, timeout_s=self.timeout_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{words[0]}: took longer than {self.timeout_s:g} s") from None
        except OutputTooLarge as error:
            raise RuntimeError(f"{words[0]}: {error}") from None
        except OSError as error:
            raise BadInput(
                words[0], f"cannot be started ({error.strerror})", "give the path of a program"
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise RuntimeError(f"{words[0]}: exit code {done.returncode}: {last}")
        return done.stdout

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            metrics = json.loads(text)
        except (ValueError, RecursionError):
            raise RuntimeError(f"{self.command[0]}: printed no JSON: {text[:80]!r}") from None
        if not isinstance(metrics, dict) or not any(
            isinstance(value, int | float) for value in metrics.values()
        ):
            raise RuntimeError(
                f"{self.command[0]}: printed no JSON object with numbers: {text[:80]!r}"
            )
        return metrics


def _plain(value: Any) -> Any:
    return value.item()  # numpy numbers
