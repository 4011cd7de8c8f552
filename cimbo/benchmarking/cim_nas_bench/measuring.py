"""Makes a measurement of CIM-NAS-Bench; the result depends only on what is asked for."""

from __future__ import annotations

import time

import torch

from cimbo.benchmarking.cim_nas_bench.measurements import Measurement
from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.supernets.array_instance import arrays
from cimbo.supernets.die import Die
from cimbo.supernets.measurement import deployed, logits

N_CALIBRATION_IMAGES = 250


def measure(asked: Measurement) -> tuple[int, float]:
    """Makes a measurement.

    Args:
        asked: What is measured; what it says of an outcome is ignored.

    Returns:
        How many examples are classified rightly, and the CPU seconds that took.
    """
    start = time.process_time()
    conditions = ArrayConditions(**asked.noise)
    genes = {**asked.subnet, **asked.array}
    chip = arrays(genes, seed=0, ideal=False, conditions=conditions)
    images, labels = (tensor[: asked.images] for tensor in examples(asked.network, "test"))
    calibration = examples(asked.network, "calibration")[0][:N_CALIBRATION_IMAGES]
    die = None
    if chip is not None:
        die = Die(chip, asked.die, exact=asked.form == "exact")
    with torch.inference_mode():
        ready = deployed(supernetwork(asked.network), genes, calibration, die)
        right = int((logits(ready, images).argmax(1) == labels).sum())
    return right, time.process_time() - start
