"""A program of the user's that answers requests: started for each of them, or kept alive as a server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.programs import logs, protocol
from cimbo.evaluation.programs.answers import Answer, ProgramFailed, joined, last_line, parse
from cimbo.evaluation.programs.server import server_of
from cimbo.problem.scalars import finite, plain, shown
from cimbo.processes import OutputTooLarge, run_program

INPUT_PLACEHOLDER = "{input}"
OUTPUT_PLACEHOLDER = "{output}"
DEFAULT_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Program:
    """A program that is given requests as JSON and answers with JSON.

    Attributes:
        where: What it is in the study, such as ``simulator command``; named in messages about its settings.
        command: Program and arguments; no shell sees them. ``{input}`` in one stands for a file with the request,
            ``{output}`` for the file that it writes its answer to. Without them it reads stdin and prints to stdout.
        timeout_s: Seconds that one answer may take.
        server: False: it is started for each request. True: it stays alive, reads one request a line and answers
            with one line.

    Raises:
        BadInput: For settings that make no sense.
    """

    where: str
    command: Sequence[str]
    timeout_s: float = DEFAULT_TIMEOUT_S
    server: bool = False

    def __post_init__(self) -> None:
        words = self.command
        listed = isinstance(words, list | tuple) and len(words) > 0
        if not listed or not all(isinstance(word, str) and "\0" not in word for word in words):
            todo = 'give a list of words, such as ["./simulate", "--json"]'
            raise BadInput(self.where, f"is {shown(words)}", todo)
        seconds = finite(self.timeout_s)
        if isinstance(self.timeout_s, bool) or seconds is None or seconds <= 0:
            what = f"is {shown(self.timeout_s)}"
            raise BadInput(f"{self.where}, timeout_s", what, "give a number of seconds above 0")
        if not isinstance(self.server, bool):
            raise BadInput(
                f"{self.where}, server", f"is {shown(self.server)}", "give true or false"
            )
        for word in words:
            has_file = INPUT_PLACEHOLDER in word or OUTPUT_PLACEHOLDER in word
            if self.server and has_file:
                what = f"has {word}, but a server reads lines from stdin"
                raise BadInput(self.where, what, "leave it out, or set server = false")

    @property
    def name(self) -> str:
        """The first word of the command, for messages."""
        return self.command[0]

    def check(self) -> None:
        """Raises BadInput when there is no such program."""
        if shutil.which(self.name) is None:
            raise BadInput(self.name, "cannot be started", "give the path of a program")

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """Ask the program; what it prints besides its answer goes to the log of the evaluation.

        Args:
            request: The request, as JSON.

        Returns:
            Its answer.

        Raises:
            ProgramFailed: When it ends with another code than 0, takes too long, or answers with no
                JSON object.
            BadInput: When it cannot be started.
        """
        try:
            answer = self._answer(json.dumps(request, default=plain))
        except ProgramFailed as error:
            logs.say(error.log)
            raise
        logs.say(answer.log)
        return answer

    def ask_all(self, requests: Sequence[Mapping[str, Any]], batch_size: int) -> list[Answer]:
        """Ask the program several requests.

        Args:
            requests: The requests, as JSON.
            batch_size: How many are sent at a time; 1 sends each by itself.

        Returns:
            The answers, in the order of the requests.

        Raises:
            ProgramFailed: As `ask`, and when a batch has another number of answers.
            BadInput: As `ask`.
        """
        if batch_size <= 1:
            return [self.ask(request) for request in requests]
        answers = []
        for start in range(0, len(requests), batch_size):
            part = [dict(request) for request in requests[start : start + batch_size]]
            answers += self._batch(part)
        return answers

    def _batch(self, requests: list[dict[str, Any]]) -> list[Answer]:
        """Ask several requests at once. Raises ProgramFailed unless there is an answer to each."""
        document = self.ask(protocol.batch(requests)).document
        if "failed" in document:
            raise ProgramFailed(f"{self.name}: {document['failed']}")
        answers = document.get("answers")
        is_list = isinstance(answers, list) and all(isinstance(each, dict) for each in answers)
        if not is_list or len(answers or []) != len(requests):
            printed = "no list of JSON objects"
            if is_list:
                printed = f"{len(answers or [])} answers"
            raise ProgramFailed(f"{self.name}: printed {printed} to {len(requests)} requests")
        return [Answer(each) for each in answers or []]

    def _answer(self, text: str) -> Answer:
        """Send one request, as JSON text, to the server or to a new process."""
        if self.server:
            return server_of(self.command).ask(text, self.timeout_s)
        return self._run(text)

    def _run(self, text: str) -> Answer:
        """Run the program once for one request, given by stdin or in a temporary file.

        Raises ProgramFailed where it ends with another exit code than 0 or gives no answer.

        Returns:
            Its answer, with all else that it printed as the log.
        """
        with TemporaryDirectory() as folder:
            files = {
                INPUT_PLACEHOLDER: Path(folder, "input.json"),
                OUTPUT_PLACEHOLDER: Path(folder, "output.json"),
            }
            files[INPUT_PLACEHOLDER].write_text(text, encoding="utf-8")
            words = [_replaced(word, files) for word in self.command]
            done = self._finished(words, text)
            log = joined(done.stdout, done.stderr)
            if done.returncode:
                reason = f"{self.name}: exit code {done.returncode}: {last_line(done.stderr)}"
                raise ProgramFailed(reason, log)
            if not any(OUTPUT_PLACEHOLDER in word for word in self.command):
                return parse(self.name, done.stdout, done.stderr)
            try:
                written = files[OUTPUT_PLACEHOLDER].read_text(encoding="utf-8", errors="replace")
            except OSError:
                raise ProgramFailed(f"{self.name}: wrote no output file", log) from None
            return parse(self.name, written, log)

    def _finished(self, words: list[str], text: str) -> subprocess.CompletedProcess[str]:
        """Run a command with ``text`` as its stdin until it ends. Raises ProgramFailed or BadInput."""
        try:
            return run_program(words, text=text, timeout_s=self.timeout_s)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"{self.name}: took longer than {self.timeout_s:g} s") from None
        except OutputTooLarge as error:
            raise ProgramFailed(f"{self.name}: {error}") from None
        except OSError as error:
            what = f"cannot be started ({error.strerror})"
            raise BadInput(self.name, what, "give the path of a program") from None


def _replaced(word: str, files: Mapping[str, Path]) -> str:
    """A word of a command with paths in place of the placeholders."""
    for placeholder, file in files.items():
        word = word.replace(placeholder, str(file))
    return word


def weights_path(where: str, weights: str | None) -> str | None:
    """Finds the absolute path of a file or folder of weights.

    Args:
        where: What the weights are of, for the error.
        weights: The path as the user gives it; None: there are none.

    Returns:
        The path; None where there are no weights.

    Raises:
        BadInput: When nothing lies there.
    """
    if weights is None:
        return None
    path = Path(weights).expanduser().resolve()
    if not path.exists():
        raise BadInput(f"{where}, weights", f"{path} does not exist", "give the path of a file")
    return str(path)
