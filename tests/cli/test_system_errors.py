"""What the system answers to a user's path is a line; what it answers to cimbo itself is a bug, and seen."""

import errno
import sys
from pathlib import Path

import click
import pytest

from cimbo import cli

OWN = Path(cli.__file__).parents[1] / "data" / "constants.toml"


def failing(error: OSError):
    def command(**_: object) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "mine.csv"),
        PermissionError(errno.EACCES, "Permission denied", "/root/mine.csv"),
        OSError(errno.ENOSPC, "No space left on device"),
        ConnectionRefusedError("nobody listens"),
        TimeoutError("nobody answers"),
    ],
    ids=str,
)
def test_of_the_users_own(error: OSError, monkeypatch, capsys):
    monkeypatch.setattr(cli.cimbo, "main", failing(error))
    assert cli.run(["presets"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("; check it and try again")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", str(OWN)),
        FileNotFoundError(errno.ENOENT, "No such file or directory", f"{sys.prefix}/lib/x.so"),
        OSError("a library's own words"),
    ],
    ids=str,
)
def test_of_cimbo_s(error: OSError, monkeypatch):
    monkeypatch.setattr(cli.cimbo, "main", failing(error))
    with pytest.raises(OSError, match=r"No such file|own words") as found:
        cli.run(["presets"])
    assert found.value is error


def test_a_message_out_of_a_file_gives_no_orders_to_the_terminal(monkeypatch, capsys):
    import logging

    def command(**_: object) -> int:
        logging.getLogger("cimbo").info("old.db: learned \x1b[2J from 3\n2")
        click.echo("done")
        return 0

    monkeypatch.setattr(cli.cimbo, "main", command)
    assert cli.run(["presets"]) == 0
    assert capsys.readouterr().err == "old.db: learned \\x1b[2J from 3 2\n"
