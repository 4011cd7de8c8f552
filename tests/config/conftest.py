"""Modules that a test writes into its own folder leave with it."""

import sys

import pytest


@pytest.fixture(autouse=True)
def own_modules():
    """Python would give the next test the module of this one: they are all called ``mine``."""
    sys.modules.pop("mine", None)
    yield
    sys.modules.pop("mine", None)
