"""A study goes on only with the code and the files that it was measured with; a comment changes neither."""

import subprocess
import sys
from pathlib import Path

import pytest

from cimbo.evaluation.user_code import code_of_module
from cimbo.study.fingerprint_changes import changes

MODULE = '''"""Words."""
import helpers.table
from helper import factor

def accuracy(design):
    """Say it."""
    return float(open("weights.txt").read()) * factor()

def measure(design):
    return {"accuracy": accuracy(design), "latency_ms": design["x"] + 1.0}
'''
OF_A_NETWORK = """
[network]
name = "fmnist-vit"
accuracy = "mine:accuracy"
{files}
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
"""
OF_A_FUNCTION = """
[evaluator]
python = "mine:measure"
{files}
[architecture.genes]
x = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "helper.py").write_text("def factor():\n    return 10.0\n")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "table.py").write_text("VALUES = [1]\n")
    (tmp_path / "weights.txt").write_text("7")
    return tmp_path


def optimize(folder: Path, text: str, budget: int, files: str = "") -> subprocess.CompletedProcess:
    (folder / "study.toml").write_text(text.format(files=files))
    words = ["optimize", "--config", "study.toml", "--study", "s.db", "--budget", str(budget)]
    command = [sys.executable, "-m", "cimbo", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("text", [OF_A_NETWORK, OF_A_FUNCTION])
def test_files_that_a_function_stands_on_are_named_when_they_change(folder, text):
    files = 'files = ["weights.txt"]'
    assert optimize(folder, text, 2, files).returncode == 0
    (folder / "mine.py").write_text(MODULE.replace("Say it.", "Say it anew.") + "# a comment\n")
    again = optimize(folder, text, 3, files)
    assert again.returncode == 0, again.stderr
    (folder / "helper.py").write_text("def factor():\n    return 11.0\n")
    (folder / "weights.txt").write_text("8")
    refused = optimize(folder, text, 4, files)
    assert refused.returncode == 2
    assert "the file weights.txt has changed; the file helper.py has changed" in refused.stderr


@pytest.mark.parametrize("text", [OF_A_NETWORK, OF_A_FUNCTION])
def test_a_declared_file_has_to_exist(folder, text):
    missing = optimize(folder, text, 2, 'files = ["weight.txt"]')
    assert missing.returncode == 2
    assert "does not exist; did you mean weights.txt?" in missing.stderr
    assert not (folder / "s.db").exists()


def test_code_is_that_of_the_folder_without_words(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    before = code_of_module("mine")
    assert sorted(before) == ["helper.py", "helpers/table.py", "mine.py"]
    (folder / "mine.py").write_text("# first line\n" + MODULE.replace('"""Words."""', ""))
    assert code_of_module("mine") == before
    (folder / "mine.py").write_text(MODULE.replace("helper import", "helper  import"))
    assert code_of_module("mine") != before


def test_texts_with_empty_lines_and_hashes_are_code(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    found = set()
    for text in ('"""a\n\n# b"""', '"""a\n# b"""', '"""a\n\n# c"""', '"a # b"'):
        (folder / "mine.py").write_text(f"VALUE = {text}\n")
        found.add(code_of_module("mine")["mine.py"])
    assert len(found) == 4


def test_a_comment_behind_a_long_text_is_no_code(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    (folder / "texts.py").write_text("TEXT = '''a\n  b'''\n")
    before = code_of_module("texts")
    (folder / "texts.py").write_text("TEXT = '''a\n  b'''  # a word\n")
    assert code_of_module("texts") == before


def test_packages_and_relative_imports_are_followed_and_what_is_installed_is_not(
    tmp_path, monkeypatch
):
    package = tmp_path / "my_package_of_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("import numpy\nfrom . import sizes\nfrom .more import *\n")
    (package / "sizes.py").write_text("SIZE = 1\n")
    (package / "more.py").write_text("import json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sorted(code_of_module("my_package_of_models.nets")) == [
        f"my_package_of_models/{name}.py" for name in ("__init__", "more", "nets", "sizes")
    ]
    assert code_of_module("numpy") == {}
    assert code_of_module("json") == {}
    assert code_of_module("cimbo.evaluation.several") == {}


def test_what_an_earlier_release_did_not_tell_is_no_change():
    older = {"network": {"accuracy": "m:f", "accuracy_file": "sha256:1"}}
    now = {
        "network": {
            **older["network"],
            "code_files": {"m.py": "sha256:9"},
            "files": {"w": "sha256:3"},
        }
    }
    assert changes(older, now) == []
    other = {"network": {**now["network"], "accuracy_file": "sha256:2"}}
    assert changes(older, other) == ["network.accuracy_file was 'sha256:1', is 'sha256:2'"]
    assert changes(now, other) == []  # a comment


@pytest.mark.parametrize(
    ("text", "table"), [(OF_A_NETWORK, "network"), (OF_A_FUNCTION, "evaluator")]
)
def test_a_file_that_is_read_and_not_declared_is_warned_of(folder, text, table):
    first = optimize(folder, text, 2)
    assert first.stderr.count("reads weights.txt, which the study does not name") == 1
    assert f'[{table}] files = ["weights.txt"]' in first.stderr
    (folder / "s.db").unlink()
    declared = optimize(folder, text, 2, 'files = ["weights.txt"]')
    assert "does not name" not in declared.stderr
