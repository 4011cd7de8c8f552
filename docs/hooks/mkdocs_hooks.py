"""What MkDocs calls while it builds the site: today's figures of benchmarks, formulas.

Formulas are turned into MathML, which browsers draw by themselves: the site loads nothing from anywhere else.
"""

from __future__ import annotations

import html
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import Files

HERE = Path(__file__).resolve().parent
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Let the other hooks find the modules beside this one.

    MkDocs forgets the folders that a hook adds to ``sys.path`` when it has loaded it, so they are added here.

    Args:
        files: Files of the site.
        config: Configuration of MkDocs; not looked at.

    Returns:
        The same files.
    """
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the figures into a page.

    Args:
        markdown: Text of the page.
        **_: Not looked at.

    Returns:
        The text with figures.
    """
    filled: str = import_module("figures").filled(markdown)
    return filled


def on_page_content(page_html: str, **_: Any) -> str:
    """Draw the formulas of a page.

    Args:
        page_html: The page.
        **_: Not looked at.

    Returns:
        The page with MathML.
    """

    def inline(match: re.Match[str]) -> str:
        return convert(html.unescape(match[1]).strip())

    def block(match: re.Match[str]) -> str:
        formula = convert(html.unescape(match[1]).strip(), display="block")
        return f'<div class="formula">{formula}</div>'

    return BLOCK.sub(block, INLINE.sub(inline, page_html))
