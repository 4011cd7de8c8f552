"""Every name that ``cimbo`` and ``predictors`` export is documented, with an example that is run here."""

import ast
import doctest
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import cimbo
import predictors

ROOT = Path(cimbo.__file__).resolve().parent.parent
HOMES = {"cimbo": cimbo.HOME_MODULES, "predictors": predictors._MODULE_OF}
NAMES = [
    (package, name)
    for package, homes in HOMES.items()
    for name in import_module(package).__all__
    if name in homes
]


@cache
def _body(module: str) -> list[ast.stmt]:
    found = import_module(module).__file__
    assert found is not None
    return ast.parse(Path(found).read_text(encoding="utf-8")).body


def documentation(package: str, name: str) -> str:
    """The docstring of an exported name; of an alias of types it is the text that follows the assignment."""
    module = f"{package}.{HOMES[package][name]}"
    body = _body(module)
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            value = getattr(following, "value", None)
            return str(value.value) if isinstance(value, ast.Constant) else ""
    home = getattr(import_module(package), name)
    assert home.__module__ != module, f"{package}.{name} is nowhere in {module}"
    return documentation_of_object(home)


def documentation_of_object(thing: object) -> str:
    return thing.__doc__ or ""


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda value: value)
def test_the_example_of_an_exported_name_runs(package, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = documentation(package, name)
    test = doctest.DocTestParser().get_doctest(text, {}, f"{package}.{name}", None, 0)
    assert test.examples, f"{package}.{name} has no example"
    told = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


def test_every_exported_name_has_a_place():
    for package, homes in HOMES.items():
        exported = set(import_module(package).__all__) - {"__version__"}
        assert exported == set(homes)
