"""Images: the shipped Fashion-MNIST files, the full training set, or a user's own folder of IDX or NumPy files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cimbo import _data
from cimbo.errors import BadInput

VALIDATION_IMAGES = 5_000
CALIBRATION_IMAGES = 1_000
SPLIT_SEED = 20_240_218
MEAN, STD = 0.2860, 0.3530  # over all pixels of the 60,000 training images, scaled to [0, 1]


@dataclass(frozen=True)
class Images:
    """Grey images (n, 28, 28) uint8 and their classes (n,) uint8."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Images:
        """Picks some of the images.

        Args:
            index: Their numbers, (k,).

        Returns:
            The images of these numbers, in their order.
        """
        return Images(self.pixels[index], self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Normalised images (n, 1, 28, 28) float32 and labels (n,) int64."""
        images = (torch.from_numpy(self.pixels.astype(np.float32)) / 255 - MEAN) / STD
        return images.unsqueeze(1), torch.from_numpy(self.labels.astype(np.int64))

    def batches(
        self, size: int, shift: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Goes through all images once in random order, flipped and shifted at random.

        Args:
            size: Images in a batch; a last one that is not full is left out.
            shift: Pixels by which an image is shifted at most.
            rng: Draws order, flips and shifts.

        Yields:
            Normalised images (size, 1, 28, 28) and labels (size,).
        """
        pixels, labels = self.tensors()
        order = torch.from_numpy(rng.permutation(len(self)))
        for step in range(len(self) // size):
            batch = order[step * size : (step + 1) * size]
            yield _augment(pixels[batch], shift, rng), labels[batch]

    def save(self, path: Path) -> None:
        """Writes the images to a compressed NumPy file.

        Args:
            path: The file, which gets the arrays ``pixels`` and ``labels``; NumPy adds ``.npz``
                where it is not there.
        """
        np.savez_compressed(path, pixels=self.pixels, labels=self.labels)


def shipped(part: str) -> Images:
    """Reads images of Fashion-MNIST that are shipped with cimbo.

    Args:
        part: "validation" (5,000, for the search), "calibration" (1,000 training images) or "test".

    Returns:
        The images.
    """
    with np.load(_data.path(f"fashion-mnist/{part}.npz"), allow_pickle=False) as file:
        return Images(file["pixels"], file["labels"])


def read_idx(folder: Path, part: str) -> Images:
    """Reads images and labels from an MNIST-like folder of gzipped or plain IDX files.

    Args:
        folder: Holds ``{part}-images-idx3-ubyte`` and ``{part}-labels-idx1-ubyte``, with ``.gz`` or
            without.
        part: "train" or "t10k".

    Returns:
        The images.

    Raises:
        BadInput: Where a file is missing or no whole IDX file, images are not 28 x 28, or their
            number is not that of the labels.
    """
    arrays = [_idx(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    if len(arrays[0]) != len(arrays[1]) or arrays[0].shape[1:] != (28, 28):
        raise BadInput(
            folder,
            f"{part} holds {arrays[0].shape} images, {len(arrays[1])} labels",
            "use 28x28 images, a label each",
        )
    return Images(*arrays)


def _idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """The array in an IDX file, gzipped or plain. Raises BadInput where there is none.

    After four bytes, the last of which is the number of dimensions, an IDX file has the size of each
    dimension as four bytes, and then the values.

    Returns:
        Values, in the shape that the file states.
    """
    for path, opener in ((folder / f"{name}.gz", gzip.open), (folder / name, open)):
        if path.exists():
            try:
                with opener(path, "rb") as file:
                    raw = file.read()
                shape = np.frombuffer(raw, ">i4", raw[3], 4)
                return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
            except (OSError, EOFError, IndexError, ValueError) as error:
                raise BadInput(path, f"is not a whole IDX file ({error})", "get it again") from None
    raise BadInput(
        folder / f"{name}.gz",
        "does not exist",
        "install Debian's dataset-fashion-mnist or name its folder with --data",
    )


def training_and_validation(folder: Path) -> tuple[Images, Images]:
    """Splits the training images into those to train on and those held out for the search.

    Args:
        folder: Holds the IDX files of ``train``.

    Returns:
        Images to train on (55,000 of Fashion-MNIST) and the 5,000 held out; the split never
        changes.

    Raises:
        BadInput: As :func:`read_idx` does.
    """
    images = read_idx(folder, "train")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    return images.take(order[VALIDATION_IMAGES:]), images.take(order[:VALIDATION_IMAGES])


def _augment(images: Tensor, shift: int, rng: np.random.Generator) -> Tensor:
    """Flip each image (n, 1, size, size) at random, and shift it by at most ``shift`` pixels."""
    n, size = len(images), images.shape[-1]
    background = images.amin().item()
    padded = F.pad(images, [shift] * 4, value=background)
    dy, dx = (torch.from_numpy(rng.integers(0, 2 * shift + 1, n)) for _ in range(2))
    span = torch.arange(size)
    is_flipped = torch.from_numpy(rng.random(n) < 0.5)[:, None]
    # Rows and columns of the padded image that each pixel of the result is taken from.
    columns = torch.where(is_flipped, span.flip(0), span) + dx[:, None]
    rows = span + dy[:, None]
    image = torch.arange(n)[:, None, None]
    return padded[image, 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)
