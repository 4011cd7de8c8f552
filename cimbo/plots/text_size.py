"""How much room words take, estimated, so that pictures in files leave enough of it whatever they are given.

A file is drawn by a browser or an editor whose font nobody knows beforehand. Widths are those of DejaVu Sans, the widest of
the common sans-serif fonts (advance widths in units of 1/2048 em, from its hmtx table, rounded up in groups), so that words
take no more than is said here.
"""

from __future__ import annotations

DEFAULT_SIZE = 12.0  # pixels: of the letters of a picture
LINE_HEIGHT = 1.25  # distance of two lines, as a multiple of the letter size
BOLD_FACTOR = 1.12  # bold letters are wider than others by this factor
ELLIPSIS_MARK = "…"
#: Width in letter sizes of letters that are not LETTER_WIDTH wide.
WIDTH_GROUPS = {
    "iljI|!'.,:;": 0.34,
    'ftr()[]{}/\\ -*"': 0.46,
    "mwMWOQ@%—…": 0.99,
    "→←≤≥×+<>=~^": 0.84,
}
# Widths as multiples of the letter size
CAPITAL_WIDTH, LETTER_WIDTH, WIDE_SCRIPT_WIDTH = 0.76, 0.64, 1.05
FIRST_WIDE_LETTER = "\u1100"  # Hangul, Han and the like are as wide as high
_LETTER_WIDTHS = {letter: width for letters, width in WIDTH_GROUPS.items() for letter in letters}


def text_width(words: str, size: float = DEFAULT_SIZE, *, bold: bool = False) -> float:
    """Estimate the width of a line of words, on the wide side.

    Args:
        words: The line.
        size: Of its letters, in pixels.
        bold: Whether they are bold.

    Returns:
        Pixels.
    """
    total = sum(_letter_width(letter) for letter in words)
    return total * size * (BOLD_FACTOR if bold else 1.0)


def _letter_width(letter: str) -> float:
    if letter in _LETTER_WIDTHS:
        return _LETTER_WIDTHS[letter]
    if letter >= FIRST_WIDE_LETTER and not "\u2000" <= letter <= "\u2bff":
        return WIDE_SCRIPT_WIDTH
    if letter.isupper():
        return CAPITAL_WIDTH
    return LETTER_WIDTH


def shortened(words: str, width: float, size: float = DEFAULT_SIZE, *, bold: bool = False) -> str:
    """Cut a line to a width, with an ellipsis where something is left out.

    Args:
        words: The line.
        width: Pixels that it may take.
        size: Of its letters, in pixels.
        bold: Whether they are bold.

    Returns:
        The line, or its start and an ellipsis.
    """
    if text_width(words, size, bold=bold) <= width:
        return words
    kept = words
    while kept and text_width(kept.rstrip() + ELLIPSIS_MARK, size, bold=bold) > width:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS_MARK


def wrapped(
    words: str, width: float, size: float = DEFAULT_SIZE, *, bold: bool = False
) -> list[str]:
    """Break words into lines of at most a width; nothing is left out.

    Args:
        words: What is written.
        width: Pixels that a line may take.
        size: Of the letters, in pixels.
        bold: Whether they are bold.

    Returns:
        The lines, one at least. A word that is too long by itself is broken anywhere.
    """
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
            continue
        pieces = _pieces(word, width, size, bold=bold)
        if lines[-1]:
            lines += pieces
        else:
            lines[-1:] = pieces
    return lines


def _pieces(word: str, width: float, size: float, *, bold: bool) -> list[str]:
    """A word in pieces that fit, at least one letter each."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and text_width(pieces[-1] + letter, size, bold=bold) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
