"""Inputs that try to execute, to write elsewhere or to grow without bound, and whether anything of that happened."""

import io
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import chdir, closing
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from doors import CHIP, DOORS
from malformed import answer, find_spec

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.config import study_config
from predictors.storage import bundle

MARK = "executed"  # a payload that runs makes this file in the current folder


@dataclass(frozen=True)
class Payloads:
    """What happened: commands that ran a payload, that wrote outside, that ended otherwise than 0, 1 or 2; foreign markup."""

    inputs: int
    executed: list[str]
    outside: list[str]
    escaped: list[str]
    markup: list[str]


class Gadget:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {MARK}",)


def pickled() -> bytes:
    """A pickle that runs a command when it is loaded, and the same inside a NumPy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Gadget()], dtype=object), allow_pickle=True)
    return buffer.getvalue()[128:]


def numpy_file() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([Gadget()], dtype=object))
    return buffer.getvalue()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
        file.comment = b" " * bundle._SEAL_SIZE
    return bundle._seal(buffer.getvalue())


CODE = [
    f"!!python/object/apply:os.system [touch {MARK}]",
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    f"; touch {MARK} #",
    f"| touch {MARK}",
    f"__import__('os').system('touch {MARK}')",
    f"{{{{ __import__('os').system('touch {MARK}') }}}}",
    f"=cmd|' /C touch {MARK}'!A0",
]
PATHS = [
    "../outside",
    "../../outside",
    f"{'../' * 9}tmp/outside",
    "/tmp/cimbo-outside",
    "..\\outside",
    "~/outside",
]
FAR = [os.path.expanduser("~/outside"), "/tmp/outside", "/tmp/cimbo-outside"]  # noqa: PTH111
HTML = [
    f"<script>open('{MARK}')</script>",
    "<img src=x onerror=alert(1)>",
    "</script></style></title><svg onload=alert(1)>",
    "javascript:alert(1)",
    '" onmouseover=alert(1) x="',
    "' autofocus onfocus=alert(1) '",
    "&lt;script&gt;",
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m\u202e\u2028",
]


@cache
def raw() -> list[tuple[str, bytes]]:
    """Files that are a payload as a whole."""
    return list(_raw())


def _raw() -> Iterator[tuple[str, bytes]]:
    yield "pickle", pickled()
    yield "NumPy object array", numpy_file()
    yield (
        "pickle in a bundle",
        archive(("manifest.json", b"{}"), ("model.pkl", pickled()), method=zipfile.ZIP_STORED),
    )
    for text in CODE:
        yield f"text {text[:20]}", text.encode()
    for path in PATHS:
        yield (
            f"member {path}",
            archive(("manifest.json", b"{}"), (path, b"x"), method=zipfile.ZIP_STORED),
        )
    yield "zip bomb", archive(("manifest.json", bytes(200 << 20)))
    yield "many members", archive(*((f"{i}", b"") for i in range(5000)), method=zipfile.ZIP_STORED)
    for opened in ("[", "{", '{"a":', "a = [", "[[a.b."):
        yield f"nesting {opened}", opened.encode() * 200_000


def through_doors() -> Iterator[tuple[str, bytes, list[str]]]:
    """Every payload as the file of every door."""
    for door in DOORS:
        if find_spec(door.needs):
            for (what, data), command in itertools.product(raw(), door.commands):
                yield f"{what} as {door.file}", data, [door.file, *command(door.file)]
    for (what, data), file in itertools.product(raw(), ["weights.pt", "weights.safetensors"]):
        yield f"{what} as {file}", data, [file, "weights", file]


def named(name: str) -> Iterator[list[str]]:
    """Commands with a hostile text where a name is expected."""
    Path("study.toml").write_text(_config(name))
    yield ["optimize", "--budget", "1", "--config", "study.toml"]
    Path("chip.json").write_text(json.dumps({**CHIP, name: 1, "array": name}))
    yield ["simulate", "--network", "fmnist-vit", "--hardware", "@chip.json"]
    yield ["simulate", "--network", name, "--hardware", "{}"]
    yield [
        "simulate",
        "--network",
        "fmnist-vit",
        "--hardware",
        json.dumps(CHIP),
        "--simulator",
        name,
    ]
    yield ["optimize", "--preset", name]
    yield ["show", name, "--study", "hostile.db"]
    yield ["export", "--to", name, "--study", "hostile.db"]


def _config(name: str) -> str:
    text = (study_config.PRESETS_FOLDER / "fmnist-vit.toml").read_text()
    return text.replace('name = "fmnist-vit"', f"name = {json.dumps(name)}").replace(
        "title = ", f"{json.dumps(name)} = "
    )


def hostile_study(path: str, name: str) -> None:
    """A study whose every name and text is ``name``."""
    space = SearchSpace([Choice(f"a {name}", [1, 2, 3])], [Choice(f"b {name}", ["plain", name])])
    objectives = [Objective(f"up {name}", "max", 0.0), Objective(f"down {name}", "min", 9.0)]
    about = {"versions": {name: name}, "extra": name}
    with Study.open(path, space, objectives, metadata=about) as study:
        for i, design in enumerate(space.sobol(5, 0)):
            metrics = {o.name: 1.0 + i for o in objectives} | {name: 2.0}
            study.tell(design, metrics if i else None, reason=None if i else name)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE evaluation SET key = ?, origin = ? WHERE number = 2", (name, name)
        )
        connection.commit()


def looking(path: str) -> Iterator[list[str]]:
    for command in ("pareto", "status", "export", "report"):
        yield [command, "--study", path]
    yield ["export", "--to", "json", "-o", "out.json", "--study", path]
    yield ["show", "0", "--study", path]


class Page(HTMLParser):
    """Tags and attributes that can run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.wrong += (
            [f"<{tag}>"] if tag in ("img", "iframe", "object", "embed", "base", "form") else []
        )
        for name, value in attrs:
            if name.startswith("on") or (value or "").lower().startswith(
                ("javascript:", "data:text/html", "http:", "https:")
            ):
                self.wrong.append(f"{name}={value}")


def markup(plain: Page) -> list[str]:
    """What is in the report of a hostile study that is not in the one of a plain study."""
    page = Page(Path("report.html").read_text(encoding="utf-8"))
    return page.wrong + ["<script>"] * (page.scripts - plain.scripts)


class Watch:
    """Runs commands in the current folder and keeps what they should not have done."""

    def __init__(self) -> None:
        self.inputs = 0
        self.executed: list[str] = []
        self.outside: list[str] = []
        self.escaped: list[str] = []

    def run(self, what: str, arguments: list[str]) -> None:
        self.inputs += 1
        told = answer(arguments)
        self.executed += [what] if Path(MARK).exists() else []
        strayed = [p.name for p in Path("..").iterdir() if p.name != Path.cwd().name] + list(
            filter(os.path.exists, FAR)
        )
        self.outside += [f"{what}: {strayed}"] if strayed else []
        if told.code not in (0, 1, 2) or not _quiet(told.out + told.said):
            self.escaped.append(f"{what}: {arguments}: {told.code}")


def payload_drill(every: int = 1) -> Payloads:
    """Every payload (or each ``every``-th) through every door and as every name, in a folder that is alone in another."""
    watch, foreign = Watch(), list[str]()
    with tempfile.TemporaryDirectory() as name, chdir(name):
        Path("inside").mkdir()
        with chdir("inside"):
            for what, data, (file, *arguments) in itertools.islice(through_doors(), 0, None, every):
                _empty()
                Path(file).write_bytes(data)
                watch.run(what, arguments)
            hostile_study("plain.db", "harmless")
            answer(["report", "--study", "plain.db"])
            plain = Page(Path("report.html").read_text(encoding="utf-8"))
            for text in itertools.islice([*CODE, *PATHS, *HTML], 0, None, every):
                _empty()
                hostile_study("hostile.db", text)
                for arguments in itertools.chain(looking("hostile.db"), named(text)):
                    watch.run(f"name {text}", arguments)
                foreign += markup(plain)
    return Payloads(watch.inputs, watch.executed, watch.outside, watch.escaped, foreign)


def _quiet(text: str) -> bool:
    """Whether nothing in it would be obeyed by a terminal."""
    return all(c.isprintable() or c in "\n\r\t" for c in text)


def _empty() -> None:
    for path in Path().iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
