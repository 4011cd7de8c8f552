"""The command line. stdout is data, stderr is talk; 0 done, 1 failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import ast
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module, resources
from keyword import iskeyword
from pathlib import Path

import click

from cimbo._data import __version__
from cimbo.cli.messages import messages_on_stderr
from cimbo.errors import BadInput, printable

#: What each command's module is called, in the groups that ``cimbo --help`` shows.
COMMAND_GROUPS = {
    "Start": {
        "demo": "demo",
        "presets": "chip",
        "init": "start",
        "doctor": "doctor",
        "completion": "completion",
    },
    "Search": {
        "optimize": "search",
        "evaluate": "evaluate",
        "withdraw": "withdraw",
        "fit-predictors": "search",
        "status": "view",
        "import": "intake",
        "predictors": "predictors",
        "compare": "compare",
    },
    "Drive a study from a script": {
        "ask": "asking",
        "tell": "asking",
        "retry": "asking",
        "renew": "asking",
        "mcp": "agent",
    },
    "Look and decide": {
        "pareto": "view",
        "show": "view",
        "explain": "explain",
        "attribute": "attribute",
        "robust": "decision",
        "portfolio": "decision",
        "report": "report",
        "plot": "report",
        "export": "export",
    },
    "Chips and networks": {
        "simulate": "chip",
        "workload": "chip",
        "silicon": "silicon",
        "train-supernet": "train",
    },
}
COMMAND_MODULES: dict[str, str] = {}
for _group in COMMAND_GROUPS.values():
    COMMAND_MODULES |= _group


class _Lazy(click.Group):
    """Imports a command's module when it is asked for; what --help says of each is read from the source, not run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands.

        Args:
            ctx: Not looked at.

        Returns:
            Names, in the order of ``--help``.
        """
        return list(COMMAND_MODULES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command.

        Args:
            ctx: Not looked at.
            name: Name of the command.

        Returns:
            The command; None where there is none of this name.
        """
        if name not in COMMAND_MODULES:
            return None
        module = import_module(f"cimbo.cli.{COMMAND_MODULES[name]}")
        command: click.Command = getattr(module, _function(name))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        Renamed words after it are replaced by today's.

        Args:
            ctx: Where the program stands.
            args: The arguments after ``cimbo``.

        Returns:
            Name of the command, the command, and the arguments that are left for it.

        Raises:
            click.UsageError: There is no such command; it names the nearest ones.
        """
        if args and args[0] in COMMAND_MODULES:
            from cimbo.cli.renamed import in_todays_words

            args = [args[0], *in_todays_words(args[0], args[1:])]
        elif args and not args[0].startswith("-"):
            ctx.fail(_no_command(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups, a line each.

        Args:
            ctx: Not looked at.
            formatter: Takes what is written.
        """
        for title, group in COMMAND_GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summary(name)) for name in group])


def _no_command(name: str) -> str:
    """That there is no such command, with the nearest ones."""
    told = f"No such command '{name}'"
    near = get_close_matches(name, COMMAND_MODULES, 2)
    if near:
        told += f", perhaps {' or '.join(near)}"
    return told


def summary(name: str) -> str:
    """Find the first sentence of a command's docstring without importing its module.

    Args:
        name: Name of the command.

    Returns:
        The sentence, with a full stop.

    Raises:
        KeyError: There is no such command.
    """
    paragraph = _docstring(COMMAND_MODULES[name], _function(name)).split("\n\n")[0]
    sentence = " ".join(paragraph.split()).split(". ")[0]
    return sentence.rstrip(".") + "."


def _docstring(module: str, function: str) -> str:
    """The docstring of a function, read from the source of a module."""
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return ast.get_docstring(node) or ""
    raise KeyError(function)


def _function(name: str) -> str:
    """What a command's function is called: ``import`` is a word of Python's own."""
    return name.replace("-", "_") + "_" * iskeyword(name)


@cache
def _tree(module: str) -> ast.Module:
    source = resources.files("cimbo.cli").joinpath(f"{module}.py")
    return ast.parse(source.read_text(encoding="utf-8"))


@click.group(
    cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="cimbo")
def cimbo() -> None:
    """Search neural sub-networks and compute-in-memory chips together.

    New here: cimbo demo. Then: cimbo optimize --budget 200.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; bad input is one line on stderr.

    Args:
        arguments: The words after ``cimbo``; None for those that the program was started with.

    Returns:
        The exit code: what the command returns, or 0; 2 for bad input and for what the system
        refuses; 130 after an interruption; 1 where the reader of stdout has gone.

    Raises:
        ValueError: One that is no ``BadInput``: a fault of cimbo's own.
        OSError: One about a file of cimbo's own, or without an answer of the system.
    """
    if arguments is None:
        words = sys.argv[1:]
    else:
        words = list(arguments)
    try:
        return _exit_code(words)
    except (KeyboardInterrupt, click.Abort) as error:
        _say(str(error) or "interrupted")
        return 130
    except click.ClickException as error:
        _say_usage(error)
        return 2
    except ValueError as error:
        if not _is_bad_input(error):
            raise
        for line in str(error).splitlines():
            _say(line)
        return 2
    except BrokenPipeError:
        # Whatever read our stdout has closed it: there is nowhere to print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # the system's answer to a path, an address, a full disk
        if _is_of_cimbo(error):
            raise
        where = str(error.filename or "cimbo")
        _say(f"{where:.80}: {error.strerror or error}; check it and try again")
        return 2


def _exit_code(words: list[str]) -> int:
    """Run the command; what it returns, or 0."""
    line = shlex.join(["cimbo", *words])
    with messages_on_stderr():
        result = cimbo.main(args=words, prog_name="cimbo", standalone_mode=False, obj=line)
    if isinstance(result, int):
        return result
    return 0


def _say_usage(error: click.ClickException) -> None:
    """Tell on stderr what is wrong with a command line."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)  # help: ours
        return
    if not isinstance(error, click.UsageError):
        _say(f"cimbo: {error.format_message()}; correct it and try again")
        return
    _say(_usage_line(error))


def _usage_line(error: click.UsageError) -> str:
    command = "cimbo"
    if error.ctx:
        command = error.ctx.command_path
    message = error.format_message().rstrip(".").replace("\n", " ")
    return f"{command}: {message}; see {command} --help"


def _say(line: str) -> None:
    click.echo(printable(line), err=True)


def _is_bad_input(error: ValueError) -> bool:
    # predictors has an error of its own, with the same one-line form; it is loaded if it was raised.
    return isinstance(error, BadInput) or type(error).__name__ == "PredictorError"


def _is_of_cimbo(error: OSError) -> bool:
    """Whether nobody but us can do something about it: a file of cimbo's own, or no system's answer at all."""
    if error.errno is None and not isinstance(error, ConnectionError | TimeoutError):
        return True
    if not isinstance(error.filename, str):
        return False
    file = Path(error.filename).resolve()
    package = Path(__file__).resolve().parents[1]
    return file.is_relative_to(package) or file.is_relative_to(Path(sys.prefix).resolve())


def main() -> None:
    """Entry point of the ``cimbo`` program. A polite kill ends it as Ctrl-C does: everything kept, the way on told."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())
