"""Simulators by name: ours, and those that plug-ins add under the entry points ``cimbo.simulators``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.plugins import check_options, find
from cimbo.problem.scalars import shown
from cimbo.workloads.layers import Workload
from cimbo.workloads.precision import at_chip_bits, states_bits

# Those that know cimbo's chips: they compare the bits of layers with those of the chip themselves
SHIPPED_SIMULATORS = ("accelforge", "cimbo", "table", "zigzag")


class Simulator(Protocol):
    """What a network costs on a chip."""

    @property
    def name(self) -> str:
        """Return the name by which studies ask for it."""
        ...

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> Mapping[str, Any]:
        """Computes what a network costs on a chip.

        Args:
            workload: The network, with counts of the whole batch. Its layers say the bits that the
                chip computes with.
            chip: Genes and fixed properties of the chip.

        Returns:
            At least latency_ms and energy_uj of a run of the whole batch, and area_mm2 of the chip;
            of a chip that cimbo's model knows the area may be left out. Other numbers are kept;
            "layers" may list costs by layer.

        Raises:
            BadInput: When the simulator cannot express the chip or the network.
        """
        ...


@dataclass(frozen=True)
class ClosedForm:
    """cimbo's own performance model."""

    name: str = "cimbo"
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.fixed, Mapping):
            raise BadInput(
                "simulator cimbo, fixed", f"is {shown(self.fixed)}", "give genes of a chip"
            )

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> Mapping[str, Any]:
        """Computes what a network costs on a chip, by cimbo's own model.

        Args:
            workload: The network, with counts of the whole batch.
            chip: Genes of the chip; they stand before ``fixed`` ones.

        Returns:
            What `cimbo.hardware.simulate` does.

        Raises:
            BadInput: As `cimbo.hardware.simulate` does.
        """
        return hardware.simulate(workload, {**self.fixed, **chip})


def ask(
    simulator_asked: Simulator, workload: Workload, chip: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Asks any simulator what a network costs on a chip.

    A simulator from outside is told layers at the bits that the chip computes with, and not at those
    that a file stores.

    Args:
        simulator_asked: The simulator.
        workload: The network, with counts of the whole batch.
        chip: Genes and fixed properties of the chip.

    Returns:
        What the simulator answers.

    Raises:
        BadInput: When it cannot express the chip or the network.
        RuntimeError: When it fails.
    """
    if getattr(simulator_asked, "name", "") in SHIPPED_SIMULATORS:
        return simulator_asked.simulate(workload, chip)
    return simulator_asked.simulate(at_chip_bits(workload, chip), chip)


def is_told_chip_bits(name: str, workload: Workload) -> bool:
    """Tells whether `ask` overwrites the bits of a network's layers with those of the chip.

    Args:
        name: The simulator's.
        workload: The network.

    Returns:
        True if the simulator is not a shipped one and a layer says how many bits its operands have.
    """
    return name not in SHIPPED_SIMULATORS and states_bits(workload)


def simulator(name: str, /, **options: Any) -> Simulator:
    """Makes a simulator.

    Args:
        name: "cimbo" (ours), zigzag, accelforge, command, table, or a plug-in's.
        **options: What it is set up with.

    Returns:
        The simulator.

    Raises:
        BadInput: When there is none of that name, when it takes no such options, or when what it
            needs is not here.
    """
    try:
        return find(
            "simulators", name, {known: partial(make, options) for known, make in _BUILT_IN.items()}
        )
    except TypeError as error:
        raise BadInput(
            f"simulator {name}", f"cannot be set up ({error})", "check its options"
        ) from None


def _zigzag(options: Mapping[str, Any]) -> Simulator:
    from cimbo.evaluation.simulators.zigzag import ZigZag, check_installed

    check_installed()  # before a search, not once an evaluation
    check_options("simulator zigzag", ZigZag, options)
    return ZigZag(**options)


def _accelforge(options: Mapping[str, Any]) -> Simulator:
    from cimbo.evaluation.simulators.accelforge import AccelForge

    check_options("simulator accelforge", AccelForge, options)
    return AccelForge(**options)


def _command(options: Mapping[str, Any]) -> Simulator:
    from cimbo.evaluation.simulators.command import Command

    check_options("simulator command", Command, options)
    return Command(**options)


def _table(options: Mapping[str, Any]) -> Simulator:
    from cimbo.evaluation.simulators.table import Table

    check_options("simulator table", Table, options)
    return Table(**options)


_BUILT_IN: dict[str, Callable[[Mapping[str, Any]], Simulator]] = {
    "accelforge": _accelforge,
    "cimbo": lambda options: ClosedForm(**options),
    "command": _command,
    "table": _table,
    "zigzag": _zigzag,
}
