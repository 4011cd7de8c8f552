"""Thirty questions to ``cimbo mcp`` over stdio: every number is the one that the command line prints."""

import asyncio
import json
import sys

import pytest

from cimbo.cli import run
from cimbo.cli.agent import StudyTools
from cimbo.errors import BadInput

CHIP = {"rows": 128, "cols": 128, "macros_per_pe": 2, "pes": 16, "adc_bits": 6, "planes": 4}
CHIP |= {"columns_per_adc": 4, "buffer_mb": 0.5, "buffer_gb_s": 64, "dram_channels": 1}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    file = tmp_path_factory.mktemp("demo") / "demo.db"
    assert run(["demo", "--study", str(file)]) == 0
    return str(file)


def printed(capsys, *words):
    capsys.readouterr()
    assert run([*words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def questions(keys):
    """Thirty (tool, its arguments, the same question on the command line without --study)."""
    yield "status", {}, ["status"]
    yield "front", {}, ["pareto"]
    yield (
        "front",
        {"prefer": {"accuracy": 2, "latency_ms": 1}},
        ["pareto", "--prefer", "accuracy=2,latency_ms=1"],
    )
    yield "show", {}, ["show"]
    yield "explain", {}, ["explain"]
    for key in keys[:4]:
        yield "show", {"key": key[:8]}, ["show", key[:8]]
        yield "explain", {"key": key[:8]}, ["explain", key[:8]]
    for limit in (
        "area_mm2<=3",
        "area_mm2=5.2",
        "accuracy>=90",
        "latency_ms<=0.01",
        "energy_uj<=1",
    ):
        yield "what_if", {"limits": [limit]}, ["pareto", "--limit", limit]
    for fix in ("cols=128", "rows=64", "depth=2", "array=digital_sram", "embed=64"):
        yield "what_if", {"fix": [fix]}, ["pareto", "--fix", fix]
    both = {"fix": ["depth=3"], "limits": ["area_mm2<=4.1", "accuracy>=85"]}
    words = ["--fix", "depth=3", "--limit", "area_mm2<=4.1", "--limit", "accuracy>=85"]
    yield "what_if", both, ["pareto", *words]
    for network in ("fmnist-vit", "fmnist-mobilenet", "vit-b", "bert-base"):
        asked = ["simulate", "--network", network, "--hardware", json.dumps(CHIP)]
        yield "simulate", {"network": network, "hardware": CHIP}, asked
    wide = CHIP | {"rows": 256, "adc_bits": 7}
    for batch in (1, 8):
        asked = [
            "simulate",
            "--network",
            "vit-b",
            "--hardware",
            json.dumps(wide),
            "--batch",
            str(batch),
        ]
        yield "simulate", {"network": "vit-b", "hardware": wide, "batch": batch}, asked


def test_thirty_questions_are_answered_without_a_wrong_number(demo, tmp_path, capsys):
    pytest.importorskip("mcp.server.mcpserver")
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    keys = [design["key"] for design in printed(capsys, "pareto", "--study", demo)["pareto"]]
    asked = list(questions(keys))
    assert len(asked) == 30

    async def answers():
        started = StdioServerParameters(
            command=sys.executable,
            args=["-m", "cimbo", "mcp", "--study", demo, "--read-only"],
            env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        )
        found = []
        with (tmp_path / "stderr").open("w") as log:
            async with Client(stdio_client(started, errlog=log)) as client:
                offered = {tool.name for tool in (await client.list_tools()).tools}
                assert offered == {"status", "front", "what_if", "show", "explain", "simulate"}
                for tool, arguments, _ in asked:
                    found.append(await client.call_tool(tool, arguments))
                wrong = await client.call_tool("show", {"key": "zz"})
                assert wrong.is_error
                assert "no evaluation has this key" in wrong.content[0].text
        return found

    wrong = []
    for (tool, arguments, words), answer in zip(asked, asyncio.run(answers()), strict=True):
        assert not answer.is_error, answer.content
        told = json.loads(answer.content[0].text)
        place = [] if words[0] == "simulate" else ["--study", demo]
        if told != printed(capsys, *words, *place):
            wrong.append((tool, arguments))
    assert wrong == []


def test_designs_are_asked_and_told_and_files_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["ask", "-n", "1", "--preset", "fmnist-vit", "--study", "asked.db"]) == 0
    tools = StudyTools("asked.db")
    (design,) = tools.ask(1, by="me")["designs"]
    metrics = {"accuracy": 88.0, "latency_ms": 0.1, "area_mm2": 4.0}
    told = tools.tell([{"key": design["key"], "metrics": metrics}], source="a bench")
    assert (told["new"], told["evaluations"]) == (1, 1)
    assert tools.status()["measured_by"] == ["a bench"]
    assert [each["key"] for each in tools.front()["pareto"]] == [design["key"]]
    with pytest.raises(BadInput, match="names a file"):
        tools.what_if(fix=["@/etc/passwd"])
    for network in ("mine.onnx", "timm:resnet18", "os:system"):
        with pytest.raises(BadInput, match="is no family"):
            tools.simulate(network, CHIP)
    assert len(tools.offered(read_only=True)) == 6


def test_without_the_extra_a_line_says_what_to_install(demo, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    capsys.readouterr()
    assert run(["mcp", "--study", demo]) == 2
    assert (
        capsys.readouterr().err
        == "mcp: is not installed, or older than 2; pip install 'cimbo[mcp]'\n"
    )
