"""What a network family must do: genes that make a space, and a workload for every sub-network in it."""

from __future__ import annotations

from collections.abc import Iterator

from cimbo.compat import dump_with_code, load_with_code
from cimbo.problem.space import Choice, SearchSpace
from cimbo.testing.finding import Finding, guarded, judged, passed, refuses
from cimbo.workloads import Network

N_SUBNETS = 16


def check_network(network: Network) -> list[Finding]:
    """Runs the kit for ``cimbo.networks`` on a family.

    Args:
        network: An object of :class:`cimbo.workloads.Network`.

    Returns:
        Findings in the order of the checks; an error that the family raises is one of them.
    """
    return list(guarded("network", lambda: _examine(network)))


def _examine(network: Network) -> Iterator[Finding]:
    yield judged(
        "name",
        isinstance(network.name, str) and bool(network.name),
        f"{network.name!r}",
        "name the family",
    )
    choices = list(network.choices())
    space = SearchSpace(choices)
    yield passed("genes", f"{len(choices)} genes, {space.size:,} sub-networks")
    yield judged(
        "genes stay the same",
        choices == list(network.choices()),
        "asked twice",
        "return them in a fixed order",
    )
    yield from guarded("extremes", lambda: _extremes(network, space))
    yield from guarded("sub-networks", lambda: _samples(network, space))
    yield from guarded("wrong genes", lambda: _wrong(network, choices))


def _extremes(network: Network, space: SearchSpace) -> Iterator[Finding]:
    small, large = (network.workload(genes) for genes in (network.smallest(), network.largest()))
    for genes in (network.smallest(), network.largest()):
        space.canonical(genes)
    detail = f"{small.macs:,} to {large.macs:,} MACs, {small.parameters:,} to {large.parameters:,} parameters"
    yield judged(
        "extremes", small.macs <= large.macs, detail, "smallest() must not be larger than largest()"
    )


def _samples(network: Network, space: SearchSpace) -> Iterator[Finding]:
    designs = space.sobol(N_SUBNETS, 0)
    works = [network.workload(design) for design in designs]
    yield passed(
        "every sub-network has a workload",
        f"{len(works)} tried, {min(len(w.layers) for w in works)} layers or more",
    )
    same = all(network.workload(d) == w for d, w in zip(designs, works, strict=True))
    yield judged(
        "the same genes, the same workload",
        same,
        f"{len(works)} asked twice",
        "let nothing else decide it",
    )
    yield judged(
        "workloads survive another process",
        load_with_code(dump_with_code(works[0])) == works[0],
        "sent and read back, as the engine does",
        "use cimbo.workloads.layers.Workload",
    )


def _wrong(network: Network, choices: list[Choice]) -> Iterator[Finding]:
    genes = dict(network.largest())
    first = choices[0].name
    lacking = {name: value for name, value in genes.items() if name != first}
    todo = "raise cimbo.errors.BadInput naming the gene"
    yield refuses(
        f"a sub-network without {first} is refused", lambda: network.workload(lacking), todo
    )
    yield refuses(f"{first} = -1 is refused", lambda: network.workload(genes | {first: -1}), todo)
