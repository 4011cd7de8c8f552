"""WordPiece tokens of uncased BERT: cleaned, lower-cased, split at punctuation, then into the longest known pieces.

The rules are those of BERT's uncased models (Devlin et al., 2019; algorithm: Schuster and Nakajima, 2012). Only what a
sentence of a language with spaces needs is here; ideographs are split one by one, as there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNKNOWN, START, END = "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100  # characters; longer words are unknown
IDEOGRAPH_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@dataclass(frozen=True)
class WordPiece:
    """A vocabulary of word pieces; those that continue a word begin with ``##``.

    Attributes:
        numbers: number of each piece.
    """

    numbers: Mapping[str, int]

    @classmethod
    def of_lines(cls, lines: Sequence[str]) -> WordPiece:
        """Makes a vocabulary of the lines of a ``vocab.txt``.

        Args:
            lines: A piece each, in the order of their numbers.

        Returns:
            The vocabulary.
        """
        return cls({line.rstrip("\r\n"): number for number, line in enumerate(lines)})

    def encode(self, text: str, most: int) -> list[int]:
        """Turns a text into numbers of pieces, with a start and an end.

        Args:
            text: The text.
            most: Numbers at most, start and end among them; what is beyond is cut off.

        Returns:
            Numbers of its pieces.
        """
        pieces: list[int] = []
        for word in words(text):
            pieces += self.pieces(word)
        return [self.numbers[START], *pieces[: most - 2], self.numbers[END]]

    def pieces(self, word: str) -> list[int]:
        """Splits a word into known pieces, the longest first.

        Args:
            word: A word without spaces.

        Returns:
            Numbers of the pieces; that of the unknown word where it cannot be split.
        """
        if len(word) > LONGEST_WORD:
            return [self.numbers[UNKNOWN]]
        numbers = []
        start = 0
        while start < len(word):
            piece, start = self._longest(word, start)
            if piece is None:
                return [self.numbers[UNKNOWN]]
            numbers.append(piece)
        return numbers

    def _longest(self, word: str, start: int) -> tuple[int | None, int]:
        """Find the longest known piece of a word from ``start`` on: its number (None: there is none) and its end."""
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            number = self.numbers.get(prefix + word[start:end])
            if number is not None:
                return number, end
        return None, len(word)


def words(text: str) -> list[str]:
    """Splits a text into lower-case words without accents; punctuation marks are words of their own.

    Args:
        text: Any text.

    Returns:
        Its words in order.
    """
    plain = unicodedata.normalize("NFD", _cleaned(text).lower())
    marked = []
    for character in plain:
        if unicodedata.category(character) == "Mn":
            continue
        if _stands_alone(character):
            marked.append(f" {character} ")
        else:
            marked.append(character)
    return "".join(marked).split()


def _cleaned(text: str) -> str:
    """A text with blanks instead of all kinds of spaces, and without control characters."""
    kept = []
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            kept.append(" ")
        elif character != "\ufffd" and not unicodedata.category(character).startswith("C"):
            kept.append(character)
    return "".join(kept)


def _stands_alone(character: str) -> bool:
    """Whether a character is a word of its own: punctuation, symbols of ASCII, ideographs."""
    if character in ASCII_PUNCTUATION or unicodedata.category(character).startswith("P"):
        return True
    return any(low <= ord(character) <= high for low, high in IDEOGRAPH_RANGES)
