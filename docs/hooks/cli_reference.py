"""The page on the command line, written from the parser that the commands themselves use."""

from __future__ import annotations

import html

import click

import cimbo.cli
from cimbo.cli import COMMAND_GROUPS

HEAD = """# Commands

This page is written from the program's own parser. `cimbo COMMAND --help` says the same on a terminal.

Every command writes data to stdout and messages to stderr. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
Any other is that of code of yours that ended the program; stderr then says with which design.
Bad input is one line: where it is, what is wrong, what to do.
"""


def page() -> str:
    """Write the page.

    Returns:
        Markdown, with a section for each command in the groups of ``cimbo --help``.
    """
    parts = [HEAD]
    for title, names in COMMAND_GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            command = cimbo.cli.cimbo.get_command(click.Context(cimbo.cli.cimbo), name)
            assert command is not None, name
            parts += _command(command, f"cimbo {name}", "###")
    return "\n".join(parts)


def _command(command: click.Command, path: str, level: str) -> list[str]:
    # As commands that are run have it: click remembers the first context that asked for the option of help.
    words = cimbo.cli.cimbo.context_settings["help_option_names"]
    context = click.Context(command, info_name=path, help_option_names=words)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"{level} {path}\n", f"```text\n{path} {usage}\n```\n", _prose(command.help or "")]
    rows = []
    for parameter in command.get_params(context):
        described = parameter.get_help_record(context)
        if described is not None:
            names, meaning = described
            rows.append(f"| {_cell(names, code=True)} | {_cell(meaning)} |")
    parts.append("| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None, name
            parts += _command(sub, f"{path} {name}", level + "#")
    return parts


def _prose(text: str) -> str:
    """A docstring as Markdown; what click keeps as it stands, after a line with a backspace, becomes a block."""
    blocks = []
    for block in text.strip().split("\n\n"):
        if block.startswith("\b"):
            blocks.append("```text\n" + block.lstrip("\b\n") + "\n```")
        else:
            words = " ".join(block.split())
            before, example, command = words.partition("Example: ")
            blocks.append(f"{before}{example}`{command}`" if example else words)
    return "\n\n".join(blocks) + "\n"


def _cell(text: str, *, code: bool = False) -> str:
    """A cell of a table; a bar within code can only be written as HTML."""
    text = html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;")
    return f"<code>{text}</code>" if code else text
