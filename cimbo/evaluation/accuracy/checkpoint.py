"""Accuracy of a user's own checkpoint on their own images or sentences: real, resumable, on a subset with its interval."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cimbo.errors import BadInput
from cimbo.evaluation import content
from cimbo.evaluation.accuracy.checkpoint_inputs import ImageInputs, SentenceInputs, inputs_of
from cimbo.evaluation.accuracy.largest_network import check_largest
from cimbo.supernets.array_instance import ACCURACY_GENES
from cimbo.supernets.elastic import set_effect
from cimbo.supernets.imagenet import UnreadableImage
from cimbo.supernets.measurement_log import Tally, wilson
from cimbo.supernets.ofa import BatchNorm
from cimbo.supernets.output_noise import noise_of_chip
from cimbo.supernets.published_weights import CHECKPOINT_FORMATS, elastic

#: What the genes of these networks begin with; all others are of the chip.
SUBNET_GENE_PREFIXES = (
    "resolution",
    "depth",
    "embed",
    "width",
    "kernel",
    "expand",
    "heads",
    "ffn",
    "mlp",
)


PRECISIONS, DEVICES = ("float32", "bfloat16"), ("cpu", "cuda")
# Of which checkpoints the largest network was timed or measured by this process, and what was expected
CHECKED_LARGEST: set[tuple[str, float | None]] = set()


@dataclass(frozen=True)
class CheckpointAccuracy:
    """Top-1 accuracy in percent of sub-networks of ``weights`` on the images of ``data``; of BERT, on its sentences.

    ``images`` of them, drawn once with ``seed``, serve the search ("validation"), ``test_images`` others the end ("test").
    Batch norm is calibrated for every sub-network on ``calibration`` training images, or on images that serve neither.
    Images are prepared as the files beside the weights say (:mod:`cimbo.supernets.preprocessing`); ``normalise``, ``crop`` and
    ``interpolation`` overrule them. Where ``expect`` is given, `check` measures the largest network, and refuses weights that
    miss it by more than TOLERATED_MISS points and the interval of the images. ``precision`` is "float32" or "bfloat16",
    ``device`` "cpu" or "cuda". Batches already answered are
    read from ``cache``, a file that several processes share. Of the chip, the arrays act on the
    accuracy, as noise of the size that they cause (:class:`cimbo.supernets.output_noise.OutputNoise`).
    Raises BadInput for options that cannot be used.
    """

    network: str
    weights: str
    data: str
    images: int = 2000
    test_images: int = 10_000
    calibration: int = 256
    batch: int = 16
    seed: int = 0
    normalise: str = ""
    crop: float | None = None
    interpolation: str = ""
    expect: float | None = None
    precision: str = "float32"
    device: str = "cpu"
    cache: str = "imagenet-cache.jsonl"
    genes: tuple[str, ...] = ACCURACY_GENES

    def __post_init__(self) -> None:
        for name in ("images", "test_images", "calibration", "batch"):
            if getattr(self, name) < 1:
                raise BadInput(
                    f"network.options.{name}",
                    f"is {getattr(self, name)}",
                    "give a number of at least 1",
                )
        choices = (("precision", PRECISIONS), ("device", DEVICES))
        for name, known in choices:
            value = getattr(self, name)
            if value not in known:
                todo = f"use {' or '.join(known)}"
                raise BadInput(f"--{name}", f"is {value!r}", todo)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BadInput("--device", "cuda is not there", "use cpu")
        if self.network not in CHECKPOINT_FORMATS:
            raise BadInput(
                "--weights",
                f"{self.network} has no loader",
                f"use a network among {', '.join(CHECKPOINT_FORMATS)}",
            )
        if not Path(self.weights).exists():
            raise BadInput(self.weights, "is no file", "name the checkpoint with --weights")
        if not Path(self.data).is_dir():
            raise BadInput(self.data, "is no folder", "name the images with --data")
        _ = self.inputs

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Measures the accuracy of a design; an interrupted one goes on from its last batch.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" for the search, "test" at the end.

        Returns:
            Percent of the part's images that could be read.

        Raises:
            BadInput: When no image can be read.
        """
        right, count = self._counted(design, part, 0, len(self.parts[part]))
        if not count:
            raise BadInput(self.data, "holds no image that can be read", "replace the files")
        return 100 * right / count

    def image_count(self) -> int:
        """Counts the validation images."""
        return len(self.parts["validation"])

    @property
    def images_at_once(self) -> int:
        """Stages end with a batch: each batch has one draw of the noise, whatever the stages."""
        return self.batch

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Counts the validation images of a stretch that are classified rightly.

        Args:
            design: Genes of a network and of a chip.
            first: Place of the first image, a multiple of the batch.
            last: Place of the image after the last.

        Returns:
            How many are right.

        Raises:
            BadInput: When an image cannot be read: stages would count it, and `measure` does not.
        """
        right, count = self._counted(design, "validation", first, last)
        if count < last - first:
            what = f"has {last - first - count} files that cannot be read, and stages need all"
            raise BadInput(self.data, what, "replace them, or leave out [[fidelity]]")
        return right

    def _counted(
        self, design: Mapping[str, Any], part: str, first: int, last: int
    ) -> tuple[int, int]:
        """Count right answers batch by batch; those known already are not asked for again.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" or "test".
            first: Place of the first image, a multiple of the batch.
            last: Place of the image after the last.

        Returns:
            How many images are right, and how many can be read.
        """
        index = self.parts[part][:last]
        tally, key = Tally(Path(self.cache)), self._key(design, part)
        known, is_ready = tally.known(key), False
        all_right = all_count = 0
        for start in range(first, last, self.batch):
            if start not in known:
                if not is_ready:
                    self._calibrate(design)
                    is_ready = True
                batch = index[start : start + self.batch]
                known[start] = self._right_of_readable(design, batch, f"{part} {start}")
                tally.add(key, start, *known[start])
            right, count = known[start]
            all_right += right
            all_count += count
        return all_right, all_count

    def _right_of_readable(
        self, design: Mapping[str, Any], batch: NDArray[np.int64], about: str
    ) -> tuple[int, int]:
        """Classify those examples of a batch that can be read; arguments as of `_right`.

        Returns:
            How many are right, and how many can be read.
        """
        try:
            return self._right(design, batch, about), len(batch)
        except UnreadableImage:
            readable = np.array(self.inputs.readable(self._source, batch.tolist()), np.int64)
        if not len(readable):
            return 0, 0
        return self._right(design, readable, about), len(readable)

    def check(self) -> None:
        """Loads weights and the list of images, and says on stderr how long a measurement takes.

        The largest network is measured where its accuracy is expected or published; once a process.

        Raises:
            BadInput: Weights and images cannot be used, or not together, or the largest network misses
                the expected accuracy.
        """
        _ = self._module, self.parts
        self.inputs.readable(self._source, self.parts["validation"][:1].tolist())  # needs a decoder
        _ = self._calibration
        about = (self._key({}, "largest"), self.expect)
        if about not in CHECKED_LARGEST:
            check_largest(self, self.network, self.expect)
            CHECKED_LARGEST.add(about)

    def seconds_of(self, design: Mapping[str, Any]) -> float:
        """Estimate how long a measurement takes: calibration, and all batches like the first.

        Args:
            design: Genes of a network and of a chip.

        Returns:
            Seconds on this machine, from running the first batch.
        """
        index = self.parts["validation"]
        batch = index[: self.batch]
        start = time.perf_counter()
        self._calibrate(design)
        calibrated = time.perf_counter()
        self._right_of_readable(design, batch, "timed")
        seconds_of_batch = time.perf_counter() - calibrated
        return calibrated - start + seconds_of_batch * len(index) / len(batch)

    @cached_property
    def inputs(self) -> ImageInputs | SentenceInputs:
        """What the network reads. Raises BadInput for a wrong setting, or a wrong file beside the weights."""
        weights = Path(self.weights)
        return inputs_of(self.network, weights, self.normalise, self.crop, self.interpolation)

    def interval(self, accuracy: float, part: str = "validation") -> tuple[float, float]:
        """Computes the 95 % confidence interval of a measured accuracy (Wilson's score interval).

        Args:
            accuracy: Percent, measured on all images of the part.
            part: "validation" or "test".

        Returns:
            Lower and upper end in percent.
        """
        count = len(self.parts[part])
        return wilson(accuracy / 100 * count, count)

    @cached_property
    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the images of "validation" and "test": drawn once, and disjoint.

        Raises:
            BadInput: When there are no more images than the search uses.
        """
        count = len(self._source.labels)
        order = np.random.default_rng(self.seed).permutation(count)
        if count < self.images + 1:
            raise BadInput(
                self.data,
                f"has {count} images",
                f"give more than the {self.images} that the search uses",
            )
        return {
            "validation": order[: self.images],
            "test": order[self.images :][: self.test_images],
        }  # never empty

    # ---- how ----------------------------------------------------------------------------------------------------------

    @property
    def _module(self) -> nn.Module:
        return _loaded(self.network, self.weights, self.device, content.digest(self.weights))

    @cached_property
    def _source(self) -> Any:
        root = Path(self.data)
        if (root / "val").is_dir():
            root = root / "val"
        return self.inputs.examples(root, self._module)

    @cached_property
    def _calibration(self) -> tuple[Any, NDArray[np.int64]]:
        """Images without need of a label: of the training set, else those that serve neither search nor test."""
        train = Path(self.data) / "train"
        images, first = self._source, self.images + self.test_images
        if train.is_dir():
            images, first = self.inputs.examples(train, self._module), 0
        order = np.random.default_rng(self.seed).permutation(len(images.labels))
        spare = order[first:]
        # With few images the statistics come from the test images too, but never from
        # those of the search.
        if len(spare) < min(self.calibration, 32):
            spare = order[self.images :]
        chosen = spare[: self.calibration]
        return images, np.array(self.inputs.readable(images, chosen.tolist()), np.int64)

    @torch.inference_mode()
    def _calibrate(self, design: Mapping[str, Any]) -> None:
        norms = [m for m in self._module.modules() if isinstance(m, BatchNorm)]
        if not norms:
            return
        set_effect(self._module, None)
        images, index = self._calibration
        for norm in norms:
            norm.found = []
        for start in range(0, len(index), self.batch):
            self._module(self._pixels(images, index[start : start + self.batch], design), design)
        for norm in norms:
            norm.settle()

    @torch.inference_mode()
    def _right(self, design: Mapping[str, Any], index: NDArray[np.int64], about: str) -> int:
        """Count the images that are classified correctly.

        Args:
            design: Genes of the sub-network and the chip.
            index: Numbers of the images.
            about: Names this part of the images. The seed of the chip's noise is made of it, so that
                a measurement that was interrupted gives the same result as one that was not.

        Returns:
            How many are correct.
        """
        seed = int.from_bytes(hashlib.blake2b(about.encode(), digest_size=4).digest(), "big")
        set_effect(self._module, noise_of_chip(design, seed))
        pixels = self._pixels(self._source, index, design)
        rounded = self.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16, enabled=rounded):
            logits = self._module(pixels, design)
        return int((logits.argmax(1).cpu().numpy() == self._source.labels[index]).sum())

    def _pixels(self, images: Any, index: NDArray[np.int64], design: Mapping[str, Any]) -> Tensor:
        """Inputs of images or sentences by number, where the network is."""
        return self.inputs.batch(images, index.tolist(), design).to(self.device)

    def _key(self, design: Mapping[str, Any], part: str) -> str:
        """Everything that decides the answers."""
        chip = {g: design[g] for g in self.genes if g in design}
        subnet = {}
        for k, v in design.items():
            if k.split("_")[0] in SUBNET_GENE_PREFIXES:
                subnet[k] = v
        about = [
            content.digest(self.weights),
            content.digest(self.data),
            part,
            self.seed,
            self.images,
            self.test_images,
            self.calibration,
            self.batch,
            self._preparation_key(),
            sorted(chip.items()),
            sorted(subnet.items()),
        ]
        return hashlib.blake2b(json.dumps(about).encode(), digest_size=12).hexdigest()

    def _preparation_key(self) -> str:
        found = self.inputs.key
        if self.precision != "float32":
            found = f"{found}, {self.precision}"
        return found

    def __getstate__(self) -> dict[str, Any]:
        state = {}
        for k, v in self.__dict__.items():
            if not k.startswith("_") and k not in ("parts", "inputs"):
                state[k] = v
        return state


@cache
def _loaded(network: str, weights: str, device: str, digest: str) -> nn.Module:
    """Once a process, and again when the file's ``digest`` is another; workers stay alive between evaluations."""
    return elastic(network, Path(weights)).to(device)
