"""The conformance kits find what is wrong, and accept what is right."""

import math

import pytest

from cimbo import workloads
from cimbo.evaluation.simulators import ClosedForm
from cimbo.testing import (
    Finding,
    check_accuracy,
    check_network,
    check_simulator,
    check_surrogate,
    failures,
)


class Simulator(ClosedForm):
    """Ours, with one thing changed."""

    def __init__(self, **change):
        super().__init__()
        object.__setattr__(self, "change", change)

    def simulate(self, workload, chip):
        return dict(super().simulate(workload, chip)) | self.change


class Greedy(ClosedForm):
    def simulate(self, workload, chip):
        answer = super().simulate(workload, dict(chip))
        chip["rows"] = 1
        return answer


def found(findings):
    return {f.check for f in failures(findings)}


def test_the_closed_form_passes():
    assert not failures(check_simulator(ClosedForm()))


@pytest.mark.parametrize("value", [math.nan, -1.0, "fast", None, math.inf])
def test_a_simulator_with_a_wrong_latency(value):
    assert "latency_ms" in found(check_simulator(Simulator(latency_ms=value)))


def test_a_simulator_that_changes_its_argument_or_forgets_a_layer():
    assert "the chip is left as it was" in found(check_simulator(Greedy()))
    assert found(check_simulator(Simulator(layers=[]))) == {"layers"}


def test_a_simulator_that_raises_is_a_finding():
    class Broken(ClosedForm):
        def simulate(self, workload, chip):
            raise ZeroDivisionError("by the user")

    assert [f.detail for f in failures(check_simulator(Broken()))] == [
        "raised ZeroDivisionError: by the user"
    ]


class Family:
    """A family that passes its calls on to a shipped one."""

    name = "mine"

    def __init__(self):
        self.inner = workloads.network("fmnist-vit")

    def choices(self):
        return self.inner.choices()

    def workload(self, subnet):
        return self.inner.workload(subnet)

    def largest(self):
        return self.inner.largest()

    def smallest(self):
        return self.inner.smallest()


class Lenient(Family):
    def workload(self, subnet):
        return self.inner.workload(
            self.inner.largest() | {k: v for k, v in subnet.items() if v != -1}
        )


class Forgetful(Family):
    calls = 0

    def workload(self, subnet):
        self.calls += 1
        return self.inner.workload(subnet if self.calls % 3 else self.inner.largest())


def test_network_families():
    assert not failures(check_network(Family()))
    assert {"a sub-network without depth is refused", "depth = -1 is refused"} <= found(
        check_network(Lenient())
    )
    assert "the same genes, the same workload" in found(check_network(Forgetful()))


class Source:
    genes = ("adc_bits",)

    def __init__(self, *values):
        self.values = list(values)

    def measure(self, design, part="validation"):
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def test_sources_of_accuracy():
    assert not failures(check_accuracy(Source(77.5)))
    assert "validation accuracy" in found(check_accuracy(Source(130.0)))
    assert "the same design, the same accuracy" in found(check_accuracy(Source(77.0, 78.0, 77.0)))
    strange = Source(77.5)
    strange.genes = ("adc_bits", "colour")
    assert "hardware genes that change it" in found(check_accuracy(strange))


class Mean:
    def __init__(self, X, y):
        self.centre = y.mean()

    def predict(self, X):
        class Said:
            mean = [self.centre] * len(X)
            std = [1.0] * len(X)

        return Said()


def test_surrogates():
    assert "better than the mean" in found(check_surrogate(Mean))
    assert found(check_surrogate(lambda X, y: None)) == {"surrogate"}


def test_only_what_fails_is_a_failure():
    verdicts = ("PASS", "SKIP", "WARN", "FAIL")
    findings = [Finding("a check", verdict) for verdict in verdicts]
    assert failures(findings) == [Finding("a check", "FAIL")]
