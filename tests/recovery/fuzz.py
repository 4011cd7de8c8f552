"""A fuzzer of every way in: mutated files, options and values, and how cimbo answers each.

    python tests/recovery/fuzz.py --count 5000 --seed 0 [--only DOOR ...] [--into FOLDER]

Prints a JSON summary by door and writes every input that was answered wrongly into FOLDER. An input is
answered well when the command ends with 0, 1 or 2, says what is wrong in a line, without a traceback or
an order to the terminal, writes nothing but what it was asked to write, and takes less than 5 s and 1 GB.
An input is decided by seed, door and number alone: ``--only chip --number 17`` gives it again.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzz_doors import FUZZ_DOORS
from fuzz_python import PYTHON_READERS, FuzzInput

from cimbo.cli import run
from cimbo.errors import CimboError
from predictors import PredictorError

FAULT_LINE = re.compile(r".+: .+; .+")  # where: what is wrong; what to do
LONGEST_S = 5.0  # of processor time
LONGEST_WAIT_S = 60.0  # by the clock, after which a worker is taken for hung
MOST_MEMORY = 1 << 30  # bytes more than the process had before
INPUTS_A_WORKER = 250  # then a new process is forked, so that none inherits what many left behind
HOME = "home"  # a folder of ours
CACHES = "caches"  # a folder for what libraries keep, and cimbo does not write
SIDE_FILES = ("-wal", "-shm")


@dataclass(frozen=True)
class Verdict:
    """How one input was answered; ``wrong`` says what was wrong with that, "" where nothing was."""

    door: str
    number: int
    code: str
    wrong: str
    seconds: float
    memory: int


@dataclass
class DoorSummary:
    """The answers to all inputs of one door, counted."""

    inputs: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    most_memory_mb: float = 0.0

    def add(self, verdict: Verdict) -> None:
        self.inputs += 1
        self.codes[verdict.code] = self.codes.get(verdict.code, 0) + 1
        self.slowest_s = max(self.slowest_s, verdict.seconds)
        self.most_memory_mb = max(self.most_memory_mb, verdict.memory / 2**20)
        if verdict.wrong:
            self.wrong.append(f"{verdict.door} {verdict.number}: {verdict.wrong}")


def make_input(door: str, number: int, seed: int) -> FuzzInput:
    """The input that seed, door and number decide."""
    return FUZZ_DOORS[door](Random(f"{seed} {door} {number}"))


def fuzz(
    count: int, seed: int = 0, doors: list[str] | None = None, into: Path | None = None
) -> dict[str, DoorSummary]:
    """Tries ``count`` inputs, an equal share at each of ``doors``, and keeps those that fail in ``into``."""
    names = list(doors or FUZZ_DOORS)
    summaries = {name: DoorSummary() for name in names}
    jobs = _shares(names, count)
    for verdict in verdicts(jobs, seed):
        summaries[verdict.door].add(verdict)
        if verdict.wrong and into is not None:
            keep(make_input(verdict.door, verdict.number, seed), verdict, into)
    return summaries


def _shares(names: list[str], count: int) -> list[tuple[str, int]]:
    """Door and number of each input, the doors in turn."""
    return [(names[i % len(names)], i // len(names)) for i in range(count)]


def keep(failing: FuzzInput, verdict: Verdict, into: Path) -> None:
    """Writes the files of an input, and beside them how it was answered."""
    folder = into / f"{verdict.door}-{verdict.number}"
    failing.write(folder)
    about = {"arguments": failing.arguments, **asdict(verdict)}
    (folder / "verdict.json").write_text(json.dumps(about, indent=1, default=repr))


def verdicts(jobs: list[tuple[str, int]], seed: int) -> Iterator[Verdict]:
    """The verdict on each job, from forked workers: one that dies or hangs costs one input."""
    for door in dict.fromkeys(door for door, _ in jobs):
        make_input(door, 0, seed)  # good files are made once, before any fork
    left = list(jobs)
    while left:
        answered = 0
        for verdict in _from_one_worker(left[:INPUTS_A_WORKER], seed):
            answered += 1
            yield verdict
        left = left[answered:]


def _from_one_worker(jobs: list[tuple[str, int]], seed: int) -> Iterator[Verdict]:
    reading, writing = os.pipe()
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(jobs, seed, writing)
    os.close(writing)
    answered = 0
    with os.fdopen(reading, encoding="utf-8") as stream:
        while answered < len(jobs):
            ready, _, _ = select.select([stream], [], [], LONGEST_WAIT_S)
            line = stream.readline() if ready else ""
            if not line.endswith("\n"):
                break
            begun = time.monotonic()
            answered += 1
            yield Verdict(**json.loads(line))
        waited = time.monotonic() - begun
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if answered < len(jobs):
        door, number = jobs[answered]
        ended = f"crashed ({os.waitstatus_to_exitcode(status)})"
        told = f"hung for {waited:.0f} s" if waited >= LONGEST_WAIT_S else ended
        yield Verdict(door, number, "none", told, waited, 0)


def _work(jobs: list[tuple[str, int]], seed: int, pipe: int) -> None:
    """A worker's whole life: one line of JSON for each job. Never returns."""
    gc.freeze()
    limit = _virtual_memory() + 2 * MOST_MEMORY  # addresses asked for, of which few are used
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
    outer = Path(tempfile.mkdtemp(prefix="cimbo-fuzz-"))
    try:
        home = outer / HOME
        home.mkdir()
        os.environ["HOME"] = str(home)
        os.environ["MPLCONFIGDIR"] = str(outer / CACHES)  # Matplotlib lists the fonts it finds
        for door, number in jobs:
            verdict = judge(make_input(door, number, seed), outer, door, number)
            os.write(pipe, (json.dumps(asdict(verdict)) + "\n").encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        shutil.rmtree(outer, ignore_errors=True)
        os._exit(99)
    shutil.rmtree(outer, ignore_errors=True)
    os._exit(0)


def judge(given: FuzzInput, outer: Path, door: str, number: int) -> Verdict:
    """Runs one input in a folder of its own below ``outer`` and looks at everything that it did."""
    sandbox = outer / "parent" / "sandbox"
    given.write(sandbox)
    os.chdir(sandbox)
    before, start, memory = _listing(outer), _processor_seconds(), _reset_peak_memory()
    with _captured() as said:
        code = _answer(given)
    seconds = _processor_seconds() - start
    peak = _peak_memory() - memory
    strayed = [
        name for name in sorted(_listing(outer) - before) if not _may_write(name, given, sandbox)
    ]
    wrong = _what_is_wrong(code, said[0], said[1])
    if strayed:
        wrong = f"{wrong} wrote {strayed[:3]}".strip()
    if seconds > LONGEST_S:
        wrong = f"{wrong} took {seconds:.1f} s".strip()
    if peak > MOST_MEMORY:
        wrong = f"{wrong} took {peak >> 20} MB".strip()
    os.chdir(outer)
    for path in outer.iterdir():
        if path.name == "parent":
            shutil.rmtree(path)
        elif path.name not in (HOME, CACHES):
            path.unlink()
    return Verdict(door, number, code, wrong, round(seconds, 3), peak)


def _answer(given: FuzzInput) -> str:
    """The exit code, or the exception that escaped with where it was raised."""
    try:
        if given.arguments[0] in PYTHON_READERS:
            PYTHON_READERS[given.arguments[0]](given)
            return "0"
        return str(run(given.arguments))
    except (CimboError, PredictorError) as error:
        if given.arguments[0] not in PYTHON_READERS:
            return f"escaped {error!r}"
        print(error, file=sys.stderr)
        return "2"
    except SystemExit as error:
        return f"SystemExit {error.code}"
    except BaseException as error:
        inner = traceback.extract_tb(error.__traceback__)[-1]
        ours = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if "/cimbo/" in f.filename or "/predictors/" in f.filename
        ]
        last = ours[-1] if ours else inner
        place = f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:100]}"


def _what_is_wrong(code: str, out: str, said: str) -> str:
    if code not in ("0", "1", "2"):
        return f"ended with {code}"
    lines = said.splitlines()
    if "Traceback" in said:
        return f"printed a traceback: {lines[-1:]}"
    faults = [line for line in lines if FAULT_LINE.fullmatch(line)]
    if code == "2" and (not lines or (len(lines) > 1 and faults != lines)):  # a line a fault
        return f"said {len(lines)} lines: {lines[:3]}"
    for text in (said, out):
        bad = [c for c in text if not c.isprintable() and c not in "\n\r\t"]
        if bad:
            return f"printed {bad[0]!r}"
    return ""


def _may_write(name: str, given: FuzzInput, sandbox: Path) -> bool:
    path = Path(name)
    asked = [(sandbox / word).resolve() for word in given.arguments]
    if path in asked:
        return True  # by its name
    if given.arguments[0] == "init" and path.parent in [each.parent for each in asked]:
        return True  # the schema beside the file that was asked for
    if not path.is_relative_to(sandbox):
        return CACHES in path.parts
    inside = str(path.relative_to(sandbox))
    for ending in SIDE_FILES:
        inside = inside.removesuffix(ending)
    first = inside.split("/")[0]
    return inside in given.files or first in given.may_write or "*" in given.may_write


def _listing(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Lends stdout and stderr, of C code too, to two files; the list holds their texts afterwards."""
    texts: list[str] = []
    kept = [os.dup(1), os.dup(2)]
    files = [tempfile.TemporaryFile() for _ in kept]  # noqa: SIM115 (closed below)
    try:
        for descriptor, file in zip((1, 2), files, strict=True):
            os.dup2(file.fileno(), descriptor)
        yield texts
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, saved, file in zip((1, 2), kept, files, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
            file.close()


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def _virtual_memory() -> int:
    return _status("VmSize:")


def _peak_memory() -> int:
    return _status("VmHWM:")


def _reset_peak_memory() -> int:
    """Lets the peak begin anew (Linux); returns what is in use."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS:")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=FUZZ_DOORS, default=None)
    parser.add_argument("--number", type=int, default=None)
    parser.add_argument("--into", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    if options.number is not None:
        for verdict in verdicts([(d, options.number) for d in options.only], options.seed):
            keep(make_input(verdict.door, verdict.number, options.seed), verdict, options.into)
            print(json.dumps(asdict(verdict), indent=1))
        return 0
    found = fuzz(options.count, options.seed, options.only, options.into)
    print(json.dumps({name: asdict(each) for name, each in found.items()}, indent=1))
    return int(any(each.wrong for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
