"""The equivalent-noise form of arrays' errors beside the exact, per-row-block one, and both beside aihwkit's own simulation.

    python benchmarks/nonideal.py pairs [--count 30] [--images 1000]     random sub-network x chip pairs
    python benchmarks/nonideal.py hard [--images 1500]                   the CNN on chips of few bits and many rows
    python benchmarks/nonideal.py fixed [--count 6] [--images 500]       converters of fixed full scale
    python benchmarks/nonideal.py cost [--images 5000] [--turns 5]       CPU time beside a clean evaluation
    python benchmarks/nonideal.py aihwkit                                one layer; needs aihwkit (pip install --no-deps)
    python benchmarks/nonideal.py tune FOLDER [--images 8000]            short trainings, quiet and under noise, to FOLDER
    python benchmarks/nonideal.py tuned FOLDER [--images 1000]           what the training under noise wins back

Each writes its part of nonideal.json beside this file. Accuracies in percent of the first ``--images`` validation images, the
same ones for both forms; ``sampling_error`` is the standard error of their difference, from the images on which they differ.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cimbo import _data
from cimbo.evaluation.accuracy import shipped as source
from cimbo.hardware import BASELINE_CHIP, chip_choices
from cimbo.hardware.array_description import describe_array
from cimbo.problem.space import SearchSpace
from cimbo.supernets.array_instance import ACCURACY_GENES, arrays, with_ideal_converters
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.die import Die
from cimbo.supernets.equivalent_noise import equivalent_noise
from cimbo.supernets.images import training_and_validation
from cimbo.supernets.measurement import deployed, logits
from cimbo.supernets.output_noise import signal_to_noise_db
from cimbo.supernets.recipes import load, save
from cimbo.supernets.training import Recipe, train
from cimbo.workloads import network

NAMES = ("fmnist-vit", "fmnist-mobilenet")
CALIBRATION = 100  # images on which either form is calibrated here
RESULTS = Path(__file__).parent / "nonideal.json"


def keep(part: str, figures: Any) -> None:
    """Store ``figures`` as ``part`` of the results, and print them."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {part: figures}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def right(name: str, design: dict, count: int, *, exact: bool) -> tuple[Tensor, float]:
    """Which of the first ``count`` validation images are classified rightly on one die, and the CPU seconds that took.

    Both forms meet the same die, and the same CALIBRATION images set their batch norms and converters.
    """
    start = time.process_time()
    chip = arrays(design, seed=1, ideal=False)
    images, labels = (part[:count] for part in source.examples(name, "validation"))
    calibration = source.examples(name, "calibration")[0][:CALIBRATION]
    die = Die(chip, 0, exact=exact) if chip else None
    with torch.inference_mode():
        ready = deployed(source.supernetwork(name), design, calibration, die)
        hits = logits(ready, images).argmax(1) == labels
    return hits, time.process_time() - start


def compared(name: str, design: dict, count: int) -> dict[str, Any]:
    """One pair: its accuracy in both forms."""
    (equivalent, fast), (exact, slow) = (right(name, design, count, exact=e) for e in (False, True))
    differ = int((equivalent != exact).sum())
    return {
        "network": name,
        "chip": {g: design[g] for g in ACCURACY_GENES if g in design},
        "equivalent": round(100 * equivalent.double().mean().item(), 2),
        "exact": round(100 * exact.double().mean().item(), 2),
        "sampling_error": round(100 * differ**0.5 / count, 2),
        "cpu_seconds": [round(fast, 2), round(slow, 2)],
    }


def random_pairs(count: int, seed: int, fixed: dict) -> list[tuple[str, dict]]:
    """Sub-networks of either super-network in turn, on analog chips of the extended space."""
    rng, found = np.random.default_rng(seed), []
    genes = [c for c in chip_choices(extended=True) if c.name in ACCURACY_GENES]
    for i in range(count):
        space = SearchSpace(network(NAMES[i % 2]).choices())
        chip = {c.name: c.values[rng.integers(len(c.values))] for c in genes}
        if chip["array"] == "digital_sram":
            chip["array"] = "analog_sram"
        found.append(
            (NAMES[i % 2], {**space.designs(space.random_rows(1, rng))[0], **chip, **fixed})
        )
    return found


def hard_pairs() -> list[tuple[str, dict]]:
    """fmnist-mobilenet on chips whose errors cost points: its largest sub-network and nine random ones."""
    name, rng = "fmnist-mobilenet", np.random.default_rng(11)
    space = SearchSpace(network(name).choices())
    subnets = [network(name).largest(), *space.designs(space.random_rows(9, rng))]
    chips = [
        (4, 2, 2, "analog_sram"),
        (4, 1, 4, "analog_sram"),
        (5, 2, 4, "rram"),
        (4, 2, 4, "rram"),
        (5, 2, 2, "analog_sram"),
        (4, 2, 4, "analog_sram"),
        (4, 2, 2, "analog_sram"),
        (4, 2, 4, "rram"),
        (5, 2, 4, "analog_sram"),
        (4, 1, 4, "rram"),
    ]
    genes = ("adc_bits", "cell_bits", "dac_bits", "array")
    return [
        (name, {**s, **dict(zip(genes, c, strict=True)), "rows": 256})
        for s, c in zip(subnets, chips, strict=True)
    ]


def by_family(pairs: list[dict]) -> dict[str, dict[str, float]]:
    """Of each network on each family of arrays: pairs, mean and root mean square difference, and those within .5 points."""
    found: dict[str, dict[str, float]] = {}
    for family in sorted({(p["network"], p["chip"]["array"]) for p in pairs}):
        own = [p for p in pairs if (p["network"], p["chip"]["array"]) == family]
        off = np.array([p["equivalent"] - p["exact"] for p in own])
        found[" on ".join(family)] = {
            "pairs": len(own),
            "mean": round(float(off.mean()), 2),
            "rms": round(float((off**2).mean() ** 0.5), 2),
            "rms_of_sampling": round(
                float(np.mean([p["sampling_error"] ** 2 for p in own]) ** 0.5), 2
            ),
            "within_half_a_point": int((abs(off) <= 0.5).sum()),
        }
    return found


def summary(pairs: list[dict], images: int) -> dict[str, Any]:
    """Median and worst difference of the two forms, and the pairs themselves."""
    off = np.array([p["equivalent"] - p["exact"] for p in pairs])
    error = np.array([p["sampling_error"] for p in pairs])
    return {
        "images": images,
        "median_difference": float(np.median(abs(off))),
        "worst_difference": float(abs(off).max()),
        "mean_signed_difference": float(off.mean()),
        "within_half_a_point": int((abs(off) <= 0.5).sum()),
        "within_one_and_a_half": int((abs(off) <= 1.5).sum()),
        "within_one_and_a_half_and_two_sampling_errors": int((abs(off) <= 1.5 + 2 * error).sum()),
        "beyond_two_sampling_errors": int((abs(off) > 2 * error).sum()),
        "by_family": by_family(pairs),
        "within_half_a_point_and_two_sampling_errors": int((abs(off) <= 0.5 + 2 * error).sum()),
        "median_sampling_error": float(np.median(error)),
        # What the forms differ by beyond the images and the drawn noise: root mean square, with what sampling alone explains.
        "rms_difference": float(np.sqrt((off**2).mean())),
        "rms_of_sampling_alone": float(np.sqrt((error**2).mean())),
        "median_cpu_ratio_exact_to_equivalent": float(
            np.median([p["cpu_seconds"][1] / p["cpu_seconds"][0] for p in pairs])
        ),
        "pairs": pairs,
    }


def run_pairs(part: str, pairs: list[tuple[str, dict]], images: int) -> None:
    """Store after every pair; the same command goes on where a run was cut off."""
    known = json.loads(RESULTS.read_text()).get(part, {}) if RESULTS.exists() else {}
    found: list[dict] = known.get("pairs", []) if known.get("images") == images else []
    for name, design in pairs[len(found) :]:
        found.append(compared(name, design, images))
        keep(part, summary(found, images))


def seconds(name: str, design: dict, images: int) -> float:
    """CPU seconds of one measurement as a search makes it, calibration by all of its 1,000 images included."""
    start = time.process_time()
    source.ShippedAccuracy(name, "described").measure(design, images=images)
    return time.process_time() - start


def cost(images: int, turns: int) -> None:
    """CPU time of a measurement on a chip as a multiple of a clean one's; medians of some turns of all."""
    figures: dict[str, Any] = {
        "images": images,
        "threads": torch.get_num_threads(),
        "turns": turns,
    }
    chips = {
        "clean": {},
        "analog": {"adc_bits": 5, "rows": 128},
        "rram": {"adc_bits": 5, "rows": 128, "array": "rram"},
    }
    for name in NAMES:
        space = SearchSpace(network(name).choices())
        subnets = {
            "largest": network(name).largest(),
            "random": space.designs(space.random_rows(1, np.random.default_rng(0)))[0],
        }
        for size, subnet in subnets.items():
            taken = [
                {k: seconds(name, subnet | c, images) for k, c in chips.items()}
                for _ in range(turns)
            ]
            medians = {k: float(np.median([t[k] for t in taken])) for k in chips}
            ratios = {f"{k}_to_clean": medians[k] / medians["clean"] for k in chips if k != "clean"}
            figures[f"{name}, {size}"] = {"cpu_seconds": medians} | ratios
    keep("cost", figures)


# ---- aihwkit ---------------------------------------------------------------------------------------------------------


def layer_of_aihwkit(
    weight: Tensor, bits: int, rows: int, half: float
) -> Callable[[Tensor], Tensor]:
    """A layer of aihwkit's TorchInference tiles: blocks of ``rows`` rows, converters of ``bits`` bits over +-``half``."""
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import (
        BoundManagementType,
        NoiseManagementType,
        WeightNoiseType,
    )

    setup = TorchInferenceRPUConfig()
    setup.mapping.max_input_size, setup.mapping.max_output_size = rows, 0
    setup.mapping.weight_scaling_omega = 0.0  # weights as they are
    setup.forward.is_perfect = False
    setup.forward.inp_bound, setup.forward.inp_res = float("inf"), -1.0
    setup.forward.noise_management, setup.forward.bound_management = (
        NoiseManagementType.NONE,
        BoundManagementType.NONE,
    )
    setup.forward.out_noise, setup.forward.w_noise_type = 0.0, WeightNoiseType.NONE
    setup.forward.out_bound, setup.forward.out_res = (
        half,
        1.0 / 2**bits,
    )  # a share of the whole range of 2 * half
    layer = AnalogLinear(weight.shape[1], weight.shape[0], bias=False, rpu_config=setup)
    layer.set_weights(weight)
    return layer.eval()


def aihwkit() -> None:
    """One layer on Gaussian data, converters of one range in both: what each delivers, against the float product."""
    torch.manual_seed(2)
    inputs, weight, rows = torch.randn(197, 768), torch.randn(256, 768) / 768**0.5, 256
    figures = []
    for bits in (4, 5, 6, 8):
        # aihwkit rounds sums only: nothing is sliced or rounded here.
        whole = {"cell_bits": 16, "dac_bits": 16, "weight_bits": 16, "act_bits": 16}
        chip = with_ideal_converters(describe_array({"adc_bits": bits, "rows": rows, **whole}))
        ours = BitAccurateMVM(chip, weight[None], torch.Generator(), shared_range=False)
        ours.calibrate(inputs[None])
        found = equivalent_noise(ours, inputs[None])
        half = (
            4
            * torch.stack(
                [inputs[:, b : b + rows] @ weight[:, b : b + rows].T for b in (0, 256, 512)]
            )
            .std()
            .item()
        )
        plain, exact = inputs @ weight.T, ours(inputs[None])[0]
        equivalent = (
            found.gain * plain + found.offset + found.errors.std(0) * torch.randn(plain.shape)
        )
        with torch.no_grad():
            theirs = layer_of_aihwkit(weight, bits, rows, half)(inputs)
        figures.append(
            {
                "adc_bits": bits,
                "snr_db": {
                    k: round(signal_to_noise_db(plain, v), 2)
                    for k, v in (("exact", exact), ("equivalent", equivalent), ("aihwkit", theirs))
                },
                "rms_exact_to_aihwkit_in_steps": round(
                    (exact - theirs).square().mean().sqrt().item() / (2 * half / 2**bits), 3
                ),
            }
        )
    keep("aihwkit", {"layer": [197, 768, 256], "rows": rows, "points": figures})


# ---- noise-aware training --------------------------------------------------------------------------------------------

TRAINED = "fmnist-mobilenet"  # the network that is trained here
HARD = {
    "adc_bits": 4,
    "rows": 256,
    "cell_bits": 2,
    "dac_bits": 4,
}  # a chip on which the CNN suffers


def tune(out: Path, count: int, folder: Path) -> None:
    """Two epochs of the shipped fmnist-mobilenet on ``count`` images, once quiet and once under HARD's noise, to ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    name = "fmnist-mobilenet"
    images = training_and_validation(folder)[0].take(np.arange(count))
    for kind, noise in (("quiet", {}), ("noisy", HARD)):
        start = time.process_time()
        network_ = load(name, _data.path(f"supernets/{name}.safetensors"))
        recipe = Recipe(
            epochs=2, learning_rate=5e-4, random_subnets=1, distil_after=0.01, average=0.98, **noise
        )
        *_, last = train(network_, network(name).choices(), images, recipe)
        save(last.network, out / f"{kind}.safetensors", {"supernet": name})
        keep(
            f"training_{kind}",
            {"images": count, "recipe": asdict(recipe), "cpu_seconds": time.process_time() - start},
        )


def tuned(folder: Path, images: int) -> None:
    """Test accuracies of fmnist-mobilenet as shipped and after either training of :func:`tune`, on HARD and without error."""
    name, family = "fmnist-mobilenet", network("fmnist-mobilenet")
    space = SearchSpace(family.choices())
    subnets = [
        family.largest(),
        family.smallest(),
        *space.designs(space.random_rows(4, np.random.default_rng(3))),
    ]
    nets = {"shipped": source.supernetwork(name)} | {
        k: load(name, folder / f"{k}.safetensors") for k in ("quiet", "noisy")
    }
    chips = {"digital": {"array": "digital_sram"}, "hard": HARD}
    figures: dict[str, Any] = {"test_images": images, "training": tune.__doc__, "chips": chips}
    for label, chip in chips.items():
        figures[label] = {
            k: [on_test(net, s, chip, images) for s in subnets] for k, net in nets.items()
        }
        figures[label] |= {f"mean_{k}": round(float(np.mean(figures[label][k])), 2) for k in nets}
    keep("noise_aware_training", figures)


def on_test(net: torch.nn.Module, subnet: dict, chip: dict, images: int) -> float:
    """Accuracy in percent of the first ``images`` test images, in the equivalent form on one die."""
    setting = arrays(BASELINE_CHIP | chip, 1, ideal=True)
    pixels, labels = (part[:images] for part in source.examples(TRAINED, "test"))
    with torch.inference_mode():
        ready = deployed(
            net,
            subnet,
            source.examples(TRAINED, "calibration")[0],
            Die(setting) if setting else None,
        )
        return round(100 * (logits(ready, pixels).argmax(1) == labels).double().mean().item(), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "what", choices=["pairs", "hard", "fixed", "cost", "aihwkit", "tune", "tuned"]
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=5, help="of which the medians count")
    given = parser.parse_args()
    torch.set_num_threads(1)
    {
        "pairs": lambda: run_pairs("pairs", random_pairs(given.count, 5, {}), given.images),
        "hard": lambda: run_pairs("hard_pairs", hard_pairs(), given.images),
        "fixed": lambda: run_pairs(
            "fixed_range", random_pairs(given.count, 5, {"adc_range": "fixed"}), given.images
        ),
        "cost": lambda: cost(given.images, given.turns),
        "aihwkit": aihwkit,
        "tune": lambda: tune(given.folder, given.images, given.data),
        "tuned": lambda: tuned(given.folder, given.images),
    }[given.what]()
