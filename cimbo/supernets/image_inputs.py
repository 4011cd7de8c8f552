"""Network inputs made of a user's images: resized, cropped and normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cimbo.supernets.imagenet import RESIZED_SIDE, Source
from cimbo.supernets.preprocessing import Preprocessing

CROP_SHARE = 0.875  # fraction of the resized side that the centre crop keeps (the convention of ImageNet evaluation)


def prepared_as(images: Source, index: Sequence[int], way: Preprocessing) -> Tensor:
    """Makes network inputs of images, as a checkpoint wants them.

    Args:
        images: Where the images come from.
        index: Numbers of the images.
        way: How they are resized, cropped and normalised.

    Returns:
        (len(index), 3, way.side, way.side) float32.

    Raises:
        BadInput: Where an image cannot be decoded.
    """
    inputs = torch.stack([_cropped(images.pixels(number), way) for number in index])
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (way.mean, way.deviation))
    return (inputs - mean) / deviation


def _cropped(image: NDArray[np.uint8], way: Preprocessing) -> Tensor:
    """Resize an image and crop its centre.

    Pixels are rounded to whole steps of 1 / 255, as image libraries do.

    Args:
        image: (height, width, 3).
        way: How it is resized and cropped.

    Returns:
        Pixels from 0 to 1, (3, side, side).
    """
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    height, width = pixels.shape[2:]
    short = min(height, width)
    size = [way.resized, way.resized]
    if way.keeps_aspect:
        size = [int(way.resized * length / short) for length in (height, width)]
    if size != [height, width]:
        pixels = F.interpolate(
            pixels, size=size, mode=way.interpolation, antialias=True, align_corners=False
        )
    top, left = (round((length - way.side) / 2) for length in size)
    cropped = pixels[0, :, top : top + way.side, left : left + way.side]
    return cropped.round().clamp(0, 255) / 255


def prepared(
    images: Source, index: Sequence[int], resolution: int, normalise: tuple[Sequence[float], ...]
) -> Tensor:
    """Make network inputs of images for an elastic resolution: resized, centre-cropped and normalised.

    Images are first squares of RESIZED_SIDE pixels. They are resized to a side of resolution /
    CROP_SHARE, and their centre is kept. For 224 pixels this is exactly the usual way.

    Args:
        images: Where the images come from.
        index: Numbers of the images.
        resolution: Side of the inputs in pixels.
        normalise: Mean and deviation of each channel.

    Returns:
        (len(index), 3, resolution, resolution) float32.

    Raises:
        BadInput: Where an image cannot be decoded.
    """
    squares = torch.stack([torch.tensor(images.resized_square(i)) for i in index])
    pixels = squares.permute(0, 3, 1, 2).float() / 255
    size = math.ceil(resolution / CROP_SHARE)
    if size != RESIZED_SIDE:
        pixels = F.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    margin = (size - resolution) // 2
    pixels = pixels[:, :, margin : margin + resolution, margin : margin + resolution]
    mean, std = (torch.tensor(v)[:, None, None] for v in normalise)
    return (pixels - mean) / std
