"""``cimbo mcp``: a study for an agent, by the Model Context Protocol. Each tool answers what a command prints as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from cimbo._data import __version__
from cimbo.cli.grouped import command
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import as_json
from cimbo.cli.what_if import narrowed
from cimbo.errors import BadInput, choose_from
from cimbo.session import leases, simulation
from cimbo.session.front import key_or_knee
from cimbo.session.opening import open_to_tell
from cimbo.workloads import is_family_name, known

Document = dict[str, Any]
AGENT_INSTRUCTIONS = (
    "One cimbo study: a joint search over neural networks and compute-in-memory chips. Numbers are measured or "
    "simulated; take them as they are, with the unit that ends each name (latency_ms, energy_uj, area_mm2; "
    "accuracy is in percent). Keys name designs and may be shortened. status says what the study is about."
)


@dataclass(frozen=True)
class StudyTools:
    """What an agent may ask of a study. No tool reads a file that the agent names, runs a program or imports code.

    Attributes:
        file: The study's file.
    """

    file: str

    def status(self) -> Document:
        """How far the study is, what it is about, its constraints, and who evaluates what."""
        with existing(self.file) as session:
            return _plain(session.status().to_json())

    def front(self, prefer: dict[str, float] | None = None) -> Document:
        """The verified, feasible, non-dominated designs with their metrics; prefer: objective -> how much it matters."""
        with existing(self.file) as session:
            front = session.pareto()
            if prefer:
                front = front.preferring(session.study.problem, prefer)
            return _plain(front.to_json())

    def what_if(self, fix: list[str] | None = None, limits: list[str] | None = None) -> Document:
        """The front of another question on the same history: fix ["rows=64"], limits ["area_mm2<=3", "accuracy>=88"]."""
        for text in fix or []:
            if text.startswith("@"):
                raise BadInput(f"fix {text}", "names a file", "write GENE=VALUE")
        with existing(self.file) as session:
            return _plain(narrowed(session, fix or [], limits or []).pareto().to_json())

    def show(self, key: str | None = None) -> Document:
        """One evaluated design: genes, metrics, error bars, prediction; without a key the knee of the front."""
        with existing(self.file) as session:
            return _plain(session.show(key_or_knee(session, key)).to_json())

    def explain(self, key: str | None = None) -> Document:
        """Why a design costs what it costs: layers, bottleneck, shadow prices, neighbours; without a key the knee."""
        with existing(self.file) as session:
            return _plain(session.explain(key_or_knee(session, key)).to_json())

    def simulate(
        self,
        network: str,
        hardware: dict[str, Any],
        subnet: dict[str, Any] | None = None,
        batch: int | None = None,
    ) -> Document:
        """Costs of a network family (fmnist-vit, vit-b, ...) on a chip by cimbo's model: latency, energy, area, layers."""
        if not is_family_name(network):
            raise BadInput(f"network {network!r}", "is no family", choose_from(network, known()))
        workload = simulation.workload(network, subnet, batch=batch)
        return _plain(simulation.simulate(workload, hardware).to_json())

    def ask(self, n: int = 1, by: str = "agent", lease: str = "24h") -> Document:
        """Designs to evaluate elsewhere; the study remembers who has them until the lease ends."""
        seconds = leases.duration("lease", lease)
        with open_to_tell(self.file) as session:
            designs = []
            for each in session.ask(n, by=by, lease_s=seconds):
                designs.append({"key": each.candidate.key, "params": dict(each.candidate.params)})
        return _plain({"designs": designs})

    def tell(self, rows: list[dict[str, Any]], source: str, by: str = "agent") -> Document:
        """Record what was measured: rows of {"key", "metrics"} or {"key", "failed"}; source says what measured."""
        with open_to_tell(self.file) as session:
            return _plain(session.tell(json.dumps(rows), by=by, source=source).to_json())

    def offered(self, *, read_only: bool) -> list[Callable[..., Document]]:
        """List the tools.

        Args:
            read_only: Leave out those that write to the study.

        Returns:
            The tools, as bound methods.
        """
        tools: list[Callable[..., Document]] = [
            self.status,
            self.front,
            self.what_if,
            self.show,
            self.explain,
            self.simulate,
        ]
        if not read_only:
            tools += [self.ask, self.tell]
        return tools


def _plain(document: Document) -> Document:
    """A document as JSON has it: no number that is not finite, no tuple."""
    plain: Document = json.loads(as_json(document))
    return plain


@command()
@click.option("--read-only", is_flag=True, help="Without ask and tell, which write to the study.")
@study_option
def mcp(*, file: str, read_only: bool) -> None:
    """Let an AI agent use a study, by the Model Context Protocol over stdin and stdout.

    Tools: status, front, what_if, show, explain, simulate, ask and tell. Each answers what the command of the name prints
    with --format json. It needs pip install 'cimbo[mcp]'.

    Example: cimbo mcp --study demo.db --read-only
    """
    with existing(file):
        pass  # a wrong file is told before an agent asks
    server(StudyTools(file), read_only=read_only).run("stdio")


def server(tools: StudyTools, *, read_only: bool) -> Any:
    """Make the MCP server of a study.

    Args:
        tools: What it offers.
        read_only: Leave out what writes to the study.

    Returns:
        The server; call its ``run``.

    Raises:
        BadInput: The package mcp is not installed, or an older one.
    """
    made = _server_class()(
        "cimbo", instructions=AGENT_INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    for tool in tools.offered(read_only=read_only):
        made.tool()(_answering(tool))
    return made


def _server_class() -> Any:
    """The server of the package mcp. Raises BadInput where it is not there."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        todo = "pip install 'cimbo[mcp]'"
        raise BadInput("mcp", "is not installed, or older than 2", todo) from None
    return MCPServer


def _answering(tool: Callable[..., Document]) -> Callable[..., Document]:
    """The tool, whose bad input is an answer that says what is wrong."""
    from functools import wraps

    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def answer(*given: Any, **named: Any) -> Document:
        """Call the tool."""
        try:
            return tool(*given, **named)
        except (BadInput, RuntimeError) as error:
            raise ToolError(str(error)) from None

    return answer
