"""Checks a user's weights and images by their largest network, whose accuracy is known beforehand or published."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.checkpoint_inputs import ImageInputs, SentenceInputs
from cimbo.evaluation.accuracy.published import PublishedLargest, of_largest
from cimbo.workloads import network

TOLERATED_MISS = 0.5  # points that decoders and orders of summation may make


class CheckedAccuracy(Protocol):
    """What is checked: an accuracy on a user's weights and images."""

    @property
    def precision(self) -> str:
        """Of the arithmetic."""
        ...

    @property
    def device(self) -> str:
        """Where it is computed."""
        ...

    @property
    def inputs(self) -> ImageInputs | SentenceInputs:
        """What the network reads."""
        ...

    def image_count(self) -> int:
        """How many validation images there are."""
        ...

    def measure(self, design: Mapping[str, Any]) -> float:
        """The accuracy of a design in percent."""
        ...

    def interval(self, accuracy: float) -> tuple[float, float]:
        """Both ends of the interval of an accuracy, in percent."""
        ...

    def seconds_of(self, design: Mapping[str, Any]) -> float:
        """How long a measurement takes."""
        ...


def check_largest(source: CheckedAccuracy, name: str, expected: float | None) -> None:
    """Measure the largest network where its accuracy is expected or published, and say on stderr what comes of it.

    Args:
        source: The accuracy on the user's weights and images.
        name: The family of networks.
        expected: The accuracy in percent that the user expects of the largest; None: nothing.

    Raises:
        BadInput: When the largest network misses the expected accuracy.
    """
    published = of_largest(name)
    if expected is not None:
        _check_expected(source, name, expected)
    elif published is not None:
        _compare_published(source, name, published)
    else:
        _say_seconds(source, network(name).largest())


def _compare_published(source: CheckedAccuracy, name: str, published: PublishedLargest) -> None:
    """Measure the largest network and print its accuracy on stderr beside the published one."""
    measured, _, _ = _largest_measured(source, name)
    beside = f"published of {published.name}: {published.accuracy:g} %"
    todo = f"--expect {published.accuracy:g} refuses weights that miss it"
    print(f"largest {name}: {measured}; {beside}; {todo}", file=sys.stderr)


def _largest_measured(source: CheckedAccuracy, name: str) -> tuple[str, float, float]:
    """The accuracy of the largest network in words, and both ends of its interval in percent."""
    largest = network(name).largest()
    _say_seconds(source, largest)
    accuracy = source.measure(largest)
    low, high = source.interval(accuracy)
    text = f"{accuracy:.2f} % ({low:.2f} to {high:.2f}, {source.image_count()} images)"
    return text, low, high


def _check_expected(source: CheckedAccuracy, name: str, expected: float) -> None:
    """Measure the largest network and print its accuracy. Raises BadInput where it is not as expected."""
    measured, low, high = _largest_measured(source, name)
    print(f"largest {name}: {measured}, expected {expected:g}", file=sys.stderr)
    if low - TOLERATED_MISS <= expected <= high + TOLERATED_MISS:
        return
    what = f"the largest network classifies {measured}; {source.inputs.label}"
    raise BadInput(f"--expect {expected:g}", what, source.inputs.advice)


def _say_seconds(source: CheckedAccuracy, design: Mapping[str, Any]) -> None:
    """Print on stderr how long a measurement will take."""
    estimate = f"a measurement of the largest network takes about {source.seconds_of(design):.0f} s"
    images = f"{source.image_count()} images on {source.device}, {source.precision}"
    print(f"{estimate}: {images}", file=sys.stderr)
