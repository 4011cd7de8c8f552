"""A user's own colour images: a folder with a folder for each class, as ImageNet has it, or NumPy arrays.

Nothing is downloaded.

``DIR/val`` (or DIR itself) holds a folder a class, sorted as the classes are numbered, or ``images.npy`` (n, h, w, 3) uint8
with ``labels.npy`` (n,). ``DIR/train``, where there is one, gives the images that batch norm is calibrated on. Decoding needs
Pillow (``cimbo[imagenet]``); arrays need nothing.
"""

from __future__ import annotations

import struct
import sys
import tokenize
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cimbo.errors import BadInput, printable

RESIZED_SIDE = 256  # pixels of the square that images are brought to; 224 are the usual crop
LONGEST_SHAPE = 20  # largest ratio of an image's long side to its short side
LEFT_OUT: set[str] = set()  # files that this process could not decode, each reported once
# What Pillow raises for a damaged file, by format.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
)
# What numpy.load raises for a file whose header is damaged: it is read as a literal of Python.
ARRAY_ERRORS = (
    OSError,
    ValueError,
    OverflowError,
    EOFError,
    MemoryError,
    SyntaxError,
    TypeError,
    RecursionError,
    tokenize.TokenError,
)
IMAGE_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp"}


class UnreadableImage(BadInput):
    """A file of images that cannot be decoded; the others can still be used."""


class Source(Protocol):
    """Images by number."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class of every image."""
        ...

    def resized_square(self, index: int) -> NDArray[np.uint8]:
        """Gives an image as a square, its short side resized and its centre kept.

        Args:
            index: Number of the image, from 0.

        Returns:
            (RESIZED_SIDE, RESIZED_SIDE, 3) pixels from 0 to 255.

        Raises:
            UnreadableImage: Where this image cannot be decoded; the others can still be used.
        """
        ...

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Gives an image as it is.

        Args:
            index: Number of the image, from 0.

        Returns:
            (height, width, 3) pixels from 0 to 255.

        Raises:
            UnreadableImage: Where this image cannot be decoded; the others can still be used.
        """
        ...


@dataclass(frozen=True)
class Folder:
    """Files of images, decoded when they are asked for."""

    files: Sequence[Path]
    labels: NDArray[np.int64]
    classes: int

    def resized_square(self, index: int) -> NDArray[np.uint8]:
        """Decodes an image and gives it as a square, its short side resized and its centre kept.

        Args:
            index: Number of the image, from 0.

        Returns:
            (RESIZED_SIDE, RESIZED_SIDE, 3) pixels from 0 to 255, red, green and blue.

        Raises:
            UnreadableImage: When the file is no image, or too long for its width.
            BadInput: When Pillow is missing.
        """
        image = self._decoded(index)
        scale = RESIZED_SIDE / min(image.size)
        width, height = (max(RESIZED_SIDE, round(length * scale)) for length in image.size)
        bilinear = 2  # as Pillow counts
        image = image.resize((width, height), bilinear)
        left, top = (width - RESIZED_SIDE) // 2, (height - RESIZED_SIDE) // 2
        return np.asarray(image.crop((left, top, left + RESIZED_SIDE, top + RESIZED_SIDE)))

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Decodes an image.

        Args:
            index: Number of the image, from 0.

        Returns:
            (height, width, 3) pixels from 0 to 255, red, green and blue.

        Raises:
            UnreadableImage: When the file is no image, or too long for its width.
            BadInput: When Pillow is missing.
        """
        return np.asarray(self._decoded(index))

    def _decoded(self, index: int) -> Any:
        """The image, as Pillow has it. Raises as `pixels` does."""
        try:
            from PIL import Image
        except ImportError:
            raise BadInput(
                "--data",
                "needs Pillow to decode images",
                "pip install 'cimbo[imagenet]', or give arrays",
            ) from None
        file = self.files[index]
        try:
            with Image.open(file) as image:
                _check_shape(file, image.size)
                return image.convert("RGB")
        except (*DECODING_ERRORS, Image.DecompressionBombError) as error:
            what = f"is not a readable image ({error})"
            raise UnreadableImage(file, what, "replace it") from None


def _check_shape(file: object, size: Sequence[int]) -> None:
    """Refuse an image so long that resizing its short side to RESIZED_SIDE would make the long one enormous.

    Raises:
        UnreadableImage: Naming the file.
    """
    if max(size) > LONGEST_SHAPE * min(size):
        raise UnreadableImage(
            file,
            f"has {size[0]} x {size[1]} pixels, more than {LONGEST_SHAPE} times as long as wide",
            "crop it",
        )


def readable(images: Source, index: Sequence[int]) -> list[int]:
    """Picks the images that can be decoded.

    The others are named on stderr, once a process each, and counted.

    Args:
        images: Where the images come from.
        index: Numbers of the images to try.

    Returns:
        Numbers of those that can be decoded, in the same order.

    Raises:
        BadInput: Where no image can be decoded at all, as Pillow is missing.
    """
    kept = []
    for number in index:
        try:
            images.resized_square(int(number))
        except UnreadableImage as error:
            _leave_out(error)
        else:
            kept.append(int(number))
    return kept


def _leave_out(error: UnreadableImage) -> None:
    """Say once on stderr that a file cannot be decoded."""
    if error.where not in LEFT_OUT:
        LEFT_OUT.add(error.where)
        message = f"{error.where}: {error.what}; left out, {len(LEFT_OUT)} so far"
        print(printable(message), file=sys.stderr)


@dataclass(frozen=True)
class Arrays:
    """Images of an array that stays on the disk."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int

    def resized_square(self, index: int) -> NDArray[np.uint8]:
        """Gives an image as a square, its short side resized by PyTorch and its centre kept.

        Args:
            index: Number of the image, from 0.

        Returns:
            (RESIZED_SIDE, RESIZED_SIDE, 3) pixels from 0 to 255; the image itself when it is such a
            square.

        Raises:
            UnreadableImage: When the image is too long for its width.
        """
        image = self.pixels(index)
        if image.shape[:2] == (RESIZED_SIDE, RESIZED_SIDE):
            return image
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        scale = RESIZED_SIDE / min(pixels.shape[2:])
        size = [max(RESIZED_SIDE, round(length * scale)) for length in pixels.shape[2:]]
        pixels = F.interpolate(
            pixels, size=size, mode="bilinear", antialias=True, align_corners=False
        )
        top, left = ((length - RESIZED_SIDE) // 2 for length in size)
        cropped = pixels[0, :, top : top + RESIZED_SIDE, left : left + RESIZED_SIDE]
        whole = cropped.round().clamp(0, 255)
        return whole.permute(1, 2, 0).to(torch.uint8).numpy()

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Gives an image as it is.

        Args:
            index: Number of the image, from 0.

        Returns:
            (height, width, 3) pixels from 0 to 255.

        Raises:
            UnreadableImage: When the image is too long for its width.
        """
        image = np.array(self.images[index])
        _check_shape("images.npy", image.shape[:2])
        return image


def source(folder: Path, classes: int) -> Folder | Arrays:
    """Opens the images of a folder.

    Args:
        folder: Holds ``images.npy`` and ``labels.npy``, or a folder of image files for each class,
            sorted as the classes are numbered.
        classes: How many classes the weights know.

    Returns:
        The images by number: arrays that stay on the disk where there is an ``images.npy``, else
        files.

    Raises:
        BadInput: Where ``folder`` is none, has another number of class folders, holds no image
            files, or has arrays that cannot be read, are of another shape or type, or have labels
            outside the classes.
    """
    if (folder / "images.npy").exists():
        return _arrays(folder, classes)
    if not folder.is_dir():
        raise BadInput(
            folder,
            "is no folder",
            "name a folder with a folder of images a class, or with images.npy",
        )
    class_folders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    if len(class_folders) != classes:
        raise BadInput(
            folder,
            f"has {len(class_folders)} folders of classes, the weights know {classes}",
            "give one folder a class",
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders):
        for file in sorted(class_folder.iterdir()):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                files.append(file)
                labels.append(label)
    if not files:
        raise BadInput(
            folder, "holds no images", f"give files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return Folder(files, np.array(labels), classes)


def _arrays(folder: Path, classes: int) -> Arrays:
    """Open images.npy and labels.npy of a folder, and check them. Raises BadInput."""
    try:
        images, labels = (
            np.load(folder / f"{n}.npy", mmap_mode="r", allow_pickle=False)
            for n in ("images", "labels")
        )
    except ARRAY_ERRORS as error:
        raise BadInput(
            folder,
            f"images.npy and labels.npy cannot be read ({error})",
            "save them with numpy.save",
        ) from None
    if (
        images.ndim != 4
        or images.shape[-1] != 3
        or images.dtype != np.uint8
        or labels.shape != images.shape[:1]
        or labels.dtype.kind not in "iu"
    ):
        shapes = f"are {images.shape} {images.dtype} and {labels.shape} {labels.dtype}"
        todo = "give (n, height, width, 3) uint8 and (n,) integers"
        raise BadInput(folder, f"images and labels {shapes}", todo)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise BadInput(
            folder,
            f"labels reach {labels.max()}, the weights know {classes} classes",
            "number classes from 0",
        )
    return Arrays(images, np.array(labels, dtype=np.int64), classes)
