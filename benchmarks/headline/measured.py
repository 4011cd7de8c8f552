r"""The headline with chips that err and digital arrays: speed-up at the baseline's accuracy, each side alone and together.

    python benchmarks/headline/measured.py fmnist-vit [--budgets 24,40,60] [--minutes 40]
    python benchmarks/headline/measured.py fmnist-mobilenet
    python benchmarks/headline/measured.py reviews-minilm --within 0.5 --margin 0.25 --budgets 24 \
        --sides joint,hardware,architecture,precision --digital --products whole

Three groups of genes: the network's, the chip's, and the bits of every block or stage (4, 5, 6 or 8; 8 where they are not
searched). Five searches a seed, of equal budget: each group alone, network and chip, all three. Converters err as described
(.3 LSB of noise, non-linearity, offsets); digital arrays are allowed, and the baseline is one. The objective is latency; the
accuracy is a constraint, aimed --margin points above what counts.

What counts: accuracy within --within points of the baseline's on all 10,000 test images in the exact form, and --margin points
closer on the SEARCH_IMAGES validation images that it is chosen on; area within the study's limit. On digital arrays the exact
form is what is measured; an analog design is measured under equivalent noise on all test images, and what the exact form
changes on the first EXACT_IMAGES is added. The fastest designs of a side are asked one after another until one holds
(``tried``), MOST_TRIED at most.

Every accuracy is measured once for all seeds and searches (``--work``/accuracies.jsonl); digital chips of any size share
it. A network that lacks more than HOPELESS points on the first FIRST_IMAGES, the baseline being asked the same ones, is not
measured further: its estimate can only say that it does not count. What a wider search found serves the narrower sides of its
seed, never the other way round. A budget is completed for all seeds before the next begins; PRESET.json is written after each.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from searching import EVALUATOR_FIELDS, RecordedEvaluator, advance, fastest_at, open_study

from cimbo import Study
from cimbo.analysis import attribution
from cimbo.config.study_config import Config, load
from cimbo.evaluation.array_forms import is_exact_as_measured
from cimbo.problem.objectives import Problem
from cimbo.session.context import StudyContext
from cimbo.storage import Record
from cimbo.workloads.precision import is_precision_gene

HERE = Path(__file__).parent
SEARCH_IMAGES = 2000  # of the 5,000 validation images, that a search looks at
FIRST_IMAGES = 500
HOPELESS = 2.5  # points beyond what may be lacking, some three sampling errors of FIRST_IMAGES
EXACT_IMAGES = 500
MOST_TRIED = 8
SIDES = {
    "joint with precision": ("architecture", "hardware", "precision"),
    "joint": ("architecture", "hardware"),
    "hardware": ("hardware",),
    "architecture": ("architecture",),
    "precision": ("precision",),
}
DIGITAL_ARRAY = "digital_sram"
NARROW_SIDES = ("architecture", "hardware", "precision")
WIDER = {
    "joint with precision": (),
    "joint": ("joint with precision",),
    "hardware": ("joint", "joint with precision"),
    "architecture": ("joint", "joint with precision"),
    "precision": ("joint with precision",),
}
HELD = {"accuracy, area": ("area_mm2",), "accuracy, area, energy": ("area_mm2", "energy_uj")}
STUDY = """extends = "{preset}"
[network]
precision = "stage"
stage_bits = [4, 5, 6, 8]
[network.options]
products = "{products}"
[hardware.genes]
tree_bits = {{ values = [2, 4, 8], active_if = {{ array = ["digital_sram"] }} }}
[baseline]
tree_bits = 8
"""


@dataclass
class Shared(RecordedEvaluator):
    """Measures every accuracy once for all seeds, searches and runs."""

    least: float = 0.0  # accuracy on the first images below which there is no hope
    at_first: float = 0.0  # of the baseline on these
    whole: float = 0.0  # of the baseline on all

    def genes_that_count(self, design: Mapping[str, Any]) -> dict[str, Any]:
        """The genes that a measurement depends on; digital chips differ in nothing that it depends on."""
        genes = super().genes_that_count(design)
        if not is_exact_as_measured(self.chip_of(design)):
            return genes
        inside = {*self._architecture, "array", "weight_bits", "act_bits", "signed_inputs"}
        return {k: v for k, v in genes.items() if k in inside}

    def accuracy_of(self, design: dict[str, Any]) -> float:
        full = {**self.fixed, **design}
        source: Any = self._accuracy

        def measured() -> float:
            last = min(SEARCH_IMAGES, source.image_count())
            right = source.count_right(full, 0, FIRST_IMAGES)
            first = 100.0 * right / FIRST_IMAGES
            if first < self.least:
                return float(self.whole + first - self.at_first)
            right += source.count_right(full, FIRST_IMAGES, last)
            return float(100.0 * right / last)

        return float(self.once("validation", design, measured))

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"accuracy": self.accuracy_of(design), **self.simulated(design)}

    def on_test(self, design: Mapping[str, Any]) -> float:
        """In the exact form."""
        full = {**self.fixed, **design}
        source: Any = self._accuracy
        noise = self.once("test", design, lambda: source.measure(full, "test"))
        if is_exact_as_measured(self.chip_of(design)):
            return float(noise)
        change = self.once(
            "exact", design, lambda: list(vars(self.compare_forms(design, EXACT_IMAGES)).values())
        )
        return float(noise + change[0])


@dataclass(frozen=True)
class Case:
    """A preset with its baseline, and where its studies lie."""

    config: Config
    problem: Problem
    evaluator: Shared
    baseline: dict[str, Any]
    metrics: Mapping[str, float]
    work: Path
    digital: bool = False  # whether chips with converters are left out

    @property
    def aim(self) -> float:
        """Accuracy on validation images that searches aim at, and that a winner has."""
        return next(c.bound for c in self.problem.constraints if c.metric == "accuracy")

    def group(self, gene: str) -> str:
        if is_precision_gene(gene):
            return "precision"
        names = {c.name for c in self.problem.space.architecture}
        return "architecture" if gene in names else "hardware"

    def fixed(self, side: str) -> dict[str, Any]:
        """The genes that a search of this side leaves as the baseline has them."""
        fixed = {k: v for k, v in self.baseline.items() if self.group(k) not in SIDES[side]}
        if self.digital:
            fixed["array"] = DIGITAL_ARRAY
        return fixed

    def study(self, seed: int, side: str) -> Study:
        file = self.work / f"{seed}-{side.replace(' ', '-')}.db"
        return open_study(file, self.problem, self.config, seed)

    def of_side(self, side: str, params: Mapping[str, Any]) -> bool:
        """Whether a design leaves the other groups as the baseline has them; blocks that it lacks have no bits."""
        for gene in self.problem.space.names:
            group = self.group(gene)
            if group in SIDES[side] or (group == "precision" and gene not in params):
                continue
            if params.get(gene) != self.baseline.get(gene):
                return False
        return True


def study_file(work: Path, name: str, products: str) -> Path:
    """Writes the study of a preset into a folder of its own; see `--products`."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / "study.toml"
    file.write_text(STUDY.format(preset=name, products=products))
    return file


def case(file: Path, within: float, margin: float) -> Case:
    """The study of a file with its baseline measured; what belongs to it lies beside the file."""
    work, config = file.parent, load(file)
    plain: Any = config.evaluator()
    settings = {name: getattr(plain, name) for name in (*EVALUATOR_FIELDS, "stage_bits")}
    evaluator = Shared(**settings, file=work / "accuracies.jsonl")
    evaluator.load()
    space = config.problem.space
    params = space.canonical(evaluator._family.largest() | config.baseline())
    metrics = evaluator(params)
    source: Any = evaluator._accuracy
    evaluator.at_first = evaluator.once(
        "first", params, lambda: source.measure(params, images=FIRST_IMAGES)
    )
    evaluator.whole = metrics["accuracy"]
    evaluator.least = evaluator.at_first - within - HOPELESS
    aim = metrics["accuracy"] - within + margin
    problem = fastest_at(config, aim, metrics["latency_ms"])
    return Case(config, problem, evaluator, params, metrics, work)


def search(case: Case, seed: int, side: str, budget: int, until: float) -> bool:
    """Bring one search to ``budget`` evaluations; False when the time is up before."""
    with case.study(seed, side) as whole:
        study = whole.with_constraints(fixed=case.fixed(side))
        context = StudyContext(study, case.config, shared_evaluator=case.evaluator)
        return advance(context, (case.baseline, case.metrics), budget, until)


# ---- what a side comes to --------------------------------------------------------------------------------------------


def records(case: Case, seed: int, side: str, budget: int) -> Sequence[Record]:
    with case.study(seed, side) as study:
        return [r for r in study.evaluations()[:budget] if r.status == "done"]


def points(
    case: Case, side: str, found: Iterable[Record]
) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """Designs of a side with their metrics, fastest first: those found, and their networks on each other's digital chips."""
    designs = {json.dumps(case.baseline, sort_keys=True): (case.baseline, case.metrics["accuracy"])}
    networks, chips = [(case.baseline, case.metrics["accuracy"])], [case.baseline]
    for record in found:
        params, accuracy = record.params, record.metrics["accuracy"]
        designs[json.dumps(params, sort_keys=True)] = (params, accuracy)
        if is_exact_as_measured(case.evaluator.chip_of(params)):
            networks.append((params, accuracy))
            chips.append(params)
    aim = case.metrics["accuracy"] - 1.0  # pairs of less accurate networks are never asked for
    for network, accuracy in networks:
        mine = {k: v for k, v in network.items() if case.group(k) != "hardware"}
        for chip in chips if accuracy >= aim else ():
            pair = {**mine, **{k: v for k, v in chip.items() if case.group(k) == "hardware"}}
            designs.setdefault(json.dumps(pair, sort_keys=True), (pair, accuracy))
    kept = [(d, a) for d, a in designs.values() if case.of_side(side, d)]
    costs = case.evaluator.costs([d for d, _ in kept])
    rows = []
    for i, (design, accuracy) in enumerate(kept):
        rows.append((design, {"accuracy": accuracy} | {k: float(v[i]) for k, v in costs.items()}))
    return sorted(rows, key=lambda row: row[1]["latency_ms"])


def winner(case: Case, rows: Sequence[Any], held: Sequence[str], within: float) -> dict[str, Any]:
    """The fastest design that holds on validation and on test images."""
    tried = set()
    base, aim = case.metrics, case.aim
    limits = case.config.problem.constraints
    for design, metrics in rows:
        if metrics["accuracy"] < aim:
            continue
        if any(metrics[m] > base[m] * (1 + 1e-9) for m in held):
            continue
        if not all(c.holds(metrics) for c in limits if c.metric in metrics):
            continue
        key = case.evaluator.asked("test", design)
        if key not in tried and len(tried) >= MOST_TRIED:
            break
        tried.add(key)
        test = case.evaluator.on_test(design)
        if design == case.baseline or test >= case.evaluator.on_test(case.baseline) - within:
            about = {**metrics, "accuracy_test_exact": test}
            return {"params": design, "metrics": about, "tried": len(tried)}
    about = {**base, "accuracy_test_exact": case.evaluator.on_test(case.baseline)}
    return {"params": case.baseline, "metrics": about, "tried": len(tried)}


def table(
    case: Case, asked: argparse.Namespace, budget: int, sides: Sequence[str]
) -> list[dict[str, Any]]:
    rows = []
    within = asked.within
    for side in sides:
        serving = [side, *(wider for wider in WIDER[side] if wider in sides)]
        listed = []
        for seed in range(asked.seeds):
            found = [r for name in serving for r in records(case, seed, name, budget)]
            listed.append(points(case, side, found))
        for held, metrics in HELD.items():
            best = [winner(case, each, metrics, within) for each in listed]
            gains = [case.metrics["latency_ms"] / b["metrics"]["latency_ms"] for b in best]
            interval = attribution.over_seeds(gains)
            low, high = interval.low, interval.high
            if len(gains) < 2:
                low = high = None  # one seed says nothing of others
            rows.append(
                {
                    "held": held,
                    "side": side,
                    "speedup": interval.mean,
                    "low": low,
                    "high": high,
                    "each": gains,
                    "energy_gain": float(
                        np.exp(
                            np.mean(
                                [
                                    np.log(case.metrics["energy_uj"] / b["metrics"]["energy_uj"])
                                    for b in best
                                ]
                            )
                        )
                    ),
                    "tried": [b["tried"] for b in best],
                    "points": [{"params": b["params"], "metrics": b["metrics"]} for b in best],
                }
            )
    return rows


def asked_of_several_seeds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are intervals to compare."""
    return all(row["low"] is not None for row in rows)


def verdicts(rows: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """What was asked, at the baseline's accuracy and area, of the sides that were searched."""
    row = {r["side"]: r for r in rows if r["held"] == "accuracy, area"}
    found = {}
    for side in ("joint", "joint with precision"):
        if side in row:
            found[f"{side} at least 3.1x"] = row[side]["speedup"] >= 3.1
    if "architecture" in row:
        found["architecture alone at least 1.7x"] = row["architecture"]["speedup"] >= 1.7
    alone = [row[side]["high"] for side in NARROW_SIDES if side in row]
    widest = "joint with precision" if "joint with precision" in row else "joint"
    if widest in row and alone and asked_of_several_seeds(rows):
        name = f"{widest} beats any alone, intervals apart"
        found[name] = row[widest]["low"] > max(alone)
    return found


def write(asked: argparse.Namespace, case: Case, budget: int, rows: list[dict[str, Any]]) -> None:
    test = case.evaluator.on_test(case.baseline)
    document = {
        "command": f"python benchmarks/headline/measured.py {asked.preset} --seeds {asked.seeds} "
        f"--budgets {asked.budgets} --within {asked.within:g} --margin {asked.margin:g} "
        f"--sides '{asked.sides}'{' --digital' * asked.digital} --products {asked.products}",
        "accuracy": {"kind": "measured, exact form on test images"},
        "converters": "described",
        "budget_of_each_search": budget,
        "seeds": list(range(asked.seeds)),
        "within": asked.within,
        "measured_accuracies": len(case.evaluator.found),
        "cpu_minutes": round(time.process_time() / 60, 1),
        "baseline": {
            "params": case.baseline,
            "metrics": {**case.metrics, "accuracy_test_exact": test},
        },
        "speedups": rows,
        "asked": verdicts(rows),
    }
    (HERE / f"{asked.preset}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"{asked.preset}, {budget} evaluations of each search", flush=True)
    for r in rows:
        each = ", ".join(f"{v:.2f}" for v in r["each"])
        told = (
            f"{r['speedup']:6.2f}x [{shown(r['low'])}, {shown(r['high'])}]"
            f" energy {r['energy_gain']:.2f}x"
        )
        print(f"  {r['held']:24} {r['side']:21} {told}  {each}", flush=True)


def shown(end: float | None) -> str:
    """An end of an interval."""
    return "-" if end is None else f"{end:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--budgets", default="24,40,60", help="evaluations of each search, in stages"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--within", type=float, default=0.3)
    parser.add_argument("--margin", type=float, default=0.15)
    parser.add_argument("--work", type=Path, default=None, help="studies and measured accuracies")
    parser.add_argument(
        "--sides", default=",".join(SIDES), help="what is searched, with commas [%(default)s]"
    )
    parser.add_argument(
        "--digital", action="store_true", help="leave chips with converters out of all searches"
    )
    parser.add_argument(
        "--products",
        choices=("float", "whole"),
        default="float",
        help="whole: digital arrays are computed in whole numbers, several times as fast [float]",
    )
    asked = parser.parse_args()
    sides = asked.sides.split(",")
    until = time.monotonic() + 60 * asked.minutes
    file = study_file(asked.work or Path(f"measured-{asked.preset}"), asked.preset, asked.products)
    started = case(file, asked.within, asked.margin)
    started = replace(started, digital=asked.digital)
    for budget in map(int, asked.budgets.split(",")):
        for seed in range(asked.seeds):
            for side in sides:
                if not search(started, seed, side, budget, until):
                    print(f"time is up before {budget} evaluations of every search")
                    return
                print(f"seed {seed} {side} {budget}: {time.process_time():.0f} CPU-s", flush=True)
        write(asked, started, budget, table(started, asked, budget, sides))


if __name__ == "__main__":
    main()
