"""Requests to programs, as JSON. Every field is described in docs/protocol.md; a change of their meaning is a new version."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cimbo.workloads.layers import Layer, Workload

PROTOCOL_VERSION = 1
WINDOW_KINDS = ("conv", "depthwise")  # kinds of layers that have images and windows

Request = dict[str, Any]


def simulation(workload: Workload, chip: Mapping[str, Any], weights: str | None) -> Request:
    """Makes the request for the costs of a network on a chip.

    Args:
        workload: The network.
        chip: Genes and fixed properties of the chip.
        weights: Path of trained weights; None: there are none.

    Returns:
        The request.
    """
    return _request("simulate", weights) | {"workload": network(workload), "chip": dict(chip)}


def layer_simulation(layer: Mapping[str, Any], chip: Mapping[str, Any]) -> Request:
    """Makes the request for the costs of one layer on a chip.

    Args:
        layer: The layer, as `network` describes it.
        chip: Genes and fixed properties of the chip.

    Returns:
        The request.
    """
    return _request("layer", None) | {"layer": dict(layer), "chip": dict(chip)}


def accuracy(design: Mapping[str, Any], part: str, weights: str | None) -> Request:
    """Makes the request for the accuracy of a design in percent.

    Args:
        design: Genes of the design.
        part: The images: "validation" for the search, "test" at the end.
        weights: Path of trained weights; None: there are none.

    Returns:
        The request.
    """
    return _request("accuracy", weights) | {"design": dict(design), "part": part}


def evaluation(
    design: Mapping[str, Any],
    architecture: Sequence[str],
    workload: Workload | None,
    weights: str | None,
) -> Request:
    """Makes the request for all metrics of a design.

    Args:
        design: Genes of the design.
        architecture: Names of the genes that belong to the network; all others are the chip's.
        workload: The network's layers; None: the program is not told them.
        weights: Path of trained weights; None: there are none.

    Returns:
        The request.
    """
    request = {
        "design": dict(design),
        "architecture": {name: v for name, v in design.items() if name in architecture},
        "hardware": {name: v for name, v in design.items() if name not in architecture},
    }
    if workload is not None:
        request["workload"] = network(workload)
    return _request("evaluate", weights) | request


def batch(requests: Sequence[Request]) -> Request:
    """Joins several requests in one.

    Args:
        requests: The requests.

    Returns:
        The request; its answer holds ``answers`` in the same order.
    """
    return _request("batch", None) | {"requests": list(requests)}


def _request(kind: str, weights: str | None) -> Request:
    """The fields that every request has: protocol, kind of request, path of the weights if any."""
    request: Request = {"protocol": PROTOCOL_VERSION, "request": kind}
    if weights is not None:
        request["weights"] = weights
    return request


def network(workload: Workload) -> dict[str, Any]:
    """Describe a network as JSON: its layers in order of execution.

    A language model also has ``loop``: the number of tokens that it generates, and the layers of
    one step.

    Args:
        workload: The network.

    Returns:
        The description as JSON, with counts of the whole batch.
    """
    shapes = workload.unique[1]
    layers = []
    before: list[str] = []
    for layer, shape in zip(workload.layers, shapes, strict=True):
        described = asdict(layer) | {"shape": shape, "after": before}
        layers.append(described | _sizes(layer, workload.batch))
        before = [layer.name]
    document: dict[str, Any] = {
        "name": workload.name,
        "batch": workload.batch,
        "macs": workload.macs,
        "parameters": workload.parameters,
        "layers": layers,
    }
    if workload.loop is not None:
        document["loop"] = {"tokens": workload.loop.tokens, "step": network(workload.loop.step)}
    return document


def _sizes(layer: Layer, batch_size: int) -> dict[str, Any]:
    """Sizes of one layer as deep-learning libraries name them: channels, image sides and padding.

    A layer without windows has ``in_features`` and ``out_features`` instead.

    Args:
        layer: The layer, with counts of the whole batch.
        batch_size: Images of a batch.

    Returns:
        Sizes by name; None for what does not follow from the layer.
    """
    channels_in, rest = divmod(layer.reduction, layer.kernel**2)
    if layer.kind not in WINDOW_KINDS or rest:
        return {"in_features": layer.reduction, "out_features": layer.columns * layer.groups}
    channels_in *= layer.groups
    height = layer.px // batch_size // layer.width
    in_height, in_width = _input_sides(layer, channels_in * batch_size, height)
    padding = None
    if in_width is not None:
        # All windows of a row together cover this many pixels; padding is what the image lacks,
        # half on each side, rounded up.
        covered = (layer.width - 1) * layer.stride + layer.kernel
        padding = -(-max(0, covered - in_width) // 2)
    return {
        "in_channels": channels_in,
        "out_channels": layer.columns * layer.groups,
        "in_height": in_height,
        "in_width": in_width,
        "out_height": height,
        "out_width": layer.width,
        "padding": padding,
    }


def _input_sides(layer: Layer, images: int, height: int) -> tuple[int | None, int | None]:
    """Height and width of the input images, which are taken to have the proportions of the outputs.

    Args:
        layer: The layer.
        images: Input channels times images of the batch.
        height: Height of an output image.

    Returns:
        Height and width; None each where no such whole numbers exist.
    """
    area, rest = divmod(layer.inputs, images)
    if rest or not area or not height:
        return None, None
    width = round(math.sqrt(area * layer.width / height))
    if width < 1 or area % width:
        return None, None
    return area // width, width
