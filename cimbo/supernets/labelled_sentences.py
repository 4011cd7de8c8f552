"""A user's own labelled sentences, and the vocabulary beside a checkpoint of BERT. Nothing is downloaded.

A folder holds ``val.tsv``, ``dev.tsv`` or ``validation.tsv`` as GLUE has it: a line of headings, among them ``sentence`` and
``label``, then a sentence a line with the number of its class.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cimbo.errors import BadInput
from cimbo.supernets.wordpiece import END, START, UNKNOWN, WordPiece

SENTENCE_FILES = ("val.tsv", "dev.tsv", "validation.tsv")


@dataclass(frozen=True)
class LabelledSentences:
    """Sentences by number.

    Attributes:
        texts: The sentences.
        labels: (n,) class of each.
    """

    texts: Sequence[str]
    labels: NDArray[np.int64]


def read_labelled(folder: Path, classes: int) -> LabelledSentences:
    """Reads the sentences of a folder.

    Args:
        folder: Holds one of SENTENCE_FILES.
        classes: How many classes the weights know.

    Returns:
        The sentences with their labels.

    Raises:
        BadInput: Where there is no such file, it lacks a column, or a label is none of the classes.
    """
    for name in SENTENCE_FILES:
        if (folder / name).is_file():
            return _read_table(folder / name, classes)
    raise BadInput(
        folder,
        "holds no sentences",
        f"give {' or '.join(SENTENCE_FILES)} with columns sentence and label",
    )


def _read_table(file: Path, classes: int) -> LabelledSentences:
    """Read a tab-separated file of sentences with labels. Raises BadInput where it is wrong."""
    texts, labels = [], []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                texts.append(row["sentence"])
                labels.append(int(row["label"]))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        what = f"cannot be read as sentences with labels ({type(error).__name__}: {error})"
        raise BadInput(file, what, "give tab-separated columns sentence and label") from None
    numbers = np.array(labels, np.int64)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
        what = f"labels go from {numbers.min()} to {numbers.max()}, the weights know {classes}"
        raise BadInput(file, what, "number classes from 0")
    return LabelledSentences(texts, numbers)


def vocabulary_beside(weights: Path) -> WordPiece:
    """Reads the vocabulary beside a checkpoint.

    Args:
        weights: A file of weights, or a folder as the Hub has it.

    Returns:
        The word pieces of its ``vocab.txt``, else of its ``tokenizer.json``.

    Raises:
        BadInput: Where there is none, or it is that of a cased BERT or of no BERT.
    """
    folder = weights if weights.is_dir() else weights.parent
    _check_uncased(folder / "tokenizer_config.json")
    if (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        vocabulary = WordPiece.of_lines(lines)
    elif (folder / "tokenizer.json").is_file():
        vocabulary = _of_tokenizer(folder / "tokenizer.json")
    else:
        what = "lies beside no vocab.txt and no tokenizer.json"
        raise BadInput(weights, what, "put the tokenizer's files beside the weights")
    for word in (UNKNOWN, START, END):
        if word not in vocabulary.numbers:
            raise BadInput(folder, f"the vocabulary lacks {word}", "give that of an uncased BERT")
    return vocabulary


def _check_uncased(file: Path) -> None:
    """Raises BadInput where the tokenizer's settings keep capitals."""
    if file.is_file() and _json(file).get("do_lower_case") is False:
        todo = "give an uncased BERT: sentences are split as those are"
        raise BadInput(file, "is of a cased BERT", todo)


def _of_tokenizer(file: Path) -> WordPiece:
    """The vocabulary of a ``tokenizer.json``."""
    settings = _json(file)
    model = settings.get("model")
    if not isinstance(model, Mapping) or not isinstance(model.get("vocab"), Mapping):
        raise BadInput(file, "holds no word pieces", "give the vocab.txt of an uncased BERT")
    normaliser = settings.get("normalizer")
    if isinstance(normaliser, Mapping) and normaliser.get("lowercase") is False:
        todo = "give an uncased BERT: sentences are split as those are"
        raise BadInput(file, "is of a cased BERT", todo)
    return WordPiece({str(word): int(number) for word, number in model["vocab"].items()})


def _json(file: Path) -> Mapping[str, Any]:
    """Read a JSON object. Raises BadInput where the file holds none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(file, f"is no JSON ({error})", "replace it") from None
    if not isinstance(value, Mapping):
        raise BadInput(file, "is no JSON object", "replace it")
    return value


def padded(rows: Sequence[Sequence[int]], padding: int = 0) -> Tensor:
    """Make one table of rows of different lengths.

    Args:
        rows: Numbers of words.
        padding: The number with which short rows are filled up.

    Returns:
        (rows, the longest) whole numbers.
    """
    table = torch.full((len(rows), max(len(row) for row in rows)), padding)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row)
    return table
