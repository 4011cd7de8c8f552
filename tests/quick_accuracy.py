"""A source of accuracy that costs nothing: the command line's search as it is, on any machine, in seconds."""

from pathlib import Path

import pytest

PROGRAM = '''
class Quick:
    """Larger networks and finer converters are more accurate."""

    genes = ("adc_bits",)

    def measure(self, design, part="validation"):
        from cimbo.workloads import network

        macs = network("fmnist-vit").workload(design).macs
        return 60 + 30 * macs / (macs + 2e6) - 16.0 / 2 ** design.get("adc_bits", 8) - (part == "test")
'''
CONFIG = """
[network]
name = "fmnist-vit"
accuracy = "quick"

[hardware.genes]
{genes}

[[objectives]]
name = "accuracy"
goal = "max"
reference = 60.0

[[objectives]]
name = "latency_ms"
goal = "min"
reference = 1.0

[[constraints]]
metric = "area_mm2"
bound = 6.0

[search]
initial = 10
batch = 5
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plug-in as pip would install it, for this process and its children; ``folder`` becomes the current one."""
    about = folder / "quick-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[cimbo.accuracy]\nquick = quick_plugin:Quick\n")
    (folder / "quick_plugin.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)


def study(folder: Path, name: str = "study.toml", genes: str = "") -> Path:
    """A study.toml of a joint search with that accuracy; ``genes``: lines of [hardware.genes]."""
    (folder / name).write_text(CONFIG.format(genes=genes))
    return folder / name
