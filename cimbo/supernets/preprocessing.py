"""How images become a network's inputs: read from what lies beside a checkpoint, or as a user says.

Beside the weights of the Hub lies ``preprocessor_config.json`` (transformers) or ``config.json`` with ``pretrained_cfg``
(timm). What neither says is as ImageNet is usually evaluated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, choose_from

NAMED_NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
RESIZE_METHODS = ("bilinear", "bicubic")
RESAMPLE_NUMBERS = {2: "bilinear", 3: "bicubic"}  # as Pillow counts them, and so transformers
USUAL_SIDE, USUAL_CROP = 224, 0.875
Colours = tuple[float, ...]


@dataclass(frozen=True)
class Preprocessing:
    """How an image is resized, cropped and normalised.

    Attributes:
        mean: Subtracted from each channel, of pixels from 0 to 1.
        deviation: By which each channel is then divided.
        side: Side of the input, in pixels.
        resized: Length to which the short side is resized before the centre is cropped, in pixels.
        interpolation: "bilinear" or "bicubic".
        keeps_aspect: Whether the long side keeps its ratio to the short one; otherwise the whole image is made a
            square.
        source: Where these settings come from, for messages.
    """

    mean: Colours = NAMED_NORMALISATIONS["imagenet"][0]
    deviation: Colours = NAMED_NORMALISATIONS["imagenet"][1]
    side: int = USUAL_SIDE
    resized: int = round(USUAL_SIDE / USUAL_CROP)
    interpolation: str = "bilinear"
    keeps_aspect: bool = True
    source: str = "the usual way for ImageNet"

    @property
    def label(self) -> str:
        """The settings in one line."""
        mean = ", ".join(f"{value:g}" for value in self.mean)
        deviation = ", ".join(f"{value:g}" for value in self.deviation)
        kept = "" if self.keeps_aspect else " square"
        return (
            f"{self.resized}{kept} to {self.side} pixels, {self.interpolation}, mean {mean}, deviation {deviation}"
            f" ({self.source})"
        )


def found_beside(weights: Path) -> Preprocessing | None:
    """Reads how images are prepared from the files beside a checkpoint.

    Args:
        weights: A file of weights, or a folder as the Hub has it.

    Returns:
        What the files say; None where there are none.

    Raises:
        BadInput: Where such a file is none of JSON, or says something that is not supported.
    """
    folder = weights if weights.is_dir() else weights.parent
    file = folder / "preprocessor_config.json"
    if file.is_file():
        return _of_transformers(file, _read(file))
    file = folder / "config.json"
    if file.is_file():
        settings = _read(file).get("pretrained_cfg")
        if isinstance(settings, Mapping):
            return _of_timm(file, settings)
    return None


def chosen(
    weights: Path,
    normalise: str = "",
    crop: float | None = None,
    interpolation: str = "",
    *,
    side: int = USUAL_SIDE,
) -> Preprocessing:
    """Decide how images are prepared: by what the user says, else by the files beside the weights, else as usual.

    Args:
        weights: A file of weights, or a folder as the Hub has it.
        normalise: A key of NAMED_NORMALISATIONS, or six numbers "m,m,m/d,d,d"; "" where the user says
            nothing.
        crop: Share of the resized side that the centre crop keeps.
        interpolation: One of RESIZE_METHODS; "" where the user says nothing.
        side: Of the input in pixels, where no file says it.

    Returns:
        How images are prepared.

    Raises:
        BadInput: For a wrong setting, or a wrong file.
    """
    way = found_beside(weights)
    if way is None:
        way = Preprocessing(side=side, resized=math.floor(side / USUAL_CROP))
    if normalise:
        mean, deviation = read_normalisation(normalise)
        way = replace(way, mean=mean, deviation=deviation, source="as asked")
    if crop is not None:
        if not 0 < crop <= 1:
            raise BadInput("--crop", f"is {crop:g}", "give a share above 0 and at most 1")
        resized = math.floor(way.side / crop)
        way = replace(way, resized=resized, keeps_aspect=True, source="as asked")
    if interpolation:
        _check_interpolation("network.options.interpolation", interpolation)
        way = replace(way, interpolation=interpolation, source="as asked")
    if way.resized < way.side:
        what = f"is brought to {way.resized} pixels, of which {way.side} cannot be cropped"
        raise BadInput("the short side", what, "give --crop, a share of at most 1")
    return way


def read_normalisation(text: str) -> tuple[Colours, Colours]:
    """Reads mean and deviation of each channel.

    Args:
        text: A key of NAMED_NORMALISATIONS, or six numbers "m,m,m/d,d,d".

    Returns:
        Mean and deviation, three numbers each.

    Raises:
        BadInput: For anything else.
    """
    if text in NAMED_NORMALISATIONS:
        return NAMED_NORMALISATIONS[text]
    try:
        mean, deviation = (tuple(float(n) for n in part.split(",")) for part in text.split("/"))
    except ValueError:
        mean, deviation = (), ()
    if len(mean) != 3 or len(deviation) != 3 or not all(d > 0 for d in deviation):
        todo = (
            f"{choose_from(text, tuple(NAMED_NORMALISATIONS))}; or give six numbers as m,m,m/d,d,d"
        )
        raise BadInput("--normalise", f"is {text!r}", todo)
    return mean, deviation


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON object. Raises BadInput where the file holds none."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(file, f"cannot be read ({error})", "repair it, or remove it") from None
    if not isinstance(settings, dict):
        raise BadInput(file, "holds no settings", "repair it, or remove it")
    return settings


def _of_transformers(file: Path, settings: Mapping[str, Any]) -> Preprocessing:
    """Read the settings of a preprocessor_config.json of transformers.

    ``size`` there is one side of a square, the height and width of the whole image, or the short
    side; the centre may be cropped after that.

    Args:
        file: The file, for messages.
        settings: Its content.

    Returns:
        The settings. Raises BadInput for what is not supported.
    """
    size = settings.get("size", USUAL_SIDE)
    crop = settings.get("crop_size", size) if settings.get("do_center_crop") else size
    keeps_aspect = isinstance(size, Mapping) and "shortest_edge" in size
    interpolation = RESAMPLE_NUMBERS.get(settings.get("resample", 2))
    if interpolation is None:
        todo = "prepare the images yourself, and give arrays"
        raise BadInput(file, f"resample is {settings.get('resample')!r}", todo)
    return Preprocessing(
        _colours(file, settings, "image_mean", "half"),
        _colours(file, settings, "image_std", "half"),
        _side(file, crop),
        _side(file, size),
        interpolation,
        keeps_aspect,
        file.name,
    )


def _of_timm(file: Path, settings: Mapping[str, Any]) -> Preprocessing:
    """Read the ``pretrained_cfg`` of a config.json of timm. Raises BadInput for what is not supported."""
    sizes = settings.get("input_size", [3, USUAL_SIDE, USUAL_SIDE])
    side = _side(file, sizes[-1] if isinstance(sizes, list) and sizes else sizes)
    interpolation = str(settings.get("interpolation", "bicubic"))
    _check_interpolation(str(file), interpolation)
    share = float(settings.get("crop_pct", USUAL_CROP))
    if not 0 < share <= 1:
        raise BadInput(file, f"crop_pct is {share:g}", "repair it, or give --crop")
    return Preprocessing(
        _colours(file, settings, "mean", "imagenet"),
        _colours(file, settings, "std", "imagenet"),
        side,
        math.floor(side / share),
        interpolation,
        settings.get("crop_mode", "center") != "squash",
        f"{file.name}, pretrained_cfg",
    )


def _colours(file: Path, settings: Mapping[str, Any], name: str, usual: str) -> Colours:
    """Read one number for each colour. Raises BadInput for anything else.

    Args:
        file: The file, for messages.
        settings: Its content.
        name: Name of the entry: a mean or a deviation.
        usual: The normalisation, a key of NAMED_NORMALISATIONS, that holds where there is no entry.

    Returns:
        Three numbers.
    """
    mean, deviation = NAMED_NORMALISATIONS[usual]
    default = mean if name in ("image_mean", "mean") else deviation
    values = settings.get(name, list(default))
    are_numbers = isinstance(values, list) and all(isinstance(v, int | float) for v in values)
    if not are_numbers or len(values) != 3:
        raise BadInput(file, f"{name} is {values!r}", "repair it, or give --normalise")
    return tuple(float(value) for value in values)


def _side(file: Path, size: Any) -> int:
    """The side in pixels that a file gives as a size. Raises BadInput for an image that is not square."""
    side = size
    if isinstance(size, Mapping):
        side = size.get("shortest_edge", size.get("height"))
        if size.get("width", side) != side:
            side = None
    if not isinstance(side, int) or side < 1:
        raise BadInput(file, f"size is {size!r}", "prepare the images yourself, and give arrays")
    return side


def _check_interpolation(where: str, word: str) -> None:
    if word not in RESIZE_METHODS:
        raise BadInput(where, f"is {word!r}", f"use {' or '.join(RESIZE_METHODS)}")
