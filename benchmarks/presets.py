"""Time and memory of a first search with each preset, as a new user would run it: ``cimbo optimize --budget 30``.

    python benchmarks/presets.py [PRESET ...]

Each runs in a process of its own, in an empty folder. CPU seconds are those of all its processes; memory is the
largest of any of them. Written to cimbo/config/presets/budget_30.json, which ``cimbo presets`` shows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cimbo.config import preset, presets
from cimbo.session.starter import EFFORT_FILE

BUDGET = 30
REPOSITORY = Path(__file__).parents[1]
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def effort(name: str) -> dict[str, int]:
    """Runs a preset.

    Args:
        name: Its name.

    Returns:
        CPU seconds, and megabytes of its largest process.

    Raises:
        RuntimeError: The command failed.
    """
    preset(name)
    asked = ["-m", "cimbo", "optimize", "--preset", name, "--budget", str(BUDGET)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURED, sys.executable, *asked]
        answer = subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    code, cpu_s, kilobytes = answer.stdout.split()
    if code != "0":
        raise RuntimeError(f"{name}: the command ended with {code}")
    return {"cpu_s": round(float(cpu_s)), "memory_mb": round(float(kilobytes) / 1024)}


def main() -> None:
    """Measures the presets that are named, or all, and keeps each as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*")
    asked = parser.parse_args()
    for name in asked.presets or presets():
        found = effort(name)
        known = json.loads(EFFORT_FILE.read_text()) if EFFORT_FILE.exists() else {}
        known[name] = found
        ordered = dict(sorted(known.items()))
        EFFORT_FILE.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
