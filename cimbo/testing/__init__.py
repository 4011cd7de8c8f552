"""Conformance kits: what cimbo expects of a plug-in, as checks that anyone may run on an own class.

>>> from cimbo.testing import check_simulator
>>> for finding in check_simulator(MySimulator()):
...     print(finding.verdict, finding.check, finding.detail)

``cimbo doctor NAME`` runs the kit of whatever is installed under that name. In a test of your own, ``failures`` of the
findings should be empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from cimbo.testing.accuracy import check_accuracy
from cimbo.testing.finding import Finding
from cimbo.testing.network import check_network
from cimbo.testing.simulator import check_simulator
from cimbo.testing.surrogate import check_surrogate

__all__ = [
    "Finding",
    "check_accuracy",
    "check_network",
    "check_simulator",
    "check_surrogate",
    "failures",
]


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """Picks the findings that failed.

    Args:
        findings: What a kit found.

    Returns:
        Findings of the verdict FAIL; what was skipped, or is only worth knowing, is none.
    """
    return [finding for finding in findings if finding.verdict == "FAIL"]
