"""Accuracy of a user's own checkpoint on a user's own images: real, resumable, on a subset with its confidence interval."""

from __future__ import annotations

import hashlib
import json
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
from cimbo.supernets import imagenet
from cimbo.supernets.array_instance import ACCURACY_GENES, arrays
from cimbo.supernets.elastic import ArrayNonideality, set_effect
from cimbo.supernets.imagenet import Arrays, Folder, UnreadableImage, prepared
from cimbo.supernets.measurement_log import Tally, wilson
from cimbo.supernets.ofa import BatchNorm
from cimbo.supernets.output_noise import OutputNoise
from cimbo.supernets.published_weights import CHECKPOINT_FORMATS, elastic

#: What the genes of these networks begin with; all others are of the chip.
SUBNET_GENE_PREFIXES = ("resolution", "depth", "width", "kernel", "expand", "heads", "ffn")


@dataclass(frozen=True)
class CheckpointAccuracy:
    """Top-1 accuracy in percent of sub-networks of ``weights`` on the images of ``data``.

    ``images`` of them, drawn once with ``seed``, serve the search ("validation"), ``test_images`` others the end ("test").
    Batch norm is calibrated for every sub-network on ``calibration`` training images, or on images that serve neither.
    ``normalise``: "imagenet" or "half" (mean and deviation 0.5, as ViT-B of Google wants). Batches already answered are
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
    normalise: str = "imagenet"
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
        if self.normalise not in imagenet.PIXEL_NORMALISATIONS:
            raise BadInput(
                "network.options.normalise",
                f"is {self.normalise!r}",
                f"use {' or '.join(imagenet.PIXEL_NORMALISATIONS)}",
            )
        if self.network not in CHECKPOINT_FORMATS:
            raise BadInput(
                "--weights",
                f"{self.network} has no loader",
                f"use a network among {', '.join(CHECKPOINT_FORMATS)}",
            )
        if not Path(self.weights).is_file():
            raise BadInput(self.weights, "is no file", "name the checkpoint with --weights")
        if not Path(self.data).is_dir():
            raise BadInput(self.data, "is no folder", "name the images with --data")

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
        index, tally, key = self.parts[part], Tally(Path(self.cache)), self._key(design, part)
        done, ready = tally.known(key), False
        for start in range(0, len(index), self.batch):
            if start in done:
                continue
            if not ready:
                self._calibrate(design)
                ready = True
            chosen = index[start : start + self.batch]
            try:
                right = self._right(design, chosen, f"{part} {start}")
            except UnreadableImage:
                chosen = np.array(imagenet.readable(self._source, chosen.tolist()), np.int64)
                if len(chosen):
                    right = self._right(design, chosen, f"{part} {start}")
                else:
                    right = 0
            tally.add(key, start, right, len(chosen))
            done[start] = (right, len(chosen))
        if not any(count for _, count in done.values()):
            raise BadInput(self.data, "holds no image that can be read", "replace the files")
        return 100 * sum(r for r, _ in done.values()) / sum(n for _, n in done.values())

    def check(self) -> None:
        """Loads weights and the list of images. Raises BadInput when they cannot be used, or not together."""
        _ = self._module, self.parts
        imagenet.readable(self._source, self.parts["validation"][:1].tolist())  # needs a decoder
        _ = self._calibration

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
        return _loaded(self.network, self.weights, content.digest(self.weights))

    @cached_property
    def _source(self) -> Folder | Arrays:
        root = Path(self.data)
        return imagenet.source(
            root / "val" if (root / "val").is_dir() else root, _classes(self._module)
        )

    @cached_property
    def _calibration(self) -> tuple[Folder | Arrays, NDArray[np.int64]]:
        """Images without need of a label: of the training set, else those that serve neither search nor test."""
        train = Path(self.data) / "train"
        images, first = self._source, self.images + self.test_images
        if train.is_dir():
            images, first = imagenet.source(train, _classes(self._module)), 0
        order = np.random.default_rng(self.seed).permutation(len(images.labels))
        spare = order[first:]
        # Few images: those of the test then set the statistics as well, never those of the search.
        if len(spare) < min(self.calibration, 32):
            spare = order[self.images :]
        chosen = spare[: self.calibration]
        return images, np.array(imagenet.readable(images, chosen.tolist()), np.int64)

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
        """How many of the images are told right; the chip's noise depends on which they are, not on what was run before."""
        seed = int.from_bytes(hashlib.blake2b(about.encode(), digest_size=4).digest(), "big")
        set_effect(self._module, converters(design, seed))
        logits = self._module(self._pixels(self._source, index, design), design)
        return int((logits.argmax(1).numpy() == self._source.labels[index]).sum())

    def _pixels(
        self, images: Folder | Arrays, index: NDArray[np.int64], design: Mapping[str, Any]
    ) -> Tensor:
        return prepared(images, index.tolist(), int(design.get("resolution", 224)), self.normalise)

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
            self.normalise,
            sorted(chip.items()),
            sorted(subnet.items()),
        ]
        return hashlib.blake2b(json.dumps(about).encode(), digest_size=12).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        state = {}
        for k, v in self.__dict__.items():
            if not k.startswith("_") and k != "parts":
                state[k] = v
        return state


def converters(chip: Mapping[str, Any], seed: int) -> ArrayNonideality | None:
    """Makes the noise that the arrays of a chip add to a product.

    Args:
        chip: Genes of the chip; others are ignored.
        seed: What the noise is drawn from.

    Returns:
        The noise; None where the arrays are digital or nothing is known of a chip.

    Raises:
        BadInput: When the genes describe no array that can be built.
    """
    made = arrays(chip, 0, ideal=True)
    if made is None or made.array.is_digital:
        return None
    return OutputNoise(made.array, torch.Generator().manual_seed(seed))


@cache
def _loaded(network: str, weights: str, digest: str) -> nn.Module:
    """Once a process, and again when the file's ``digest`` is another; workers stay alive between evaluations."""
    return elastic(network, Path(weights))


def _classes(module: nn.Module) -> int:
    return next(
        len(p) for n, p in module.named_parameters() if n in ("head.bias", "classifier.linear.bias")
    )
