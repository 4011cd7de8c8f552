"""What leaves a study: rows, Optuna storage, an ONNX network of the same logits, ZigZag's files, figures, the page."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cimbo import BadInput, Study
from cimbo.cli import run
from cimbo.config.study_config import preset
from cimbo.io import chip_exports
from cimbo.problem.objectives import candidate
from cimbo.study import records_table

CONFIG = preset("fmnist-mobilenet")
PROBLEM = CONFIG.problem
N = 200


def write(path, n=N, *, model=True):
    """A study of ``n`` designs: costs of the chip model, accuracy by a formula, predictions after the twentieth."""
    evaluator, rng = CONFIG.evaluator(), np.random.default_rng(0)
    about = {"config": {"name": CONFIG.name, "data": dict(CONFIG.data)}}
    with Study.open(
        path, PROBLEM.space, PROBLEM.objectives, PROBLEM.constraints, metadata=about
    ) as study:
        designs = PROBLEM.space.sobol(n, 0 if model else 1)
        costs = evaluator.costs(designs)
        for i, design in enumerate(designs):
            accuracy = (
                84 + design["depth_1"] + design.get("adc_bits", 8) / 2 - 0.3 * design["expand_1_1"]
            )
            metrics = {"accuracy": accuracy} | {k: float(v[i]) for k, v in costs.items()}
            guess = {
                "accuracy": (accuracy + rng.normal(0, 0.5), 0.5),
                "latency_ms": (metrics["latency_ms"], 0.0),
            }
            proposed = (
                {"origin": "proposed", "predicted": guess}
                if model and i >= 20
                else {"origin": "sobol"}
            )
            c = candidate(PROBLEM.space, design, **proposed)
            study.import_evaluation(
                c, metrics, seconds=1.5, reason="it broke" if i % 17 == 3 else None
            )
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study") / "s.db")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study") / "random.db", 40, model=False)


@pytest.fixture(scope="module")
def key(file):
    with Study.open(file, readonly=True) as study:
        return study.pareto()[0].key


def test_what_was_exported_replays_into_the_same_study(file, tmp_path):
    new = Study.open(None, PROBLEM.space, PROBLEM.objectives, PROBLEM.constraints)
    with Study.open(file, readonly=True) as study, new:
        assert run(["export", "--study", str(file), "-o", str(tmp_path / "s.csv")]) == 0
        for c, metrics, about in records_table.read(tmp_path / "s.csv", PROBLEM.space):
            new.import_evaluation(
                c, metrics, seconds=float(about["seconds"]), reason=about["reason"] or None
            )
        for a, b in zip(study.evaluations(), new.evaluations(), strict=True):
            assert (a.key, a.params, a.metrics, a.status, a.origin) == (
                b.key,
                b.params,
                b.metrics,
                b.status,
                b.origin,
            )
            assert a.extra.get("predicted") == b.extra.get("predicted")
        assert new.hypervolume() == study.hypervolume()


def test_a_wrong_row_is_named_by_its_line(file, tmp_path):
    path = tmp_path / "s.csv"
    run(["export", "--study", str(file), "-o", str(path)])
    lines = path.read_text().splitlines()
    cells = lines[4].split(",")
    cells[lines[0].split(",").index("resolution")] = "77"
    path.write_text("\n".join([*lines[:4], ",".join(cells)]))
    with pytest.raises(BadInput, match="line 5"):
        list(records_table.read(path, PROBLEM.space))


def test_a_frame_has_a_row_for_each_evaluation(file):
    with Study.open(file, readonly=True) as study:
        frame = study.frame()
        assert len(frame) == N
        assert set(frame.key[frame.status == "done"]) >= {r.key for r in study.pareto()}
        assert frame.predicted_accuracy.notna().sum() == N - 20
        best = frame[frame.status == "done"].sort_values("accuracy").iloc[-1]
        assert best.accuracy == max(r.metrics["accuracy"] for r in study.evaluations() if r.metrics)


def test_optuna_reads_the_storage(file, tmp_path):
    optuna = pytest.importorskip("optuna")
    assert (
        run(["export", "--study", str(file), "--to", "optuna", "-o", str(tmp_path / "o.db")]) == 0
    )
    loaded = optuna.load_study(study_name=CONFIG.name, storage=f"sqlite:///{tmp_path / 'o.db'}")
    with Study.open(file, readonly=True) as study:
        trials = loaded.get_trials()
        assert [t.user_attrs["key"] for t in trials] == [r.key for r in study.evaluations()]
        assert [t.params for t in trials] == [r.params for r in study.evaluations()]
        feasible = {
            t.user_attrs["key"]
            for t in trials
            if t.values and max(t.system_attrs["constraints"]) <= 0
        }
        assert feasible == {r.key for r in study.feasible_evaluations()}
        assert [d.name for d in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert (
        run(["export", "--study", str(file), "--to", "optuna", "-o", str(tmp_path / "o.db")]) == 2
    )


def test_a_study_in_use_is_backed_up_as_a_study(file, tmp_path):
    copy = tmp_path / "copy.db"
    with Study.open(file) as study:
        assert run(["export", "--study", str(file), "--to", "study", "-o", str(copy)]) == 0
        with Study.open(copy) as backup:
            assert backup.evaluations() == study.evaluations()
    assert run(["export", "--study", str(file), "--to", "study", "-o", str(copy)]) == 2
    assert run(["export", "--study", str(file), "--to", "study"]) == 2


def test_a_study_goes_through_optuna_and_back(file, tmp_path):
    pytest.importorskip("optuna")
    run(["export", "--study", str(file), "--to", "optuna", "-o", str(tmp_path / "o.db")])
    asked = [
        "import",
        str(tmp_path / "o.db"),
        "--study",
        str(tmp_path / "back.db"),
        "--preset",
        CONFIG.name,
    ]
    assert run(asked) == 0
    with (
        Study.open(file, readonly=True) as study,
        Study.open(tmp_path / "back.db", readonly=True) as back,
    ):
        kept = [(r.params, r.status, r.reason) for r in study.evaluations()]
        assert [(r.params, r.status, r.reason) for r in back.evaluations()] == kept
        assert back.hypervolume() == pytest.approx(study.hypervolume(), rel=1e-12)


def test_a_search_of_optuna_s_own_comes_in_with_a_map(tmp_path):
    optuna = pytest.importorskip("optuna")
    path = tmp_path / "theirs.db"
    theirs = optuna.create_study(storage=f"sqlite:///{path}", directions=["maximize", "minimize"])
    design = next(d for d in PROBLEM.space.sobol(8, 5) if "adc_bits" in d)
    theirs.enqueue_trial({"bits": design["adc_bits"]})

    def objective(trial):
        bits = trial.suggest_categorical("bits", list(range(1, 11)))
        for choice in PROBLEM.space.choices:
            if choice.name in design and choice.name != "adc_bits":
                trial.set_user_attr(choice.name, design[choice.name])
        trial.set_user_attr("area_mm2", 3.0)
        return 80.0 + bits, 0.25

    theirs.optimize(objective, n_trials=1)
    asked = [
        "import",
        str(path),
        "--map",
        "bits=adc_bits",
        "--study",
        str(tmp_path / "s.db"),
        "--preset",
        CONFIG.name,
    ]
    assert run(asked) == 0
    with Study.open(tmp_path / "s.db", readonly=True) as study:
        (record,) = study.evaluations()
        assert record.params == design
        assert record.metrics["accuracy"] == 80.0 + design["adc_bits"]


def test_a_database_that_is_none_of_optuna_s_is_refused(file, tmp_path, capsys):
    before = file.read_bytes()
    assert (
        run(["import", str(file), "--study", str(tmp_path / "s.db"), "--preset", CONFIG.name]) == 2
    )
    assert "is no storage of Optuna" in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()
    assert file.read_bytes() == before


def test_the_dashboard_opens_the_storage(file, tmp_path):
    dashboard = pytest.importorskip("optuna_dashboard")
    import optuna

    run(["export", "--study", str(file), "--to", "optuna", "-o", str(tmp_path / "o.db")])
    app = dashboard.wsgi(optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'o.db'}"))
    said = {}

    def get(path):
        from wsgiref.util import setup_testing_defaults

        environ = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        body = b"".join(app(environ, lambda status, headers, *_: said.update(status=status)))
        assert said["status"].startswith("200")
        return json.loads(body)

    (summary,) = get("/api/studies")["study_summaries"]
    assert summary["directions"] == ["maximize", "minimize"]
    assert len(get(f"/api/studies/{summary['study_id']}")["trials"]) == N


@pytest.mark.parametrize(
    ("supernet", "which"), [("fmnist-vit", "largest"), ("fmnist-mobilenet", "smallest")]
)
def test_the_network_as_onnx_gives_the_same_logits(tmp_path, supernet, which):
    onnxruntime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    import torch

    from cimbo.evaluation.accuracy.shipped import ShippedAccuracy, examples, supernetwork
    from cimbo.io import onnx_export
    from cimbo.supernets.measurement import recalibrate
    from cimbo.workloads import network

    ShippedAccuracy(supernet).measure(
        network(supernet).smallest()
    )  # a process may have measured before
    genes, images = getattr(network(supernet), which)(), examples(supernet, "validation")[0][:9]
    onnx_export.write(tmp_path / "n.onnx", supernet, genes)
    plain = supernetwork(supernet)
    recalibrate(plain, genes, examples(supernet, "calibration")[0])
    with torch.inference_mode():
        expected = plain(images, genes).numpy()
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"))
    (got,) = session.run(["logits"], {"images": images.numpy()})
    assert got.shape == (9, 10)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=2e-4)


def test_zigzag_s_files_say_what_the_simulator_was_given(file, key, tmp_path, capsys):
    assert (
        run(
            [
                "export",
                key,
                "--study",
                str(file),
                "--to",
                "zigzag",
                "-o",
                str(tmp_path / "z"),
                "--nearest",
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert [Path(p).name for p in said.out.split()][:4] == [
        "accelerator.yaml",
        "mapping.yaml",
        "network.yaml",
        "layer_00.yaml",
    ]
    with Study.open(file, readonly=True) as study:
        record = next(r for r in study.evaluations() if r.key == key)
        workload, chip = CONFIG.evaluator().placed(record.params)
    changed = chip_exports.nearest("zigzag", chip)
    for gene in changed:
        assert f"{gene} " in said.err
    if changed:
        assert (
            run(
                [
                    "export",
                    key,
                    "--study",
                    str(file),
                    "--to",
                    "zigzag",
                    "-o",
                    str(tmp_path / "other"),
                ]
            )
            == 2
        )
        assert "--nearest" in capsys.readouterr().err
        assert not (tmp_path / "other").exists()
    layers = json.loads((tmp_path / "z/network.yaml").read_text())
    assert [layer["layer"] for layer in layers] == [layer.name for layer in workload.layers]
    assert all((tmp_path / "z" / layer["workload"]).exists() for layer in layers)
    array = json.loads((tmp_path / "z/accelerator.yaml").read_text())["operational_array"]
    assert array["sizes"][1] == chip["rows"]


def test_zigzag_accepts_its_files(tmp_path):
    pytest.importorskip("zigzag")
    import logging

    from zigzag.api import get_hardware_performance_zigzag

    from cimbo.evaluation.simulators.zigzag import ZigZag
    from cimbo.hardware import BASELINE_CHIP
    from cimbo.workloads.layers import Workload, linear

    chip = {**BASELINE_CHIP, "planes": 1, "columns_per_adc": 1}
    network = Workload("two", (linear("first", 49, (256, 64)), linear("second", 49, (64, 256))))
    paths = {p.stem: str(p) for p in chip_exports.write_zigzag(tmp_path, network, chip)}
    logging.disable(logging.WARNING)
    costs = [
        get_hardware_performance_zigzag(
            str(tmp_path / layer["workload"]),
            paths["accelerator"],
            paths["mapping"],
            opt="latency",
            dump_folder=str(tmp_path),
            lpf_limit=4,
            nb_spatial_mappings_generated=1,
            in_memory_compute=True,
            loma_show_progress_bar=False,
        )[:2]
        for layer in json.loads(Path(paths["network"]).read_text())
    ]
    logging.disable(logging.NOTSET)
    ours = ZigZag().simulate(network, chip)
    assert sum(float(cycles) for _, cycles in costs) == pytest.approx(ours["cycles"], rel=1e-9)
    assert sum(float(energy) for energy, _ in costs) * 1e-6 == pytest.approx(
        ours["energy_uj"], rel=1e-9
    )


def accelforge_nodes(folder: Path) -> dict[str, dict]:
    """The nodes of arch.yaml, by name: a tag and JSON a line."""
    lines = (folder / "arch.yaml").read_text().splitlines()[2:]
    nodes = [json.loads(line.split(maxsplit=2)[2]) for line in lines]
    return {node["name"]: node for node in nodes}


def test_accelforge_s_files_hold_the_chip_and_every_layer(file, key, tmp_path):
    assert (
        run(["export", key, "--study", str(file), "--to", "accelforge", "-o", str(tmp_path)]) == 0
    )
    with Study.open(file, readonly=True) as study:
        record = next(r for r in study.evaluations() if r.key == key)
        workload, chip = CONFIG.evaluator().placed(record.params)
    nodes = accelforge_nodes(tmp_path)
    instances, area = 1, 0.0
    for node in nodes.values():
        instances *= math.prod(each["fanout"] for each in node.get("spatial", ()))
        area += node.get("area", 0) * (
            instances if node["name"] != "Converters" else nodes["Macro"]["spatial"][0]["fanout"]
        )
    assert area * 1e6 == pytest.approx(record.metrics["area_mm2"])
    assert instances == chip["pes"] * chip["macros_per_pe"] * chip["rows"] * (chip["cols"] // 8)
    layers = json.loads((tmp_path / "network.yaml").read_text())
    macs = [
        math.prod(
            json.loads((tmp_path / e["workload"]).read_text())["workload"]["rank_sizes"].values()
        )
        for e in layers
    ]
    assert sum(n * e["times"] for n, e in zip(macs, layers, strict=True)) == workload.macs


@pytest.mark.parametrize("array", ["analog_sram", "digital_sram"])
def test_accelforge_accepts_its_files(tmp_path, monkeypatch, array):
    """Tiles fill the arrays and several planes hide the load, so its mapper has no better way and no worse one than ours."""
    accelforge = pytest.importorskip("accelforge")
    from cimbo.hardware import BASELINE_CHIP, simulate
    from cimbo.workloads.layers import Workload, linear

    chip, layer = {**BASELINE_CHIP, "array": array}, linear("l", 196, (256, 256))
    paths = {
        p.stem: str(p)
        for p in chip_exports.write_accelforge(tmp_path, Workload("w", (layer,)), chip)
    }
    accelforge.set_n_parallel_jobs(1)
    monkeypatch.chdir(tmp_path)  # its mapper leaves a drawing
    found = accelforge.Spec.from_yaml(paths["arch"], paths["layer_00"]).map_workload_to_arch(
        print_progress=False
    )
    ours = simulate(Workload("w", (layer,)), chip)
    assert float(found.latency()) * 1e3 == pytest.approx(ours["latency_ms"], rel=1e-6)
    parts = ours["energy_parts_uj"]
    assert float(found.energy()) * 1e6 == pytest.approx(
        ours["energy_uj"] - parts["vector"], rel=1e-3
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--to", "onnx", "-o", "x"), "KEY"),
        (("--to", "nonsense"), "csv"),
        (("KEY", "--to", "csv"), "leave out KEY"),
        (("KEY", "--to", "onnx"), "-o"),
        (("--to", "parquet"), "-o"),
        (("KEY", "--to", "zigzag", "-o", "x"), "ZigZag"),
    ],
)
def test_bad_input_is_one_line(file, key, arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run(["export", *[key if a == "KEY" else a for a in arguments], "--study", str(file)]) == 2
    )
    said = capsys.readouterr().err
    assert word in said
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("what", "ending"), [("front", "pdf"), ("hypervolume", "png"), ("calibration", "svg")]
)
def test_figures(file, other, tmp_path, what, ending):
    pytest.importorskip("matplotlib")
    out = tmp_path / f"figure.{ending}"
    assert (
        run(
            ["plot", "--study", str(file), "--baseline", str(other), "--what", what, "-o", str(out)]
        )
        == 0
    )
    start = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}[ending]
    assert out.read_bytes().startswith(start)
    if ending == "svg":
        assert len(re.findall("<use", out.read_text())) > N / 2
    assert run(["plot", "--study", str(file), "-o", str(tmp_path / "figure.docx")]) == 2


def test_the_figure_of_a_front_can_show_what_comes_next(file, tmp_path):
    pytest.importorskip("matplotlib")
    for n in (0, 4):
        assert (
            run(["plot", "--study", str(file), "--next", str(n), "-o", str(tmp_path / f"{n}.svg")])
            == 0
        )
    without, shown = ((tmp_path / f"{n}.svg").read_text() for n in (0, 4))
    assert 'id="next"' not in without
    marks = re.search(r'<g id="next">.*?</g>', shown, re.DOTALL)
    assert marks
    assert marks[0].count("<use") == 4


@pytest.fixture(scope="module")
def pages(file, other, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    asked = ["report", "--study", str(file), "--baseline", str(other)]
    assert run([*asked, "-o", str(folder / "full.html")]) == 0
    assert run([*asked, "--lite", "--next", "0", "-o", str(folder / "lite.html")]) == 0
    return folder


def in_the_page(page: Path) -> dict:
    """The data that the script of a report draws."""
    found = re.search(r"<script[^>]*application/json[^>]*>(.*?)</script>", page.read_text(), re.S)
    return json.loads(found[1])


def next_in(data: dict) -> set[str]:
    """Keys of the designs that are predicted and not verified."""
    return {key for key, status in zip(data["key"], data["status"], strict=True) if status == "n"}


def test_the_report_of_200_evaluations_has_layers_and_keeps_to_its_size(file, pages):
    full, lite = (pages / f"{name}.html" for name in ("full", "lite"))
    assert full.stat().st_size < 6_000_000
    assert lite.stat().st_size < 300_000
    with Study.open(file, readonly=True) as study:
        front = study.pareto()
        deepest = CONFIG.evaluator().placed(front[0].params)[0].layers
    found = in_the_page(full)
    assert len(found["chips"]) == len(front) + 6  # and of what would be verified next
    row = found["key"].index(front[0].key)
    assert found["chips"][str(row)]["name"] == [layer.name for layer in deepest]
    assert not in_the_page(lite)["chips"]
    assert ">random<" in full.read_text()  # the baseline's curve, by its file's name


def test_the_report_tells_the_next_candidates_from_what_was_verified(file, pages):
    full, lite = (in_the_page(pages / f"{name}.html") for name in ("full", "lite"))
    keys = next_in(full)
    assert len(keys) == 6
    section = (pages / "full.html").read_text().split('<section id="next">')[1]
    assert all(key in section.split("</section>")[0] for key in keys)
    with Study.open(file, readonly=True) as study:
        assert len(study.evaluations()) == N  # asked, but neither recorded
        assert not study.running()  # nor claimed
        assert not keys & {r.key for r in study.evaluations()}
    assert not next_in(lite)


def test_a_study_that_has_no_model_yet_or_no_evaluator_has_a_report(tmp_path, capsys):
    page = tmp_path / "r.html"
    early = write(tmp_path / "early.db", 5, model=False)
    assert run(["report", "--study", str(early), "-o", str(page)]) == 0
    assert not next_in(in_the_page(page))
    space = PROBLEM.space
    with Study.open(
        tmp_path / "python.db", space, PROBLEM.objectives
    ) as study:  # says nothing of what evaluates it
        for i, design in enumerate(space.sobol(30)):
            study.tell(design, {"accuracy": 80 + i % 7, "latency_ms": 1 + i % 5})
    assert (
        run(["report", "--study", str(tmp_path / "python.db"), "--next", "2", "-o", str(page)]) == 0
    )
    assert len(next_in(in_the_page(page))) == 2
    assert run(["report", "--study", str(early), "--next", "-1", "-o", str(page)]) == 2
    assert "--next" in capsys.readouterr().err


def test_a_baseline_of_another_problem_is_refused(file, tmp_path, capsys):
    with Study.open(tmp_path / "b.db", PROBLEM.space, PROBLEM.objectives[:1]):
        pass
    assert (
        run(
            [
                "report",
                "--study",
                str(file),
                "--baseline",
                str(tmp_path / "b.db"),
                "-o",
                str(tmp_path / "r.html"),
            ]
        )
        == 2
    )
    assert "another problem" in capsys.readouterr().err


BROWSER = next(
    (b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None
)


@pytest.mark.skipif(BROWSER is None, reason="needs a browser (chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_real_browser_draws_the_page_without_a_word_of_complaint(pages, tmp_path, width):
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        f"--window-size={width},2000",
        "--enable-logging=stderr",
        "--dump-dom",
        (pages / "full.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    chosen = done.stdout.split('id="chosen"')[1].split("</aside>")[0]
    assert "Evaluation" in chosen  # the script ran, and chose a design
    chip = done.stdout.split("The chosen design on its chip</h2>")[1].split("</section>")[0]
    assert "layers: what bounds them" in chip
