"""The command line. stdout is data, stderr is talk; 0 done, 1 failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from cimbo import __version__
from cimbo.errors import BadInput

_COMMANDS = {
    "optimize": "search", "fit-predictors": "search", "pareto": "view", "show": "view", "status": "view", "report": "view",
    "export": "view", "simulate": "chip", "explain": "chip", "presets": "chip", "train-supernet": "train",
}  # fmt: skip


class _Lazy(click.Group):
    """Imports a command's module when it is asked for, so that --help costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = import_module(f"cimbo.cli.{_COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cimbo")
def cimbo() -> None:
    """Search neural sub-networks and compute-in-memory chips together."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Bad input is one line on stderr."""
    try:
        result = cimbo.main(args=arguments, prog_name="cimbo", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "cimbo"
        message = error.format_message().rstrip(".").replace("\n", " ")
        click.echo(f"{command}: {message}; see {command} --help", err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"cimbo: {error.format_message()}; correct it and try again".replace("\n", " "), err=True)
        return 2
    except ValueError as error:
        if not _is_bad_input(error):
            raise
        click.echo(str(error), err=True)
        return 2
    except BrokenPipeError:
        # The reader of our stdout has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _is_bad_input(error: ValueError) -> bool:
    # predictors has an error of its own, with the same one-line form; it is loaded if it was raised.
    return isinstance(error, BadInput) or type(error).__name__ == "PredictorError"


def main() -> None:
    """Entry point of the ``cimbo`` program. A polite kill ends it as Ctrl-C does: everything kept, the way on told."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())
