"""Commands whose ``--help`` shows their options in groups, and the option that names a file to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cimbo.cli.messages import talking

OWN_OPTIONS = "Options"
#: The options that several commands share, by the group that ``--help`` shows them in.
OPTION_GROUPS = {
    "Which study": (
        "--study",
        "--preset",
        "--config",
        "--network",
        "--set",
        "--seed",
        "--simulator",
        "--simulator-options",
        "--data",
        "--weights",
        "--images",
    ),
    "Accuracies of your own": (
        "--table",
        "--expect",
        "--normalise",
        "--crop",
        "--test-images",
        "--image-batch",
        "--device",
        "--precision",
    ),
    "A part of the space": ("--fix", "--limit"),
    "Who evaluates": ("--by", "--lease"),
    "Evaluations": (
        "--jobs",
        "--timeout",
        "--retries",
        "--memory-mb",
        "--backend",
        "--scheduler",
        "--accept-changed",
    ),
    "Output": ("--format", "--output", "--quiet", "--verbose", "--log-file", "--help"),
}
_GROUP_OF = {name: title for title, names in OPTION_GROUPS.items() for name in names}


def talk_options() -> list[click.Parameter]:
    """Make the options that say how much a command talks.

    Returns:
        --quiet, --verbose and --log-file.
    """
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, help="Print only warnings and errors on stderr."
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            help="Print a line for every evaluation and proposal.",
        ),
        click.Option(
            ["--log-file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Append all messages to FILE, with the time, also those that stderr does not show.",
        ),
    ]


class GroupedCommand(click.Command):
    """A command that lists its own options first and those that it shares with others below, group by group.

    Every one takes --quiet, --verbose and --log-file.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += talk_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, talking as its options say.

        Args:
            ctx: Where the program stands.

        Returns:
            What the command returns.

        Raises:
            BadInput: The log file cannot be written, or the options contradict one another.
        """
        wanted = {name: ctx.params.pop(name) for name in ("quiet", "verbose", "log_file")}
        with talking(ctx, **wanted):
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their groups, the command's own first.

        Args:
            ctx: Where the program stands.
            formatter: Takes what is written.
        """
        groups: dict[str, list[tuple[str, str]]] = {OWN_OPTIONS: []}
        groups |= {title: [] for title in OPTION_GROUPS}
        for parameter in self.get_params(ctx):
            described = parameter.get_help_record(ctx)
            if described is not None:
                groups[_group(parameter)].append(described)
        for title, options in groups.items():
            if options:
                with formatter.section(title):
                    formatter.write_dl(options)


def _group(parameter: click.Parameter) -> str:
    titles = [_GROUP_OF[name] for name in parameter.opts if name in _GROUP_OF]
    return titles[0] if titles else OWN_OPTIONS


def command(**options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorate a function as a ``GroupedCommand``, as ``click.command`` does.

    Args:
        **options: As ``click.command`` takes them.

    Returns:
        A decorator.
    """
    return click.command(cls=GroupedCommand, **options)


class _Output(click.Option):
    """Accepts ``--out`` as well, and does not show it: one thing has one name."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Describe the option without ``--out``.

        Args:
            ctx: Where the program stands.

        Returns:
            Its names and its help; None where it is hidden.
        """
        described = super().get_help_record(ctx)
        if described is None:
            return None
        names, text = described
        return names.replace(", --out ", " "), text


def output_option(
    help_text: str, default: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option ``-o`` or ``--output``, given to the command as ``out``.

    Args:
        help_text: What is written there.
        default: Where to; None leaves it to the command.

    Returns:
        A decorator of commands.
    """
    return click.option(
        "-o",
        "--output",
        "--out",
        "out",
        cls=_Output,
        type=click.Path(path_type=Path),
        default=None if default is None else Path(default),
        show_default=default is not None,
        help=help_text,
    )
