"""The programs that the drills kill. Each is a real process on a real study file.

``solo``: one study, one process, a proposal that depends on everything recorded before, as a real search does.
``search``: the same with the real search, `Study.optimize`.
``swarm``: one of several processes that share the candidates of one study.
Both write a line to ACKS after the store has acknowledged an evaluation, and before they go on.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

from cimbo.errors import BadInput
from cimbo.storage import Record, Store

DEFINITION = {
    "space": {"genes": ["a", "b", "c"]},
    "objectives": ["up", "down"],
    "constraints": [],
    "seed": 0,
}
BATCH = 5
FIRST_PROPOSAL = (
    "cimbo.optimizer.acquisition",
    "cimbo.optimizer.recommend",
    "predictors.interfaces.adapter",
    "predictors.boosting.boosted",
    "predictors.gp",
    "predictors.boosting.hybrid",
    "predictors.assessment.validation",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "xgboost",
)


class Ready:
    """The instant at which a program has imported all it needs."""

    def __init__(self) -> None:
        self.clock, self.cpu = time.perf_counter(), time.process_time()

    def since(self) -> dict[str, float]:
        """Wall time and this process's CPU time; on a busy machine the former is longer."""
        return {
            "after_s": time.perf_counter() - self.clock,
            "after_cpu_s": time.process_time() - self.cpu,
        }


def note(file: int, **values: object) -> None:
    os.write(file, (json.dumps(values) + "\n").encode())  # one write, appended: whole or absent


def evaluate(params: dict[str, float]) -> dict[str, float]:
    time.sleep(0.002)
    return {
        "up": params["a"] + 0.3 * params["b"],
        "down": params["b"] ** 2 + params["c"] * params["a"],
    }


def proposals(log: list[Record], batch: int) -> Iterator[tuple[str, dict[str, float]]]:
    """A batch that is a function of all batches before it, in whatever order their outcomes came."""
    past = sorted(
        (r.key, sorted(r.metrics.items())) for r in log if int(r.key.split("-")[0]) < batch
    )
    seed = hashlib.sha256(json.dumps([batch, past]).encode()).hexdigest()
    for i in range(BATCH):
        dice = random.Random(f"{seed} {i}")
        yield f"{batch:03d}-{i}-{seed[:8]}", {gene: dice.random() for gene in "abc"}


def solo(path: str, acks: int, budget: int, jobs: int) -> None:
    from cimbo import execution

    if jobs > 1:  # imports are not part of what is timed, those of the workers included
        warm = [SimpleNamespace(key=str(i), params=dict.fromkeys("abc", 0.0)) for i in range(jobs)]
        list(execution.run(warm, evaluate, n_jobs=jobs))
    ready = Ready()
    with Store.open(path, DEFINITION) as store:
        while store.count() < budget:
            log = store.records()
            batch = dict(proposals(log, len(log) // BATCH))
            mine = store.claim(list(batch.items()), owner=f"solo {os.getpid()}", lease_s=3600)
            if not mine:
                raise SystemExit("a candidate is still leased to a process that is dead")
            todo = [SimpleNamespace(key=key, params=batch[key]) for key in mine]
            for outcome in execution.run(todo, evaluate, n_jobs=jobs):
                done = store.record(
                    outcome.key,
                    outcome.params,
                    metrics=outcome.metrics,
                    status=outcome.status,
                    reason=outcome.reason,
                    origin="proposed",
                    seconds=outcome.seconds,
                )
                note(acks, key=done.key, number=done.number, metrics=done.metrics, **ready.since())


def search(path: str, acks: int, budget: int, jobs: int) -> None:
    import problem

    from cimbo.optimizer.options import OptimizerOptions

    for name in FIRST_PROPOSAL:  # imports are not part of what is timed
        import_module(name)
    ready = Ready()

    def heard(event: object) -> None:
        done = getattr(event, "record", None)
        if done is not None:
            note(acks, key=done.key, number=done.number, metrics=done.metrics, **ready.since())

    with problem.study(path) as study:
        study.optimize(
            problem.evaluate,
            budget,
            n_jobs=jobs,
            guidance=OptimizerOptions(initial=10),
            listener=heard,
        )


def swarm(path: str, acks: int, budget: int, deaths: float) -> None:
    owner, dice = f"swarm {os.getpid()}", random.Random(os.getpid())
    free, seen = {f"{i:05d}" for i in range(budget)}, 0
    with Store.open(path, DEFINITION) as store:
        while free:
            idle = sorted(free - {r.key for r in store.running()})
            wanted = dice.sample(idle, k=min(10, len(idle)))
            mine = store.claim(
                [(key, {"i": int(key)}) for key in wanted], owner=owner, lease_s=3600
            )
            fatal = dice.choice(mine) if mine and dice.random() < deaths else None
            for key in mine:
                note(acks, event="start", key=key, owner=owner, at=time.monotonic())
                if key == fatal:
                    die_soon(dice)
                done = store.record(
                    key, {"i": int(key)}, metrics={"up": int(key) * 0.5}, origin="proposed"
                )
                note(
                    acks,
                    event="done",
                    key=key,
                    owner=owner,
                    at=time.monotonic(),
                    number=done.number,
                )
            if not mine:
                time.sleep(0.01)  # the others hold what is left
            news = store.records(after=seen)
            free -= {r.key for r in news}
            seen += len(news)


def die_soon(dice: random.Random) -> None:
    """SIGKILL from outside Python's sight, now or in the middle of the next write."""
    delay = dice.random() * 0.01
    if os.fork() == 0:
        time.sleep(delay)
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)


if __name__ == "__main__":
    mode, study, acks_path, budget_text, last = sys.argv[1:]
    acks_file = os.open(acks_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        programs = {"solo": solo, "search": search, "swarm": swarm}
        programs[mode](
            study, acks_file, int(budget_text), float(last) if mode == "swarm" else int(last)
        )
    except BadInput as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"interrupted; to go on: {' '.join(sys.argv)}", file=sys.stderr)
        sys.exit(130)
