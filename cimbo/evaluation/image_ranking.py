"""Puts the images first that tell networks apart, and estimates from these what all images would say.

Most images are classified rightly by every sub-network of a super-network, and some by none. They say nothing of which
sub-network is better. So a part of the images says most if it has those on which sub-networks disagree. Their share of right
answers is no accuracy: a line from it to the accuracy on all images is fitted to reference sub-networks, whose answers to all
images are known. Choosing examples by how models answer them is the idea of Polo et al., arXiv 2402.14992 (tinyBenchmarks).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cimbo import _data
from cimbo.problem.calibration import Estimate

Hits = NDArray[np.bool_]
Numbers = NDArray[np.int64]
# Smallest standard deviation of an estimate, in images: references may agree on all that were not seen
LEAST_STD_IMAGES = 0.5


@dataclass(frozen=True, eq=False)
class ImageRanking:
    """An order of images, and the accuracies of reference sub-networks that belong to their answers to the first ones.

    Attributes:
        hits: Which images each reference classifies rightly, (references, images); at least four references.
        order: Numbers of the images, those first on which references disagree most, (images,).
    """

    hits: Hits
    order: Numbers

    @classmethod
    def of(cls, hits: Hits) -> ImageRanking:
        """Rank images by what references answer.

        Args:
            hits: Which images each reference classifies rightly, (references, images).

        Returns:
            The ranking. Images of equal rank stay in their order.
        """
        return cls(hits, _ranked(hits))

    def estimate(self, right: int, seen: int) -> Estimate:
        """Estimate the share of all images that a network classifies rightly.

        Args:
            right: How many of the first ``seen`` images of the order it classifies rightly.
            seen: How many images it was measured on, at least one.

        Returns:
            The share, 0 to 1, with its standard deviation: that of references which are estimated by
            the others, larger far from the counts that references have, and at least LEAST_STD_IMAGES.
            0 where all images were seen.
        """
        n_images = self.hits.shape[1]
        if seen >= n_images:
            return Estimate(right / n_images, 0.0)
        line = _Line.fitted(self.hits, self.order[:seen])
        share = line.at(right)
        variance = line.variance_at(right, self._error_of_left_out(seen))
        if right < line.least:
            share, variance = _perhaps_failing(line, right, seen, variance)
        std = max(float(np.sqrt(variance)), LEAST_STD_IMAGES / n_images)
        return Estimate(float(np.clip(share, 0.0, 1.0)), std)

    @cache  # noqa: B019 - rankings live as long as the process
    def _error_of_left_out(self, seen: int) -> float:
        """Root mean square error of each reference's share, estimated from a ranking and a line of the others."""
        squares = []
        for left_out in range(len(self.hits)):
            others = np.delete(self.hits, left_out, axis=0)
            first = _ranked(others)[:seen]
            own = self.hits[left_out]
            line = _Line.fitted(others, first)
            squares.append((line.at(int(own[first].sum())) - own.mean()) ** 2)
        return float(np.sqrt(np.mean(squares)))


@dataclass(frozen=True)
class _Line:
    """A least-squares line from the count of right answers on some images to the share of right answers on all.

    Attributes:
        mean_count: Mean count of the references.
        mean_share: Their mean share, 0 to 1.
        slope: Share for one right answer more.
        scatter: Sum of squared deviations of the counts.
        spread: Standard deviation of the counts.
        least: The smallest count.
    """

    mean_count: float
    mean_share: float
    slope: float
    scatter: float
    spread: float
    least: int

    @classmethod
    def fitted(cls, hits: Hits, images: Numbers) -> _Line:
        """Fit the line to the counts of references on ``images``."""
        counts = hits[:, images].sum(axis=1)
        shares = hits.mean(axis=1)
        from_mean = counts - counts.mean()
        scatter = float(from_mean @ from_mean)
        slope = 0.0
        if scatter > 0:
            slope = float(from_mean @ shares) / scatter
        return cls(
            mean_count=float(counts.mean()),
            mean_share=float(shares.mean()),
            slope=slope,
            scatter=scatter,
            spread=float(counts.std()),
            least=int(counts.min()),
        )

    def at(self, count: int) -> float:
        """The share that belongs to a count."""
        return self.mean_share + self.slope * (count - self.mean_count)

    def variance_at(self, count: int, error: float) -> float:
        """The variance of the share around the line, which is less sure far from the references' mean."""
        if self.scatter == 0:
            return error**2
        return error**2 * (1 + (count - self.mean_count) ** 2 / self.scatter)


def _perhaps_failing(line: _Line, right: int, seen: int, variance: float) -> tuple[float, float]:
    """Estimate the share of a network that is worse on the first images than every reference.

    It may be a somewhat worse network of their kind: then the line holds. Or it fails, on a chip whose
    converters are too coarse: then it fails also where all references agree. It answers these images no
    worse than the first ones, and its share of all falls at least with the count of right answers: the
    middle of both is taken. The fewer right answers, the less likely the line.

    Args:
        line: The line of the references.
        right: The count of right answers, below that of every reference.
        seen: How many images were looked at.
        variance: Of the share around the line.

    Returns:
        Mean and variance of the mixture of both.
    """
    below = (line.least - right) / line.spread if line.spread else np.inf
    weight = float(np.exp(-(below**2) / 2))
    lowest, highest = right / seen, line.at(line.least) * right / line.least
    failing = (lowest + highest) / 2
    variance_failing = ((highest - lowest) / 2) ** 2
    mean = weight * line.at(right) + (1 - weight) * failing
    within = weight * variance + (1 - weight) * variance_failing
    return mean, within + weight * (1 - weight) * (line.at(right) - failing) ** 2


def _ranked(hits: Hits) -> Numbers:
    """Numbers of images, those first whose share of right answers is closest to one half."""
    return np.argsort(np.abs(hits.mean(axis=0) - 0.5), kind="stable")


@cache
def shipped_ranking(supernet: str, images: int) -> ImageRanking:
    """Rank the first validation images of a shipped super-network.

    Args:
        supernet: Its name.
        images: How many images count.

    Returns:
        The ranking by the reference sub-networks of ``data/supernets``, which
        ``benchmarks/reference_hits.py`` wrote.
    """
    packed = np.load(_data.path(f"supernets/{supernet}-hits.npy"), allow_pickle=False)
    return ImageRanking.of(np.unpackbits(packed, axis=1)[:, :images].astype(bool))
