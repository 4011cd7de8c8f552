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
        mean: Of each channel, subtracted, where pixels go from 0 to 1.
        deviation: Of each channel, divided by.
        side: Of the input, in pixels.
        resized: What the short side is brought to before the centre is cropped.
        interpolation: "bilinear" or "bicubic".
        keeps_aspect: Whether the long side keeps its ratio to the short one; otherwise the whole image is made a
            square.
        source: Where this comes from.
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
        """What is done, in a line."""
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
    """Settles how images are prepared: what the user says, else what lies beside the weights, else the usual.

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
    found = found_beside(weights)
    if found is None:
        found = Preprocessing(side=side, resized=math.floor(side / USUAL_CROP))
    if normalise:
        mean, deviation = read_normalisation(normalise)
        found = replace(found, mean=mean, deviation=deviation, source="as asked")
    if crop is not None:
        if not 0 < crop <= 1:
            raise BadInput("--crop", f"is {crop:g}", "give a share above 0 and at most 1")
        resized = math.floor(found.side / crop)
        found = replace(found, resized=resized, keeps_aspect=True, source="as asked")
    if interpolation:
        _check_interpolation("network.options.interpolation", interpolation)
        found = replace(found, interpolation=interpolation, source="as asked")
    if found.resized < found.side:
        what = f"is brought to {found.resized} pixels, of which {found.side} cannot be cropped"
        raise BadInput("the short side", what, "give --crop, a share of at most 1")
    return found


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
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(file, f"cannot be read ({error})", "repair it, or remove it") from None
    if not isinstance(found, dict):
        raise BadInput(file, "holds no settings", "repair it, or remove it")
    return found


def _of_transformers(file: Path, settings: Mapping[str, Any]) -> Preprocessing:
    """``size`` is a side, or a height and width of the whole image, or the short side; a crop may follow."""
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
    place = 0 if name in ("image_mean", "mean") else 1
    found = settings.get(name, list(NAMED_NORMALISATIONS[usual][place]))
    numbers = isinstance(found, list) and all(isinstance(value, int | float) for value in found)
    if not numbers or len(found) != 3:
        raise BadInput(file, f"{name} is {found!r}", "repair it, or give --normalise")
    return tuple(float(value) for value in found)


def _side(file: Path, size: Any) -> int:
    """A side in pixels of what a file calls a size; of an image that is not square, none."""
    found = size
    if isinstance(size, Mapping):
        found = size.get("shortest_edge", size.get("height"))
        if size.get("width", found) != found:
            found = None
    if not isinstance(found, int) or found < 1:
        raise BadInput(file, f"size is {size!r}", "prepare the images yourself, and give arrays")
    return found


def _check_interpolation(where: str, word: str) -> None:
    if word not in RESIZE_METHODS:
        raise BadInput(where, f"is {word!r}", f"use {' or '.join(RESIZE_METHODS)}")
