"""Studies of chips for a network of the user's own: from the shell, from a study.toml and from Python."""

import json

import pytest

pytest.importorskip("onnx")

from onnx_graphs import Node, Stored, graph, save

import cimbo
from cimbo.cli import run
from cimbo.config.study_config import load

TOML = """
[network]
name = "{name}"

[[objectives]]
name = "{metric}"
goal = "min"

[[objectives]]
name = "area_mm2"
goal = "min"
"""


def network_file(folder, channels=8, name="own.onnx"):
    """A convolution and a linear layer."""
    nodes = [
        Node("Conv", ["x", "w"], ["c"]),
        Node("Flatten", ["c"], ["f"]),
        Node("Gemm", ["f", "v"], ["l"]),
    ]
    stored = {"w": Stored((channels, 3, 3, 3)), "v": Stored((36 * channels, 5))}
    made = save(folder, graph(nodes, {"x": ["batch", 3, 8, 8]}, stored))
    return made.rename(folder / name)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with a network and a study of 14 chips for it."""
    folder = tmp_path_factory.mktemp("own")
    network_file(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["optimize", "--network", "own.onnx", "--budget", "14", "--jobs", "1"]
        assert run([*words, "--study", "own.db"]) == 0
        yield folder


def document(capsys, *words):
    """The JSON that a command prints."""
    capsys.readouterr()
    code = run([*words, "--study", "own.db", "--format", "json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


def test_chips_are_searched_for_a_file(searched, capsys):
    found = document(capsys, "pareto")
    assert found["accuracies_measured"] == 0
    for design in found["pareto"]:
        assert design["architecture"] == {}
        assert set(design["metrics"]) == {"latency_ms", "energy_uj", "area_mm2"}
        assert (
            design["hardware"].get("adc_bits", 8) == 8
        )  # converters lose nothing, where there are any
    assert document(capsys, "status")["accuracy"] == "no accuracy is measured: costs alone"


def test_costs_are_those_of_simulate(searched, capsys):
    design = document(capsys, "pareto")["pareto"][0]
    words = ["simulate", "--network", "own.onnx", "--hardware", json.dumps(design["hardware"])]
    capsys.readouterr()
    assert run([*words, "--format", "json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    for metric, value in design["metrics"].items():
        assert alone[metric] == pytest.approx(value, rel=1e-9)


def test_commands_answer_for_it(searched, capsys):
    key = document(capsys, "pareto")["pareto"][0]["key"]
    assert len(document(capsys, "explain", key)["layers"]) == 2
    assert document(capsys, "robust", "--draws", "3")["designs"]
    assert run(["report", "--study", "own.db", "-o", "own.html"]) == 0
    page = (searched / "own.html").read_text(encoding="utf-8")
    assert "no accuracy is measured" in page.lower()
    fitted = document(capsys, "fit-predictors", "--samples", "14", "--out", "bundles")
    assert set(fitted["objectives"]) == {"latency_ms", "energy_uj", "area_mm2"}


def test_a_study_goes_on_with_the_same_layers_alone(searched, capsys):
    network_file(searched, 8, "renamed.onnx")
    network_file(searched, 9, "wider.onnx")
    words = ["optimize", "--study", "own.db", "--budget", "15", "--jobs", "1"]
    assert run([*words, "--network", "renamed.onnx"]) == 0
    capsys.readouterr()
    assert run([*words, "--network", "wider.onnx"]) == 2
    assert "network.macs was" in capsys.readouterr().err


def test_a_description_names_a_file_beside_it(tmp_path, monkeypatch):
    folder = tmp_path / "inner"
    folder.mkdir()
    network_file(folder)
    monkeypatch.chdir(tmp_path)
    (folder / "s.toml").write_text(TOML.format(name="own.onnx", metric="latency_ms"))
    with cimbo.open_session("inner/s.toml") as session:
        assert session.optimize(budget=4).succeeded == 4
    (folder / "a.toml").write_text(TOML.format(name="own.onnx", metric="accuracy"))
    with pytest.raises(cimbo.BadInput, match=r"accuracy.*name what measures it"):
        _ = load(folder / "a.toml").problem


def test_a_network_from_python(tmp_path):
    with cimbo.open_session(network=network_file(tmp_path)) as session:
        assert session.optimize(budget=4).succeeded == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--network", "nix.onnx"], "is no file"),
        (["--network", "vit-bb"], "did you mean vit-b"),
        (["--network", "own.onnx", "--preset", "vit-b-imagenet"], "give one of them"),
        (["--set", "a=3"], "name it with --network"),
        (["--network", "own.onnx", "--set", "a=3"], "no free size a"),
    ],
)
def test_mistakes_are_one_line(searched, capsys, words, told):
    assert run(["optimize", *words, "--study", "mistake.db"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (searched / "mistake.db").exists()


def test_a_chip_in_a_file_is_fixed(searched, capsys):
    front = document(capsys, "pareto")
    (searched / "front.json").write_text(json.dumps(front))
    key, chip = front["pareto"][0]["key"], front["pareto"][0]["hardware"]
    (searched / "chip.json").write_text(json.dumps(chip))
    for file in ("@chip.json", f"@front.json#{key}"):
        (design,) = document(capsys, "pareto", "--fix", file)["pareto"]
        assert design["hardware"] == chip
    words = ["portfolio", "own.onnx", "fmnist-vit", "--area", "1000", "--samples", "16"]
    for served in document(capsys, *words, "--fix", "@chip.json"):
        assert {name: served["chip"][name] for name in chip} == chip


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ("@nix.json", "cannot be read"),
        ("@front.json", "name one, as @front.json#"),
        ("@front.json#zz", "holds 0 designs"),
        ("@odd.json", "did you mean rows"),
        ("@list.json", "holds no chip"),
        ("rowz=64", "did you mean rows"),
    ],
)
def test_a_wrong_file_of_a_chip_is_one_line(searched, capsys, fix, told):
    (searched / "front.json").write_text(json.dumps(document(capsys, "pareto")))
    (searched / "odd.json").write_text('{"rowz": 64}')
    (searched / "list.json").write_text("[1, 2]")
    for command in (["pareto"], ["portfolio", "fmnist-vit", "--area", "100"]):
        capsys.readouterr()
        assert run([*command, "--study", "own.db", "--fix", fix]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_chips_for_several_networks(searched, capsys):
    network_file(searched, 16, "large.onnx")
    words = ["optimize", "--network", "own.onnx", "--network", "large.onnx", "--budget", "12"]
    assert run([*words, "--jobs", "1", "--study", "both.db"]) == 0
    capsys.readouterr()
    assert run(["pareto", "--study", "both.db", "--format", "json"]) == 0
    for design in json.loads(capsys.readouterr().out)["pareto"]:
        found = design["metrics"]
        each = [found["latency_ms_own"], found["latency_ms_large"]]
        assert found["worst_latency_ms"] == max(each)
        assert found["latency_ms"] == pytest.approx(sum(each) / 2)
        words = ["simulate", "--network", "large.onnx", "--format", "json"]
        assert run([*words, "--hardware", json.dumps(design["hardware"])]) == 0
        alone = json.loads(capsys.readouterr().out)
        assert alone["latency_ms"] == pytest.approx(found["latency_ms_large"])
