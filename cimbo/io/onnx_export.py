"""The chosen network as an ONNX file: the sub-network cut out of the shipped super-network, batch norms calibrated."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.supernets.measurement import recalibrate
from cimbo.supernets.recipes import SUPERNET_CLASSES

OPSET_VERSION = 18
TRAINED_SIZE = 28  # pixels of a side of the shipped images
INPUT_NAMES = {"reviews-minilm": "words"}  # inputs of super-networks that do not read images


class SubNetwork(nn.Module):
    """One sub-network of ``network``: inputs -> logits (n, classes), without any noise of a chip.

    Images are resized by two products, since ONNX has no operator for the antialiased resizing of the training.
    """

    def __init__(self, network: nn.Module, genes: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.genes = dict(genes)
        size = genes.get("resolution", TRAINED_SIZE)
        resize = None
        if size != TRAINED_SIZE:
            resize = _resizing(TRAINED_SIZE, size)
        self.register_buffer("resize", resize)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits of images, which are resized to the sub-network's resolution first.

        Args:
            images: Normalised images, (n, 1, 28, 28); of reviews-minilm numbers of words, (n, 64).

        Returns:
            Logits, (n, classes).
        """
        if self.resize is not None:
            images = self.resize @ images @ self.resize.t()  # type: ignore[operator]
        logits: Tensor = self.network(images, self.genes)
        return logits


def _resizing(start: int, size: int) -> Tensor:
    """(size, start): what antialiased bilinear resizing does to a column of pixels."""
    columns = torch.eye(start)[None, None]
    resized = F.interpolate(
        columns, size=(size, start), mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0, 0]


def sub_network(supernet: str, genes: Mapping[str, Any]) -> SubNetwork:
    """Cut a sub-network out of a shipped super-network, its batch norms calibrated.

    It is a copy: the super-network that measurements of this process share is left as it is.

    Args:
        supernet: Name of the super-network.
        genes: Genes of the sub-network.

    Returns:
        A module in evaluation mode.

    Raises:
        BadInput: When no weights are shipped under this name.
    """
    _check_is_shipped(supernet)
    network = copy.deepcopy(supernetwork(supernet))
    recalibrate(network, genes, examples(supernet, "calibration")[0])
    return SubNetwork(network, genes).eval()


def _check_is_shipped(supernet: str) -> None:
    """Raises BadInput for a network whose weights do not come with cimbo."""
    if supernet not in SUPERNET_CLASSES:
        what = f"cimbo has no weights of the network whose accuracy is {supernet}"
        todo = (
            f"weights come with {', '.join(SUPERNET_CLASSES)}; a module of torch_family is written "
            "without an accuracy of cimbo's own"
        )
        raise BadInput("--to onnx", what, todo)


def _check_has_onnx() -> None:
    """Raises BadInput where torch cannot write ONNX files."""
    if find_spec("onnx") is None:
        todo = "pip install 'cimbo[onnx]'"
        raise BadInput("--to onnx", "the package onnx is not installed", todo)


def write_module(path: Path, module: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Write a user's own module as an ONNX file.

    Args:
        path: The file.
        module: The module; it is written in evaluation mode, with the weights that it has.
        arguments: What it is called with; the file has these sizes.

    Raises:
        BadInput: When the package onnx is missing, or torch cannot export the module.
    """
    _check_has_onnx()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module.eval(), arguments, str(path), opset_version=OPSET_VERSION, dynamo=False
            )
        except (RuntimeError, TypeError, ValueError) as error:
            what = f"torch cannot export the module ({str(error).splitlines()[0]})"
            raise BadInput("--to onnx", what, "export it by a script of your own") from None


def write(path: Path, supernet: str, genes: Mapping[str, Any]) -> None:
    """Write a sub-network as an ONNX file, for any number of images or sentences at a time.

    A sentence is a row of 64 numbers of words, filled up with zeros.

    Args:
        path: The file.
        supernet: Name of a shipped super-network.
        genes: Genes of the sub-network.

    Raises:
        BadInput: When the package onnx is missing, or no weights are shipped under this name.
    """
    _check_is_shipped(supernet)
    _check_has_onnx()
    module = sub_network(supernet, genes)
    inputs = examples(supernet, "calibration")[0][:2]
    _export(module, inputs, path, INPUT_NAMES.get(supernet, "images"))


def _export(module: nn.Module, inputs: Tensor, path: Path, name: str) -> None:
    """Write a module with one input ``name``, for any number of inputs, without what the exporter prints."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        # The older exporter takes 2 seconds where the newer takes 40, and needs one
        # package fewer.
        torch.onnx.export(
            module,
            (inputs,),
            str(path),
            input_names=[name],
            output_names=["logits"],
            opset_version=OPSET_VERSION,
            dynamic_axes={name: {0: "n"}, "logits": {0: "n"}},
            dynamo=False,
        )
