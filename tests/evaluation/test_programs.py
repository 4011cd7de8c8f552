"""Programs as evaluators: one-shot, servers, batches, layers one by one, and what becomes of them when they misbehave."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from cimbo import Choice, Objective, SearchSpace, Study, hardware
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.command import CommandAccuracy
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.programs import logs, protocol
from cimbo.evaluation.programs.answers import ProgramFailed, parse
from cimbo.evaluation.programs.program import Program
from cimbo.evaluation.programs.server import close_servers, server_of
from cimbo.evaluation.simulators import ask
from cimbo.evaluation.simulators.command import Command
from cimbo.evaluation.whole import FunctionEvaluator, ProgramEvaluator
from cimbo.hardware import BASELINE_CHIP
from cimbo.problem.space import canonical_key
from cimbo.processes import PROC_FOLDER, start_time
from cimbo.workloads import network
from cimbo.workloads.layer import BITS_FIELDS
from cimbo.workloads.layers import Workload, linear
from cimbo.workloads.precision import at_chip_bits, with_stage_bits

WORKLOAD = Workload("w", (linear("a", 197, (768, 768)), linear("b", 197, (768, 768))))

SERVER = """
import json, os, sys, time
print("ready")
for line in sys.stdin:
    asked = json.loads(line)
    design = asked.get("design", {})
    kind = design.get("do")
    print("working on", kind, flush=True)
    if kind == "die":
        sys.stderr.write("out of licences\\n")
        os._exit(3)
    if kind == "hang":
        time.sleep(60)
    if kind == "flood":
        while True:
            print("x" * 100000)
    if asked["request"] == "batch":
        print(json.dumps({"answers": [{"edp": r["design"]["x"], "pid": os.getpid()} for r in asked["requests"]]}), flush=True)
    else:
        sys.stderr.write("a warning\\n")
        sys.stderr.flush()
        print(json.dumps({"edp": design.get("x", 1), "pid": os.getpid(), "ok": True, "note": "n"}), flush=True)
"""


@pytest.fixture
def server(tmp_path):
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    yield ProgramEvaluator(
        Program("evaluator.command", [sys.executable, str(file)], 5.0, server=True)
    )
    close_servers()


def program(text, *words):
    return [sys.executable, "-c", text, *words]


def gone(pid, patience_s=5.0):
    """Whether the process ends within so long."""
    end = time.monotonic() + patience_s
    while start_time(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not start_time(pid)


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "metrics", "log"),
    [
        ('{"a": 1}', {"a": 1}, ""),
        ('{\n "a": 1\n}\n', {"a": 1}, ""),
        ('loading\n{"a": 1}\n', {"a": 1}, "loading"),
        ('{"a": 0}\n{"a": 1, "b": true, "c": "x", "protocol": 1}\nbye', {"a": 1}, '{"a": 0}\nbye'),
    ],
)
def test_the_answer_is_the_last_json_line(text, metrics, log):
    answer = parse("p", text)
    assert (answer.metrics("p"), answer.log) == (metrics, log)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "printed no JSON"),
        ("[1]", "printed no JSON object"),
        ('{"a": "x"}', "printed no JSON object with numbers"),
        ('{"a": NaN}', "a is nan"),
        ('{"failed": "no such array"}', "p: no such array"),
    ],
)
def test_what_is_no_answer(text, message):
    with pytest.raises(ProgramFailed, match=message):
        parse("p", text).metrics("p")


def test_an_answer_in_a_file_and_talk_in_the_log(tmp_path):
    write = "import sys, json; print('busy'); json.dump({'edp': 2}, open(sys.argv[1], 'w'))"
    evaluator = ProgramEvaluator(Program("e", program(write, "{output}")))
    evaluator.keep_logs(str(tmp_path / "logs"))
    assert evaluator({"x": 1}) == {"edp": 2}
    assert logs.file_of(str(tmp_path / "logs"), canonical_key({"x": 1})).read_text() == "busy\n"
    silent = ProgramEvaluator(Program("e", program("pass", "{output}")))
    with pytest.raises(ProgramFailed, match="wrote no output file"):
        silent({"x": 1})


def test_a_failed_run_keeps_its_log(tmp_path):
    fails = ProgramEvaluator(
        Program("e", program("import sys; print('step 1'); sys.exit('no mask')"))
    )
    fails.keep_logs(str(tmp_path))
    with pytest.raises(ProgramFailed, match="exit code 1: no mask"):
        fails({"x": 1})
    assert (tmp_path / f"{canonical_key({'x': 1})}.log").read_text() == "step 1\nno mask\n"


# ---- servers -------------------------------------------------------------------------------------------------------


def test_a_server_answers_many_requests_in_one_process(server, tmp_path):
    server.keep_logs(str(tmp_path))
    answers = [server({"x": x}) for x in range(5)]
    assert [answer["edp"] for answer in answers] == list(range(5))
    assert len({answer["pid"] for answer in answers}) == 1
    assert "note" not in answers[0]
    log = (tmp_path / f"{canonical_key({'x': 0})}.log").read_text()
    assert "working on None" in log


def test_a_server_that_dies_costs_one_evaluation(server):
    first = server({"x": 1})["pid"]
    with pytest.raises(ProgramFailed, match=r"the server ended \(exit code 3\): out of licences"):
        server({"do": "die"})
    assert server({"x": 1})["pid"] != first


def test_a_server_that_died_between_two_requests_is_started_again(server):
    first = int(server({"x": 1})["pid"])
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    assert server({"x": 1})["pid"] != first


@pytest.mark.parametrize(
    ("do", "message"), [("hang", "took longer than 1 s"), ("flood", "printed more than 64 MiB")]
)
def test_a_server_that_hangs_or_floods_is_ended(server, do, message):
    limit_s = 1.0 if do == "hang" else 60.0
    impatient = ProgramEvaluator(Program("e", server.program.command, limit_s, server=True))
    pid = int(impatient({"x": 1})["pid"])
    with pytest.raises(ProgramFailed, match=message):
        impatient({"do": do})
    assert gone(pid)
    assert impatient({"x": 3})["edp"] == 3


def test_a_request_larger_than_a_pipe(server):
    assert server({"x": 1, "text": "y" * 1_000_000})["edp"] == 1


def test_batches(server):
    server.batch = 2
    server.prepare([{"x": x} for x in range(5)])
    assert len(server.prepared) == 5
    starts = server_of(server.program.command).starts
    assert [server({"x": x})["edp"] for x in range(5)] == list(range(5))
    assert server_of(server.program.command).starts == starts == 1


def test_a_search_asks_for_batches(server, tmp_path):
    server.batch = 4
    space = SearchSpace([Choice("x", [1, 2, 3, 4])], [Choice("y", [1, 2])])
    with Study.open(tmp_path / "s.db", space, [Objective("edp", "min")], seed=3) as study:
        study.optimize(server, 4, batch_size=4, listener=None)
        assert [r.metrics["edp"] for r in study.evaluations()] == [
            r.params["x"] for r in study.evaluations()
        ]
        assert len(server.prepared) == 4
    assert server_of(server.program.command).starts == 1
    assert list((tmp_path / "s.db-logs").iterdir())  # of the design that was tried first


def test_a_server_reads_no_files():
    with pytest.raises(BadInput, match="a server reads lines from stdin"):
        Program("e", ["x", "{input}"], server=True)


# ---- nothing is left running ---------------------------------------------------------------------------------------

LONG = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
HOST = """
import sys
from cimbo.evaluation.programs.program import Program
words = [sys.executable, "-c", {long!r}, sys.argv[1]]
Program("e", words, server={server}).ask({{}})
"""


@pytest.mark.skipif(not PROC_FOLDER.exists(), reason="needs /proc")
@pytest.mark.parametrize("server_mode", [False, True])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_program_ends_with_whoever_started_it(tmp_path, server_mode, how):
    note = tmp_path / "pid"
    host = subprocess.Popen(
        [sys.executable, "-c", HOST.format(long=LONG, server=server_mode), str(note)],
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (note.exists() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    pid = int(note.read_text())
    host.send_signal(how)
    host.wait(20)
    assert gone(pid)


# ---- requests ------------------------------------------------------------------------------------------------------


def test_a_request_says_sizes_channels_and_padding():
    family = network("fmnist-mobilenet")
    document = protocol.network(family.workload(family.largest()))
    first = document["layers"][0]
    assert first["kind"] == "conv"
    assert (first["in_height"], first["in_width"]) == (28, 28)
    assert first["kernel"] > 1
    assert first["padding"] == first["kernel"] // 2
    assert document["layers"][1]["after"] == [first["name"]]
    for layer in document["layers"]:
        macs = layer["px"] * layer["reduction"] * layer["columns"] * layer["groups"]
        if "out_height" in layer:
            window = layer["kernel"] ** 2 * layer["in_channels"] // layer["groups"]
            own = layer["out_height"] * layer["out_width"] * layer["out_channels"] * window
            assert own == macs
    assert json.loads(json.dumps(document)) == document


def test_every_request_names_the_protocol():
    requests = [
        protocol.simulation(WORKLOAD, {}, None),
        protocol.layer_simulation({}, {}),
        protocol.accuracy({}, "validation", "w.pt"),
        protocol.evaluation({"a": 1, "b": 2}, ["a"], WORKLOAD, None),
        protocol.batch([]),
    ]
    assert {r["protocol"] for r in requests} == {1}
    assert [r["request"] for r in requests] == [
        "simulate",
        "layer",
        "accuracy",
        "evaluate",
        "batch",
    ]
    assert requests[3]["architecture"] == {"a": 1}
    assert requests[3]["hardware"] == {"b": 2}
    assert requests[2]["weights"] == "w.pt"


# ---- simulators and accuracies -------------------------------------------------------------------------------------

PER_LAYER = """
import json, os, sys
asked = json.load(sys.stdin)
with open(os.environ["CALLS"], "a") as file:
    file.write(asked["request"] + "\\n")
def cost(r):
    return {"latency_ms": r["layer"]["px"] / r["chip"]["rows"], "energy_uj": 1.5, "area_mm2": 7, "own": 2}
if asked["request"] == "batch":
    print(json.dumps({"answers": [cost(r) for r in asked["requests"]]}))
else:
    print(json.dumps(cost(asked)))
"""


@pytest.mark.parametrize("batch", [1, 8])
def test_distinct_layers_are_asked_for_once(tmp_path, monkeypatch, batch):
    script, calls = tmp_path / "s.py", tmp_path / "calls"
    script.write_text(f"# {batch}\n" + PER_LAYER)  # known answers belong to a content
    layers = (linear("a", 10, (8, 8)), linear("b", 10, (8, 8)), linear("c", 20, (8, 8)))
    monkeypatch.setenv("CALLS", str(calls))
    command = [sys.executable, str(script)]
    settings = {"per_layer": True, "batch": batch, "cache": str(tmp_path / "cache")}
    found = Command(command, **settings).simulate(Workload("w", layers), {"rows": 2})
    assert found["latency_ms"] == 5 + 5 + 10
    assert (found["energy_uj"], found["area_mm2"], found["own"]) == (4.5, 7, 6)
    assert [layer["name"] for layer in found["layers"]] == ["a", "b", "c"]
    assert calls.read_text().split() == (["layer"] * 2 if batch == 1 else ["batch"])
    Command(command, **settings).simulate(Workload("w", layers[:2]), {"rows": 2})
    assert len(calls.read_text().split()) == (2 if batch == 1 else 1)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    script.write_text(f"# {batch} changed\n" + PER_LAYER)
    Command(command, **settings).simulate(Workload("w", layers[:2]), {"rows": 2})
    assert len(calls.read_text().split()) == (3 if batch == 1 else 2)


def test_settings_that_no_simulator_has():
    for settings in ({"batch": 4}, {"cache": "x"}):
        with pytest.raises(BadInput, match="set per_layer = true"):
            Command(["x"], **settings)
    with pytest.raises(BadInput, match="does not exist"):
        Command(["true"], weights="none.pt").check()


def test_accuracy_of_a_program():
    text = "import json,sys; d=json.load(sys.stdin); print(json.dumps({'accuracy': 70 + d['design']['depth']}))"
    source = CommandAccuracy(program(text), genes=["adc_bits"])
    assert source.measure({"depth": 3}) == 73
    assert source.genes == ("adc_bits",)
    with pytest.raises(ProgramFailed, match="printed no accuracy: top1"):
        CommandAccuracy(program("print('{\"top1\": 3}')")).measure({})
    with pytest.raises(BadInput, match="parts"):
        CommandAccuracy(["x"], parts=["train"])


# ---- tried before a search -----------------------------------------------------------------------------------------


def test_what_fails_on_everything_is_told_before_a_search():
    fails = ProgramEvaluator(Program("e", program("import sys; sys.exit('no licence')")))
    with pytest.raises(BadInput, match=r"fails on each of the 2 designs .*no licence"):
        fails.try_first([{"x": 1}, {"x": 2}])


def test_what_was_tried_is_not_evaluated_again(tmp_path):
    text = (
        "import json,sys; x=json.load(sys.stdin)['design']['x']; open(sys.argv[1],'a').write('.'); "
    )
    text += "assert x > 1; print(json.dumps({'edp': x}))"
    calls = tmp_path / "calls"
    evaluator = ProgramEvaluator(Program("e", program(text, str(calls))))
    evaluator.try_first([{"x": 1}, {"x": 2}, {"x": 3}])
    assert evaluator({"x": 2}) == {"edp": 2}
    assert calls.read_text() == ".."


def test_a_function_is_known_by_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_models_of_things.py"
    module.write_text("def edp(design, factor=1):\n    return {'edp': factor * design['x']}\n")
    evaluator = FunctionEvaluator("my_models_of_things:edp", {"factor": 2})
    evaluator.check()
    assert evaluator({"x": 3}) == {"edp": 6}
    before = evaluator.fingerprint()
    module.write_text(module.read_text() + "FACTOR = 2\n")
    assert evaluator.fingerprint() != before


# ---- bits ----------------------------------------------------------------------------------------------------------

ECHO = "import json,sys;a=json.load(sys.stdin);print(json.dumps({'latency_ms':1,'layers':a['workload']['layers']}))"
BITS_TOLD = [  # genes of the chip, bits that the file says (weights, inputs), bits told
    ({}, (32, 32), (8, 8, 8)),
    ({}, (0, 0), (8, 8, 8)),
    ({}, (4, 0), (4, 8, 8)),
    ({"weight_bits": 4, "act_bits": 6}, (32, 32), (4, 6, 6)),
    ({"weight_bits": 4, "act_bits": 6}, (2, 5), (2, 5, 5)),
    ({"weight_bits": "int4"}, (16, 16), (8, 8, 8)),
]


def stored_in(weight_bits, act_bits):
    stored = {"weight_bits": weight_bits, "activation_bits": act_bits}
    layers = tuple(replace(layer, **stored) for layer in WORKLOAD.layers)
    return replace(WORKLOAD, layers=layers)


@pytest.mark.parametrize(("chip", "stored", "told"), BITS_TOLD)
def test_programs_are_told_the_bits_that_the_chip_computes_with(chip, stored, told):
    found = ask(Command(program(ECHO)), stored_in(*stored), chip)
    for layer in found["layers"]:
        assert tuple(layer[name] for name in BITS_FIELDS) == told


def test_stages_of_few_bits_are_told_with_what_is_written_for_the_next_one():
    family = with_stage_bits(network("fmnist-mobilenet"), (4, 8))
    genes = {**family.largest(), "weight_bits_1": 4, "act_bits_1": 4}
    found = ask(Command(program(ECHO)), family.workload(genes), {})
    of_stages = {layer["name"]: layer for layer in found["layers"]}
    first = [layer for name, layer in of_stages.items() if name.startswith("stage_1.")]
    assert {(layer["weight_bits"], layer["activation_bits"]) for layer in first} == {(4, 4)}
    assert first[-1]["output_bits"] == 8  # what the second stage reads
    assert {layer["output_bits"] for layer in of_stages.values()} == {4, 8}


@pytest.mark.parametrize("name", ["fmnist-vit", "fmnist-mobilenet", "ofa-resnet50"])
@pytest.mark.parametrize("bits", [(8, 8), (4, 6), (6, 4)])
def test_the_bits_told_are_those_that_the_chip_model_counts(name, bits):
    """A simulator from outside sees the network that cimbo's own model sees."""
    family = network(name)
    workload = family.workload(family.smallest())
    layers = tuple(replace(each, weight_bits=32, activation_bits=32) for each in workload.layers)
    stored = replace(workload, layers=layers)
    chip = BASELINE_CHIP | {"weight_bits": bits[0], "act_bits": bits[1]}
    told = hardware.simulate(at_chip_bits(stored, chip), chip)
    costs = hardware.simulate(stored, chip)
    assert told["energy_uj"] == costs["energy_uj"]
    assert told["cycles"] == costs["cycles"]


def test_a_study_says_that_programs_were_told_other_bits_than_the_files():
    of_family = JointEvaluator("fmnist-vit", "none", "command", {"command": program(ECHO)})
    assert "bits" not in of_family.fingerprint()["hardware"]
    in_stages = replace(of_family, stage_bits=(4, 8))
    assert "bits" in in_stages.fingerprint()["hardware"]
    own = replace(in_stages, simulator="cimbo", options={})
    assert "bits" not in own.fingerprint()["hardware"]
