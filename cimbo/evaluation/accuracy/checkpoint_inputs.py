"""How a user's own images or sentences become inputs of the network of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cimbo.errors import BadInput
from cimbo.supernets import imagenet
from cimbo.supernets.image_inputs import prepared, prepared_as
from cimbo.supernets.labelled_sentences import (
    LabelledSentences,
    padded,
    read_labelled,
    vocabulary_beside,
)
from cimbo.supernets.preprocessing import NAMED_NORMALISATIONS, USUAL_SIDE, Preprocessing, chosen
from cimbo.supernets.vit_b import VIT_SIZES
from cimbo.supernets.wordpiece import WordPiece

SENTENCE_NETWORKS = ("bert-base",)
SENTENCE_TOKENS = 128  # of a sentence at most: those of the family's workload


class Examples(Protocol):
    """A user's examples by number."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class of every example."""
        ...


class Inputs(Protocol):
    """How a user's examples become inputs of a network."""

    advice: str
    """What a user should check where an accuracy is not as expected."""

    @property
    def label(self) -> str:
        """How examples are prepared, in one line."""
        ...

    @property
    def key(self) -> str:
        """A text that is different where examples are prepared differently, for the log of answers."""
        ...

    def examples(self, folder: Path, module: nn.Module) -> Any:
        """Opens the examples of a folder for a network.

        Args:
            folder: Where they lie.
            module: The super-network.

        Returns:
            The examples by number.

        Raises:
            BadInput: Where they cannot be used.
        """
        ...

    def readable(self, examples: Any, index: Sequence[int]) -> list[int]:
        """Picks the examples that can be read.

        Args:
            examples: What `examples` opened.
            index: Numbers of the examples to try.

        Returns:
            Numbers of those that can be read.
        """
        ...

    def batch(self, examples: Any, index: Sequence[int], design: Mapping[str, Any]) -> Tensor:
        """Makes inputs of some examples.

        Args:
            examples: What `examples` opened.
            index: Numbers of the examples.
            design: Genes of the sub-network that takes them.

        Returns:
            The inputs, (len(index), ...).
        """
        ...


def classes_of(module: nn.Module) -> int:
    """Counts the classes that a network tells apart.

    Args:
        module: A super-network of a checkpoint.

    Returns:
        The length of its last bias.
    """
    for name, parameter in module.named_parameters():
        if name in ("head.bias", "classifier.linear.bias"):
            return len(parameter)
    raise LookupError("the network has no head with a bias")


@dataclass(frozen=True)
class ImageInputs:
    """Images, resized, cropped and normalised as ``way`` says."""

    way: Preprocessing
    advice = "see --normalise, --crop and the order of the class folders, or leave it out"

    @property
    def label(self) -> str:
        """What is done, in a line."""
        return f"images are prepared as {self.way.label}"

    @property
    def key(self) -> str:
        """The preparation as text; only the normalisation's name where all else is as usual.

        Earlier releases wrote that name, when nothing else could be chosen, so their logs stay valid.

        Returns:
            The text.
        """
        bare = replace(self.way, source="")
        for name, colours in NAMED_NORMALISATIONS.items():
            if bare == Preprocessing(*colours, source=""):
                return name
        return repr(bare)

    def examples(self, folder: Path, module: nn.Module) -> Any:
        """Opens the images of a folder.

        Args:
            folder: See `cimbo.supernets.imagenet.source`.
            module: The super-network, whose classes are counted.

        Returns:
            The images by number.

        Raises:
            BadInput: Where they cannot be used.
        """
        return imagenet.source(folder, classes_of(module))

    def readable(self, examples: Any, index: Sequence[int]) -> list[int]:
        """Picks the images that can be decoded.

        Args:
            examples: The images.
            index: Numbers of the images to try.

        Returns:
            Numbers of those that can be decoded; the others are named on stderr.
        """
        return imagenet.readable(examples, index)

    def batch(self, examples: Any, index: Sequence[int], design: Mapping[str, Any]) -> Tensor:
        """Makes inputs of images.

        Args:
            examples: The images.
            index: Numbers of the images.
            design: Genes; a gene ``resolution`` sets the side.

        Returns:
            (len(index), 3, side, side).

        Raises:
            BadInput: Where an image cannot be decoded.
        """
        way, resolution = self.way, design.get("resolution")
        usual = Preprocessing(way.mean, way.deviation, source=way.source)
        if resolution is None and way != usual:
            return prepared_as(examples, index, way)
        # Elastic resolutions are cropped from one square.
        side = int(resolution or USUAL_SIDE)
        return prepared(examples, index, side, (way.mean, way.deviation))


@dataclass(frozen=True)
class SentenceInputs:
    """Sentences as numbers of word pieces, cut at SENTENCE_TOKENS."""

    vocabulary: WordPiece
    advice = "see the numbers of the labels and the vocabulary beside the weights, or leave it out"

    @property
    def label(self) -> str:
        """What is done, in a line."""
        pieces = len(self.vocabulary.numbers)
        return f"sentences are split into {pieces} word pieces, at most {SENTENCE_TOKENS} of each"

    @property
    def key(self) -> str:
        """What tells answers apart that were prepared otherwise."""
        return self.label

    def examples(self, folder: Path, module: nn.Module) -> LabelledSentences:
        """Reads the sentences of a folder.

        Args:
            folder: See `cimbo.supernets.labelled_sentences.read_labelled`.
            module: The super-network.

        Returns:
            The sentences.

        Raises:
            BadInput: Where they cannot be read, or the vocabulary has more words than the weights.
        """
        known = len(module.get_parameter("words.weight"))
        most = max(self.vocabulary.numbers.values())
        if most >= known:
            what = f"the vocabulary has {most + 1} words, the weights know {known}"
            raise BadInput("--weights", what, "put the vocabulary of these weights beside them")
        return read_labelled(folder, classes_of(module))

    def readable(self, examples: LabelledSentences, index: Sequence[int]) -> list[int]:
        """Returns all numbers: a sentence can always be read.

        Args:
            examples: The sentences.
            index: Numbers of the sentences.

        Returns:
            The same numbers.
        """
        return list(index)

    def batch(
        self, examples: LabelledSentences, index: Sequence[int], design: Mapping[str, Any]
    ) -> Tensor:
        """Makes inputs of sentences.

        Args:
            examples: The sentences.
            index: Numbers of the sentences.
            design: Ignored: no gene changes the inputs.

        Returns:
            (len(index), the longest), numbers of words.
        """
        texts = [examples.texts[number] for number in index]
        return padded([self.vocabulary.encode(text, SENTENCE_TOKENS) for text in texts])


def inputs_of(
    network: str, weights: Path, normalise: str, crop: float | None, interpolation: str
) -> ImageInputs | SentenceInputs:
    """Decide how a user's examples become inputs: as the user says, else as the files beside the weights say.

    Args:
        network: A family of networks.
        weights: The checkpoint.
        normalise: See `cimbo.supernets.preprocessing.chosen`, as the next two.
        crop: Share of the resized side that is kept.
        interpolation: How images are resized.

    Returns:
        What prepares images, or sentences for the networks of SENTENCE_NETWORKS.

    Raises:
        BadInput: For a wrong setting or file, or weights of images of another size.
    """
    if network in SENTENCE_NETWORKS:
        if normalise or interpolation or crop is not None:
            what = f"say how images are prepared, but {network} reads sentences"
            raise BadInput("--normalise and --crop", what, "leave them out")
        return SentenceInputs(vocabulary_beside(weights))
    side = USUAL_SIDE
    if network in VIT_SIZES:
        side = VIT_SIZES[network].image_side
    way = chosen(weights, normalise, crop, interpolation, side=side)
    if network in VIT_SIZES and way.side != side:
        what = f"are of images of {way.side} pixels, {network} is of {side}"
        raise BadInput("--weights", what, f"use a network among {', '.join(VIT_SIZES)}")
    return ImageInputs(way)
