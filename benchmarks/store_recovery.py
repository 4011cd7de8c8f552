"""The long form of the recovery drills: prints a scorecard and writes it as JSON beside this file.

    python benchmarks/store_recovery.py [--kills 200] [--only NAME ...]

Every line says PASS or FAIL, what was asked and what was measured. Exit code 1 when a line fails. As a normal user
the line of the full disk is skipped, because mounting a small one needs root. About fifteen minutes on two cores.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "recovery"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import drills
import file_drills
import fuzz
import malformed
import payloads
import setup_drills

FUZZED_PER_KILL = 25  # inputs of the fuzzer for each kill that is asked for: 5,000 by default


@dataclass(frozen=True)
class Line:
    """One line of the scorecard; ``passed`` is None when it could not be run."""

    name: str
    passed: bool | None
    asked: str
    measured: dict[str, object]
    seconds: float = 0.0


def kills(count: int) -> Iterator[Line]:
    for jobs, share in ((1, 0.75), (2, 0.25)):
        yield _killed(f"SIGKILL, {jobs} worker(s)", _side_by_side(round(count * share), jobs))


def _side_by_side(count: int, jobs: int, lanes: int = 4) -> drills.Kills:
    """Several drills at a time, since each of them mostly waits; of their 95th percentiles the worst."""
    shares = [count // lanes + (lane < count % lanes) for lane in range(lanes)]
    with ThreadPoolExecutor(lanes) as pool:
        found = list(
            pool.map(
                lambda lane: drills.kill_drill(shares[lane], budget=200, jobs=jobs, seed=lane),
                range(lanes),
            )
        )
    merged = {f.name: max if f.name.startswith("restart") else sum for f in fields(drills.Kills)}
    return drills.Kills(
        **{name: merge(getattr(each, name) for each in found) for name, merge in merged.items()}
    )


def search(count: int) -> Iterator[Line]:
    found = drills.kill_drill(max(1, count // 40), budget=20, jobs=1, mode="search")
    yield _killed("SIGKILL, Study.optimize", found)


def order(_: int) -> Iterator[Line]:
    one, four = drills.orders(30, (1, 4))
    yield Line(
        "1 and 4 workers", one == four, "the same designs in the same order", {"designs": len(one)}
    )


def _killed(name: str, found: drills.Kills) -> Line:
    wrong = found.lost + found.duplicated + found.left_running + found.fronts_differing
    asked = "0 lost, duplicated, left running; same front; restart p95 < 2 s without imports"
    return Line(name, not wrong and found.restart_s < 2, asked, asdict(found))


def shortfall(_: int) -> Iterator[Line]:
    least = {0.05: 0.95, 0.2: 0.9, 0.5: 0.75}
    for found in drills.shortfall_drill(tuple(least), budget=60):
        good = found.recorded == found.budget and found.hypervolume >= least[found.share]
        asked = f"ends by budget, hypervolume at least {least[found.share]} of the clean search"
        yield Line(f"{found.share:.0%} faults, Study", good, asked, asdict(found))


def swarms(_: int) -> Iterator[Line]:
    for processes in (2, 4, 8, 16):
        found = drills.swarm_drill(processes, budget=2000, deaths=0.1)
        wrong = (
            found.lost
            + found.duplicated
            + found.twice
            + found.left_running
            + (found.evaluations != 2000)
        )
        fast = processes != 4 or found.per_second >= 200
        asked = "0 lost, duplicated, evaluated twice, left running" + (
            ", 200 evaluations/s" if processes == 4 else ""
        )
        yield Line(
            f"{processes} processes, 10 % deaths",
            not wrong and found.kills > 0 and fast,
            asked,
            asdict(found),
        )


def faults(_: int) -> Iterator[Line]:
    for share in (0.05, 0.2, 0.5):
        found = drills.fault_drill(share, budget=100)
        good = found.recorded == found.budget and not found.unexplained and not found.wrongly_failed
        yield Line(
            f"{share:.0%} faults",
            good,
            "ends by budget, each failure has its reason",
            asdict(found),
        )


def files(_: int) -> Iterator[Line]:
    found = malformed.malformed_drill(300)
    doors = ", ".join(door.file for door in malformed.DOORS if malformed.find_spec(door.needs))
    asked = "one line naming file and place, exit code 2, under 2 s, nothing written"
    yield Line("300 malformed inputs", not found.wrong, asked, {"as": doors, **asdict(found)})
    try:
        wrong = malformed.read_only_drill()
        yield Line(
            "read-only disk",
            not wrong,
            asked,
            {"commands": len(malformed.READ_ONLY), "wrong": wrong},
        )
    except PermissionError as error:
        yield Line("read-only disk", None, asked, {"skipped": str(error)})


def hostile(_: int) -> Iterator[Line]:
    found = payloads.payload_drill()
    good = not (found.executed or found.outside or found.escaped or found.markup)
    asked = (
        "0 executed, 0 files outside the target, no order to a terminal, the report escapes them"
    )
    yield Line("payloads", good, asked, asdict(found))


def fuzzed(kills: int) -> Iterator[Line]:
    count = FUZZED_PER_KILL * kills
    found = fuzz.fuzz(count, into=Path("fuzz-failures"))
    wrong = [line for each in found.values() for line in each.wrong]
    measured = {
        "inputs": count,
        "doors": ", ".join(found),
        "wrong": wrong,
        "slowest_s": max(each.slowest_s for each in found.values()),
        "most_memory_mb": round(max(each.most_memory_mb for each in found.values())),
    }
    asked = "0 crashes, tracebacks, files outside the target; each in at most 5 s and 1 GB"
    yield Line("fuzzed inputs", not wrong, asked, measured)


def disk(_: int) -> Iterator[Line]:
    asked = "clear message, every acknowledged evaluation found, goes on when there is room"
    try:
        message, kept, found = drills.full_disk_drill()
    except PermissionError as error:
        yield Line("full disk", None, asked, {"skipped": str(error)})
        return
    told = message.split(": ", 1)[1]
    yield Line(
        "full disk",
        "disk is full" in message and kept == found,
        asked,
        {"said": told, "kept": kept},
    )


def signals(_: int) -> Iterator[Line]:
    for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
        returned, _, wrong = drills.signal_drill(sent, jobs=2)
        measured = {"exit": returned, "wrong": dict(wrong)}
        yield Line(
            sent.name, returned == code and not wrong, "file whole, nothing running", measured
        )


def copies(count: int) -> Iterator[Line]:
    found = file_drills.copies_drill(max(2, count // 20))
    good = not (found.short or found.short_after_kill)
    asked = (
        "a plain copy of a running or killed study holds what was acknowledged, or says it is torn"
    )
    yield Line("copy of a running study", good, asked, asdict(found))


def lost_files(_: int) -> Iterator[Line]:
    found = file_drills.lost_files_drill()
    good = found.told == found.studies and not found.into_the_void
    asked = "file or log deleted or replaced in use: one line, exit code 2, nothing acknowledged"
    yield Line("log deleted", good, asked, asdict(found))


def hosts(_: int) -> Iterator[Line]:
    asked = "no living owner loses its candidate, a dead one's is free"
    for name, place, jumps in (
        ("two hosts", "elsewhere", (0.0, 7200.0, -7200.0)),
        ("clock jump", "here", (7200.0, 3.2e8, -7200.0)),
    ):
        found = file_drills.leases_drill(place, jumps)
        good = not found.stolen and found.freed == found.gone
        yield Line(name, good, asked, asdict(found))


def metadata(_: int) -> Iterator[Line]:
    kept = file_drills.metadata_drill(4, 20)
    yield Line("metadata of 4 processes", kept == 80, "80 of 80 changes are kept", {"kept": kept})


def threads(_: int) -> Iterator[Line]:
    asked = "the same designs in the same order"
    found = file_drills.threads_drill()
    if found is None:
        yield Line("1 and 2 BLAS threads", None, asked, {"skipped": "there is no test of it"})
        return
    yield Line("1 and 2 BLAS threads", found[0] == found[1], asked, {"designs": len(found[0])})


def setups(_: int) -> Iterator[Line]:
    changed = setup_drills.changed_evaluator_drill()
    good = changed.refused == 2 and changed.kept == 2 and changed.mixed == 3
    good = good and "node_nm was 22, is 65" in changed.said
    asked = "a line that says what differs, exit code 2; both only with --accept-changed"
    yield Line("changed fingerprint", good, asked, asdict(changed))
    wrong = setup_drills.wrong_checkpoint_drill()
    good = wrong.refused == 2 and not wrong.left and "wrong.safetensors" in wrong.said
    asked = "one line naming the file, exit code 2, nothing recorded"
    yield Line("wrong checkpoint", good, asked, asdict(wrong))


DRILLS: dict[str, Callable[[int], Iterator[Line]]] = {
    "kills": kills,
    "search": search,
    "order": order,
    "shortfall": shortfall,
    "swarms": swarms,
    "faults": faults,
    "files": files,
    "payloads": hostile,
    "fuzz": fuzzed,
    "disk": disk,
    "signals": signals,
    "copies": copies,
    "lost files": lost_files,
    "hosts": hosts,
    "metadata": metadata,
    "threads": threads,
    "setups": setups,
}


def timed(lines: Iterator[Line]) -> Iterator[Line]:
    begin = time.perf_counter()
    for line in lines:
        yield replace(line, seconds=round(time.perf_counter() - begin, 1))
        begin = time.perf_counter()


def keep(line: Line) -> None:
    """Writes one line to the scorecard; the others in it stay as they are."""
    result = Path(__file__).with_suffix(".json")
    known = json.loads(result.read_text()) if result.exists() else {}
    known["machine"] = {"cores": os.cpu_count(), "load average at the end": os.getloadavg()}
    known[line.name] = asdict(line)
    result.write_text(json.dumps(known, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=DRILLS, default=list(DRILLS))
    options = parser.parse_args()
    # A shell starts background jobs with SIGINT ignored, and children inherit that: the drill of Ctrl-C would wait in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lines = []
    for name in options.only:
        for line in timed(DRILLS[name](options.kills)):
            lines.append(line)
            keep(line)
            verdict = {True: "PASS", False: "FAIL", None: "SKIP"}[line.passed]
            values = {
                k: f"{v:.4g}" if isinstance(v, float) else v for k, v in line.measured.items()
            }
            measured = ", ".join(f"{k} {v}" for k, v in values.items())
            print(
                f"{verdict}  {line.name:26} {line.asked}\n      {measured} ({line.seconds} s)",
                flush=True,
            )
    return int(any(line.passed is False for line in lines))


if __name__ == "__main__":
    sys.exit(main())
