"""Simulators behind the one protocol: ours, any program, a table, ZigZag."""

import json
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.evaluation.simulators import simulator
from cimbo.evaluation.simulators.zigzag import ZigZag, accelerator
from cimbo.hardware import BASELINE_CHIP, simulate
from cimbo.hardware.chip_columns import columns
from cimbo.workloads.layers import Workload, attention, linear

WORKLOAD = Workload("w", (linear("a", 197, (768, 768)), linear("b", 197, (768, 768))))
PLAIN = BASELINE_CHIP | {"planes": 1, "columns_per_adc": 1}


def test_ours_is_the_performance_model():
    assert simulator("cimbo").simulate(WORKLOAD, BASELINE_CHIP) == simulate(WORKLOAD, BASELINE_CHIP)


def test_unknown_simulator_and_options():
    with pytest.raises(BadInput, match="cimbo, command, table, zigzag"):
        simulator("gem5")
    with pytest.raises(BadInput, match=r"options\.file: is no option of it; use one of path"):
        simulator("table", file="x.csv")


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_command_gets_everything_on_stdin():
    echo = "import json,sys; d=json.load(sys.stdin); print(json.dumps({'latency_ms': d['workload']['layers'][1]['px'], "
    echo += "'energy_uj': d['chip']['rows'], 'area_mm2': 2.5}))"
    result = simulator("command", command=program(echo)).simulate(WORKLOAD, BASELINE_CHIP)
    assert result == {"latency_ms": 197, "energy_uj": BASELINE_CHIP["rows"], "area_mm2": 2.5}


def test_command_gets_a_file_where_asked():
    read = "import json,sys; print(json.dumps({'latency_ms': len(json.load(open(sys.argv[1]))['workload']['layers'])}))"
    assert (
        simulator("command", command=[*program(read), "{input}"]).simulate(WORKLOAD, {})[
            "latency_ms"
        ]
        == 2
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit('no licence')", "exit code 1: no licence"),
        ("print('hello')", "printed no JSON"),
        ("print('[1]')", "printed no JSON object"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_command_that_fails_is_a_failed_evaluation(text, message):
    with pytest.raises(RuntimeError, match=message):
        simulator("command", command=program(text), timeout_s=1).simulate(WORKLOAD, BASELINE_CHIP)


@pytest.mark.parametrize("words", ["./simulate", [], [1, 2]])
def test_command_must_be_words(words):
    with pytest.raises(BadInput, match="give a list of words"):
        simulator("command", command=words)


def test_command_that_is_not_there():
    with pytest.raises(BadInput, match="cannot be started"):
        simulator("command", command=["no-such-program"]).simulate(WORKLOAD, BASELINE_CHIP)


@pytest.fixture
def csv_table(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("macs,rows,cols,latency_ms,energy_uj\n" + f"{WORKLOAD.macs},128,128.0,0.5,7\n")
    return str(path)


def test_table_finds_a_row(csv_table):
    assert simulator("table", path=csv_table).simulate(WORKLOAD, BASELINE_CHIP) == {
        "latency_ms": 0.5,
        "energy_uj": 7.0,
    }


def test_table_without_a_row_is_a_failed_evaluation(csv_table):
    with pytest.raises(RuntimeError, match=r"no row for .*rows=64"):
        simulator("table", path=csv_table).simulate(WORKLOAD, BASELINE_CHIP | {"rows": 64})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rows,latency_ms\n", "has no rows"),
        ("rows,cols\n1,2\n", "has no metric"),
        ("rows,latency_ms\n1,fast\n", "line 2, latency_ms: is 'fast'"),
        ("speed,latency_ms\n1,2\n", "has the column speed"),
    ],
)
def test_malformed_tables(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        simulator("table", path=str(path)).simulate(WORKLOAD, BASELINE_CHIP)


def test_missing_table():
    with pytest.raises(BadInput, match="cannot be read"):
        simulator("table", path="nowhere.csv").simulate(WORKLOAD, BASELINE_CHIP)


def test_parquet_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "points.parquet"
    parquet.write_table(pyarrow.table({"rows": [128], "area_mm2": [3.0]}), path)
    assert simulator("table", path=str(path)).simulate(WORKLOAD, BASELINE_CHIP) == {"area_mm2": 3.0}


@pytest.mark.parametrize(
    "change", [{"planes": 4}, {"columns_per_adc": 8}, {"array": "rram"}, {"cell_bits": 2}]
)
def test_zigzag_refuses_what_it_does_not_model(change):
    with pytest.raises(BadInput, match="but ZigZag"):
        ZigZag().simulate(WORKLOAD, PLAIN | change)


def test_zigzag_description_is_plain_data():
    chip = {name: values[0] for name, values in columns(PLAIN).items()}
    description = json.loads(json.dumps(accelerator(chip)))
    assert description["operational_array"]["sizes"] == [16, 128, 32]
    assert description["memories"]["buffer"]["size"] == 2**22


def test_zigzag_evaluates_unique_layers_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        ZigZag, "_run", lambda self, layer, chip: calls.append(layer) or (100.0, 1e6)
    )
    ours = ZigZag()
    workload = Workload("w", (*WORKLOAD.layers, *attention("x", 49, 3, 16)))
    result = ours.simulate(workload, PLAIN)
    assert len(calls) == 3
    assert [layer["cycles"] for layer in result["layers"]] == [100, 100, 300, 300]  # three heads
    ours.simulate(workload, PLAIN)
    assert len(calls) == 3


@pytest.mark.skipif(find_spec("zigzag") is not None, reason="zigzag-dse is installed")
def test_zigzag_says_how_to_install_it():
    with pytest.raises(BadInput, match=r"cimbo\[zigzag\]"):
        ZigZag().simulate(WORKLOAD, PLAIN)


@pytest.mark.skipif(find_spec("zigzag") is None, reason="needs zigzag-dse")
def test_zigzag_agrees_with_our_law():
    layer = Workload("w", WORKLOAD.layers[:1])
    theirs = ZigZag().simulate(layer, ONE_MACRO)["cycles"]
    assert simulate(layer, ONE_MACRO)["cycles"] == pytest.approx(theirs, rel=0.05)


ONE_MACRO = PLAIN | {
    "rows": 128,
    "cols": 1024,
    "macros_per_pe": 1,
    "pes": 1,
    "dram_channels": 4,
    "buffer_gb_s": 64,
    "buffer_mb": 2,
    # As ZigZag sees a chip: no network on chip, no vector unit, all rows written at once, reads and loads in its way.
    "vector_lanes": 1e6,
    "noc_gb_s": 1e6,
    "packing": 0,
    "rows_written": 128,
    "zigzag_counting": 1,
}
RECORDED_CYCLE_NS = {
    ("charge_sram", 0): 9.82784,
    ("digital_sram", 8): 3.696,
    ("digital_sram", 4): 3.388,
}
MIXED_BITS = [
    # family, tokens, channels in and out, bits of inputs and weights (0: the chip's 8), cycles of zigzag-dse 3.9.1
    ("charge_sram", 197, (768, 512), (0, 0), 38817),
    ("charge_sram", 197, (768, 512), (4, 0), 19997),
    ("charge_sram", 197, (768, 512), (0, 4), 19413),
    ("charge_sram", 197, (768, 512), (4, 4), 10001),
    ("charge_sram", 64, (256, 256), (0, 0), 2221),
    ("charge_sram", 64, (256, 256), (4, 0), 1209),
    ("charge_sram", 64, (256, 256), (0, 4), 1115),
    ("charge_sram", 64, (256, 256), (4, 4), 607),
    ("charge_sram", 49, (1024, 640), (0, 0), 17329),
    ("charge_sram", 49, (1024, 640), (4, 0), 9645),
    ("charge_sram", 49, (1024, 640), (0, 4), 10209),
    ("charge_sram", 49, (1024, 640), (4, 4), 5597),
    ("digital_sram", 197, (768, 512), (0, 0), 40762),
    ("digital_sram", 197, (768, 512), (4, 0), 21942),
    ("digital_sram", 197, (768, 512), (0, 4), 20531),
    ("digital_sram", 197, (768, 512), (4, 4), 11119),
    ("digital_sram", 64, (256, 256), (0, 0), 2546),
    ("digital_sram", 64, (256, 256), (4, 0), 1534),
    ("digital_sram", 64, (256, 256), (0, 4), 1303),
    ("digital_sram", 64, (256, 256), (4, 4), 795),
    ("digital_sram", 49, (1024, 640), (0, 0), 20570),
    ("digital_sram", 49, (1024, 640), (4, 0), 12886),
    ("digital_sram", 49, (1024, 640), (0, 4), 12058),
    ("digital_sram", 49, (1024, 640), (4, 4), 7446),
]


@pytest.mark.parametrize(("family", "tokens", "channels", "bits", "cycles"), MIXED_BITS)
def test_layers_at_bits_of_their_own_take_the_cycles_that_zigzag_counts(
    family, tokens, channels, bits, cycles
):
    assert simulate(*mixed(family, tokens, channels, bits))["cycles"] == pytest.approx(
        cycles, rel=0.01
    )


@pytest.mark.skipif(find_spec("zigzag") is None, reason="needs zigzag-dse")
@pytest.mark.parametrize(("family", "tokens", "channels", "bits", "cycles"), MIXED_BITS)
def test_the_cycles_recorded_are_those_of_zigzag(family, tokens, channels, bits, cycles):
    assert ZigZag().simulate(*mixed(family, tokens, channels, bits))["cycles"] == cycles


def mixed(family, tokens, channels, bits) -> tuple[Workload, dict]:
    layer = replace(linear("l", tokens, channels), activation_bits=bits[0], weight_bits=bits[1])
    chip = ONE_MACRO | {"array": family, "adc_bits": 8}
    if family == "digital_sram":
        # ZigZag takes a layer of few bits for a chip built for them: trees as wide as its weights.
        chip |= {"adc_bits": 0, "tree_bits": bits[1] or 8}
    workload = Workload("w", (layer,))
    # The cycles were recorded beside arrays of this cycle, on which bytes a cycle depend.
    ours = simulate(workload, chip)
    recorded_ns = RECORDED_CYCLE_NS[family, chip.get("tree_bits", 0)]
    return workload, chip | {
        "cycle_factor": recorded_ns * ours["cycles"] / ours["latency_ms"] / 1e6
    }


def test_zigzag_refuses_weights_that_are_no_power_of_two():
    with pytest.raises(BadInput, match="powers of two"):
        ZigZag().simulate(*mixed("charge_sram", 64, (256, 256), (8, 6)))


@pytest.mark.skipif(find_spec("zigzag") is None, reason="needs zigzag-dse")
def test_zigzag_on_a_layer_of_one_operation():
    """It needs no loop in time, at which ZigZag's own drawing of the mapping stops."""
    chip = PLAIN | {"macros_per_pe": 1, "pes": 1, "cols": 1024, "dac_bits": 2}
    assert ZigZag().simulate(Workload("w", (linear("head", 1, (64, 10)),)), chip)["cycles"] > 0


@pytest.mark.parametrize(
    ("program", "limit", "complaint"),
    [
        ("import sys\nwhile True: sys.stdout.write('x' * 10**6)", 30.0, "printed more than"),
        ("import sys\nwhile True: sys.stderr.write('x' * 10**6)", 30.0, "printed more than"),
        ("import time; time.sleep(60)", 0.5, "took longer than 0.5 s"),
        ("print('[' * 10**6)", 30.0, "printed no JSON"),
    ],
)
def test_a_program_has_limits(program, limit, complaint):
    chosen = simulator("command", command=[sys.executable, "-c", program], timeout_s=limit)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=complaint):
        chosen.simulate(WORKLOAD, {})
    assert time.monotonic() - begin < 20


def test_what_a_program_started_ends_with_it(tmp_path):
    file = tmp_path / "pid"
    child = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    program = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {child!r}, {str(file)!r}])
time.sleep(60)
"""
    with pytest.raises(RuntimeError, match="took longer"):
        simulator("command", command=[sys.executable, "-c", program], timeout_s=3.0).simulate(
            WORKLOAD, BASELINE_CHIP
        )
    stat, deadline = Path(f"/proc/{file.read_text()}/stat"), time.monotonic() + 10
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_does_not_exist_is_found_out_before_a_search():
    with pytest.raises(BadInput, match="cannot be started"):
        simulator("command", command=["/no/such/program"]).check()


def test_a_bound_is_simulated_by_zigzag_where_it_is_installed():
    from cimbo.session.bounds import zigzag_costs
    from cimbo.workloads import network

    family = network("fmnist-vit")
    chip = BASELINE_CHIP | {"cols": 32, "macros_per_pe": 1, "pes": 1, "columns_per_adc": 1}
    workload = family.workload(family.smallest())
    if find_spec("zigzag") is None:
        with pytest.raises(BadInput, match="not installed"):
            zigzag_costs(workload, chip | {"planes": 1})
        return
    assert zigzag_costs(workload, chip | {"planes": 1})["latency_ms"] > 0
    with pytest.raises(BadInput, match="one plane"):
        zigzag_costs(workload, chip | {"planes": 2})
