"""Evaluations of other programs told into a study: all rows or none."""

import csv
import json
import math
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import BadInput, Choice, Objective, SearchSpace, Study
from cimbo.cli import run
from cimbo.config.study_config import preset as presets
from cimbo.io import importers
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.workloads import network

PROBLEM = Problem(SPACE, OBJECTIVES, CONSTRAINTS)
DYNAST_FILE = Path(__file__).parents[3] / "shared/data/ofa_mbv3_imagenet_linas.csv"


def rows(n: int = 12) -> list[dict]:
    return [d | measure(d) for d in SPACE.sobol(n, 4)]


def write(path: Path, lines: list[dict]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, dict.fromkeys(name for line in lines for name in line), restval=""
        )
        writer.writeheader()
        writer.writerows(lines)
    return path


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "toy.db"
    Study.open(file, SPACE, OBJECTIVES, CONSTRAINTS).close()
    return file


def test_rows_become_evaluations_and_the_search_starts_from_them(tmp_path, study, capsys):
    lines = [{"note": "by hand", **r, "adc": r["rows"]} for r in rows()]
    for line in lines:
        del line["rows"]
    file = write(tmp_path / "old.csv", lines)
    assert (
        run(["import", str(file), "--map", "adc=rows", "--study", str(study), "--format", "json"])
        == 0
    )
    said = capsys.readouterr()
    assert json.loads(said.out) == {"rows": 12, "new": 12, "evaluations": 12, "ignored": ["note"]}
    assert "note" in said.err
    assert (
        run(["import", str(file), "--map", "adc=rows", "--study", str(study), "--format", "json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["new"] == 0
    with Study.open(study) as opened:
        for record, line in zip(opened.evaluations(), rows(), strict=True):
            assert record.origin == "imported"
            assert {**record.params, **record.metrics} == line
        opened.optimize(measure, 15, batch_size=3, guidance=OptimizerOptions(kind="gp", initial=12))
        assert [r.origin for r in opened.evaluations()[12:]].count("proposed") >= 1


def test_an_export_comes_back_as_it_was_failures_included(tmp_path, study, capsys):
    with Study.open(study) as opened:
        for i, line in enumerate(rows(6)):
            design = {k: v for k, v in line.items() if k in SPACE.column}
            opened.tell(
                design, None if i == 2 else measure(design), reason="fell over" if i == 2 else None
            )
        first = opened.evaluations()
    assert run(["export", "--study", str(study), "-o", str(tmp_path / "all.csv")]) == 0
    copy = tmp_path / "copy.db"
    Study.open(copy, SPACE, OBJECTIVES, CONSTRAINTS).close()
    assert run(["import", str(tmp_path / "all.csv"), "--study", str(copy)]) == 0
    with Study.open(copy) as opened:
        again = opened.evaluations()
    assert [(r.key, r.metrics, r.status, r.reason) for r in again] == [
        (r.key, r.metrics, r.status, r.reason) for r in first
    ]


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("rows", "100", "line 5, rows: cannot be '100'"),
        ("cell", "d", "line 5, cell: cannot be 'd'"),
        ("rows", "", "line 5: gene rows is missing"),
        ("accuracy", "", "line 5, accuracy: is ''"),
        ("accuracy", "nan", "line 5, accuracy: is 'nan'"),
        ("latency_ms", "0", "line 5, latency_ms: is '0'"),
        ("area_mm2", "large", "line 5, area_mm2: is 'large'"),
    ],
)
def test_one_bad_row_and_nothing_is_written(tmp_path, study, capsys, column, value, complaint):
    lines = rows()
    lines[3][column] = value
    file = write(tmp_path / "bad.csv", lines)
    assert run(["import", str(file), "--study", str(study)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert f"{file}, {complaint}" in said.err
    with Study.open(study, readonly=True) as opened:
        assert opened.evaluations() == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no rows"),
        (b"rows,cell\n", "has no rows"),
        (b"rows,cell\n64\n", "line 2: has another number of cells"),
        (b"rows,cell\n64,a,3\n", "line 2: has another number of cells"),
        (b"rows,subnet\n64,{oops\n", "line 2, subnet: is no dict"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"depth,w1,rows,cell\n1,1,64,a\n", "accuracy: is missing"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_no_table_of_evaluations(tmp_path, content, complaint):
    file = tmp_path / "x.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match=complaint):
        importers.read(file, PROBLEM)


@pytest.mark.parametrize("pair", ["nonsense", "=rows", "column=", "missing=rows"])
def test_maps_that_are_none(tmp_path, study, capsys, pair):
    file = write(tmp_path / "ok.csv", rows())
    assert run(["import", str(file), "--map", pair, "--study", str(study)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_no_study_is_made_for_a_file_that_is_refused(tmp_path, capsys):
    file = write(tmp_path / "bad.csv", rows())  # the toy problem is not the default preset
    assert run(["import", str(file), "--study", str(tmp_path / "new.db")]) == 2
    assert not (tmp_path / "new.db").exists()
    capsys.readouterr()


def test_sub_networks_in_one_cell_are_spread_over_the_genes_of_a_stem(tmp_path):
    space = SearchSpace(
        [Choice("size", [1, 2]), *(Choice(f"kernel_{i}", [3, 5, 7]) for i in (1, 2, 3))]
    )
    problem = Problem(space, (Objective("accuracy", "max"),))
    file = write(
        tmp_path / "nets.csv",
        [{"net": json.dumps({"s": [2], "ks": [3, 7, 5], "w": None}), "acc": 70.5}],
    )
    table = importers.read(file, problem, {"s": "size", "ks": "kernel", "acc": "accuracy"})
    assert table.rows == [
        importers.Row({"size": 2, "kernel_1": 3, "kernel_2": 7, "kernel_3": 5}, {"accuracy": 70.5})
    ]


def dynast(path: Path, name: str, columns: dict[str, str], n: int = 16) -> Path:
    """A result file as DyNAS-T writes it: each sub-network a dict of lists over all blocks, no latency measured."""
    lines = []
    for i, d in enumerate(SearchSpace(network(name).choices()).sobol(n, 3)):
        whole = {c.name: d.get(c.name, c.values[0]) for c in network(name).choices()}
        net = {
            k: [v for g, v in whole.items() if g.startswith(stem)] for k, stem in columns.items()
        }
        measured = {"Latency (ms)": 0, "Top-1 Acc (%)": 75 + i / 9}
        lines.append({"Sub-network": str({"wid": None, **net}), "Date": "2022-11-01", **measured})
    return write(path, lines)


@pytest.mark.parametrize(
    ("preset", "family", "columns"),
    [
        (
            "ofa-mobilenetv3-imagenet",
            "ofa-mobilenetv3",
            {"ks": "kernel", "e": "expand", "d": "depth", "r": "resolution"},
        ),
        (
            "vit-b-imagenet",
            "vit-b",
            {
                "num_layers": "depth",
                "num_attention_heads": "heads",
                "vit_intermediate_sizes": "ffn",
            },
        ),
    ],
)
def test_measured_networks_teach_a_joint_search_once_they_are_put_on_a_chip(
    tmp_path, capsys, preset, family, columns
):
    space = presets(preset).problem.space
    file, study = dynast(tmp_path / "nets.csv", family, columns), str(tmp_path / "joint.db")
    if "resolution" in space.column:
        file.write_text(re.sub(r"'r': \[\d+\]", "'r': [224]", file.read_text()))
    asked = ["import", str(file), "--study", study, "--preset", preset]
    assert run(asked) == 2
    assert "--hardware" in capsys.readouterr().err
    assert run([*asked, "--hardware", '{"rows": 3}']) == 2
    assert run([*asked, "--hardware", '{"rowz": 128}']) == 2
    assert run([*asked, "--hardware", '{"rows": 128}']) == 2  # the other genes are missing still
    assert not Path(study).exists()
    assert run([*asked, "--hardware", "baseline", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["new"] == 16
    assert "costs are simulated" in said.err
    assert "latency_ms, neither" not in said.err
    assert run(["pareto", "--study", study, "--format", "json"]) == 0
    assert {d["accuracy_is"] for d in json.loads(capsys.readouterr().out)["pareto"]} == {
        "imported"
    }  # others are modelled
    chip, evaluator = presets(preset).baseline(), presets(preset).evaluator()
    with Study.open(study) as opened:
        for i, r in enumerate(opened.evaluations()):
            assert r.metrics["accuracy"] == pytest.approx(75 + i / 9)
            assert {k: r.params[k] for k in chip} == chip
            assert r.metrics["latency_ms"] == pytest.approx(
                evaluator.simulated(r.params)["latency_ms"]
            )
        # within the area of the baseline, which is theirs
        assert len(opened.feasible_evaluations()) == 16
        [c] = opened.ask(1, guidance=OptimizerOptions(kind="gp", initial=16))
    assert c.origin == "proposed"
    assert c.predicted["accuracy"][0] == pytest.approx(76, abs=3)


def test_a_simulator_that_cannot_gives_failed_evaluations(tmp_path, capsys):
    columns = {
        "num_layers": "depth",
        "num_attention_heads": "heads",
        "vit_intermediate_sizes": "ffn",
    }
    file, study = dynast(tmp_path / "nets.csv", "vit-b", columns, 3), str(tmp_path / "s.db")
    told = ["--simulator", "command", "--simulator-options", '{"command": ["false"]}']
    assert (
        run(
            [
                "import",
                str(file),
                "--study",
                study,
                "--preset",
                "vit-b-imagenet",
                "--hardware",
                "baseline",
                *told,
            ]
        )
        == 0
    )
    with Study.open(study, readonly=True) as opened:
        assert [r.status for r in opened.evaluations()] == ["failed"] * 3
        assert all(r.reason for r in opened.evaluations())
    capsys.readouterr()


@pytest.mark.skipif(not DYNAST_FILE.exists(), reason="needs measured results of DyNAS-T")
def test_dynast_results_come_in_where_the_space_fits(tmp_path, capsys):
    space = SearchSpace(network("ofa-mobilenetv3").choices())
    file = tmp_path / "ofa.db"
    Study.open(
        file, space, [Objective("accuracy", "max", 70.0), Objective("macs", "min", 6e8)]
    ).close()
    assert run(["import", str(DYNAST_FILE), "--study", str(file), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 554
    with Study.open(file, readonly=True) as study:
        best = max(study.evaluations(), key=lambda r: r.metrics["accuracy"])
        assert study.hypervolume() > 0
        assert 77 < best.metrics["accuracy"] < 80


# ---- what contradicts what was known, and what is no final value ------------------------------------------------------

KNOBS = SearchSpace(hardware=[Choice("a", [1, 2, 3])])
LOSS = [Objective("y", "min")]


def optuna_storage(path, pruned=True):
    """Trials 1 (complete, 1.0), 2 (pruned at 0.1 after one epoch), 3 (failed), 1 again (complete, 2.0)."""
    optuna = pytest.importorskip("optuna")
    states = optuna.trial.TrialState
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="s")
    told = [(1, states.COMPLETE, 1.0), (2, states.PRUNED, 0.1), (3, states.FAIL, None)]
    for a, state, value in [*told, (1, states.COMPLETE, 2.0)]:
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params={"a": a},
                distributions={"a": optuna.distributions.CategoricalDistribution([1, 2, 3])},
                intermediate_values={} if value is None else {1: value},
            )
        )


def test_pruned_trials_are_not_taken_and_repeated_ones_are_replicates(tmp_path, capsys):
    optuna_storage(tmp_path / "q.db")
    with Study.open(tmp_path / "s.db", KNOBS, LOSS):
        pass
    arguments = ["import", str(tmp_path / "q.db"), "--study", str(tmp_path / "s.db")]
    for _ in range(2):  # the second time changes nothing
        assert run(arguments) == 0
        with Study.open(tmp_path / "s.db", readonly=True) as study:
            records = study.evaluations()
        found = [(r.params["a"], r.status, r.metrics) for r in records]
        assert found == [(1, "done", {"y": 1.5}), (3, "failed", {})]
        assert records[0].extra["replicates"] == [{"y": 1.0}, {"y": 2.0}]
        said = capsys.readouterr().err
        assert "1 rows say another thing of a design than was known" in said
        assert "y 2 against 1" in said


def test_the_file_of_a_url_like_name_is_read_and_no_other_is_made(tmp_path, capsys):
    odd = tmp_path / "q.db?x=1"
    optuna_storage(tmp_path / "q.db")
    (tmp_path / "q.db").rename(odd)
    with Study.open(tmp_path / "s.db", KNOBS, LOSS):
        pass
    before = odd.read_bytes()
    assert run(["import", str(odd), "--study", str(tmp_path / "s.db")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["q.db?x=1", "s.db"]
    assert odd.read_bytes() == before


TAMPERED = [
    "UPDATE trial_params SET distribution_json = '{'",
    "UPDATE trial_params SET distribution_json = '[]'",
    "UPDATE trial_params SET param_value = 99",
    "UPDATE trial_values SET value_type = 'WHAT'",
    "UPDATE trial_user_attributes SET value_json = '{'",
    "UPDATE trials SET state = 'WHAT'",
    "UPDATE trials SET study_id = 77",
    "UPDATE studies SET study_name = ''",
    "UPDATE study_directions SET direction = 'UP'",
    "UPDATE version_info SET schema_version = 'x'",
    "UPDATE alembic_version SET version_num = 'x'",
    "DELETE FROM trial_values",
    "DELETE FROM study_directions",
    "DELETE FROM studies",
    "DROP TABLE trial_params",
    "DROP TABLE trials",
    "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (1, 'study:metric_names', '5')",
    "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (1, 'study:metric_names', '[[1]]')",
    "UPDATE trial_params SET distribution_json = CAST(x'7bff' AS TEXT)",
]


@pytest.mark.parametrize("statement", TAMPERED)
def test_a_tampered_storage_is_one_line(tmp_path, capsys, statement):
    optuna_storage(tmp_path / "q.db")
    with closing(sqlite3.connect(tmp_path / "q.db")) as connection, connection:
        connection.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'k', '1')"
        )
        connection.execute(statement)
    with Study.open(tmp_path / "s.db", KNOBS, LOSS):
        pass
    code = run(["import", str(tmp_path / "q.db"), "--study", str(tmp_path / "s.db")])
    said = capsys.readouterr().err
    assert code in (0, 2)
    assert code == 0 or len(said.splitlines()) == 1


def test_a_second_value_of_a_design_is_kept_and_the_mean_is_read(tmp_path):
    with Study.open(tmp_path / "s.db", KNOBS, LOSS) as study:
        first = study.tell({"a": 1}, {"y": 1.0})
        assert study.tell({"a": 1}, {"y": 1.0}) == first  # measured again, with the same value
        assert study.tell({"a": 1}, {"y": 4.0}) == first
        study.tell({"a": 1}, {"y": math.nan})  # a measurement that failed
        study.tell({"a": 2}, {"y": 3.0})
        assert study.evaluations()[0].metrics == {"y": 2.0}
        assert study.store.records()[0] == first  # what was acknowledged is never changed
    with Study.open(tmp_path / "s.db", readonly=True) as study:
        assert [r.metrics["y"] for r in study.evaluations()] == [2.0, 3.0]
        assert study.pareto()[0].metrics == {"y": 2.0}
        assert study.measurement_noise() == {"y": pytest.approx(math.sqrt(3.0))}


def test_a_column_cannot_give_orders_to_the_terminal(tmp_path, capsys):
    (tmp_path / "q.csv").write_text("a,y,\x1b[31mred\n1,2.0,5\n")
    with Study.open(tmp_path / "s.db", KNOBS, LOSS):
        pass
    assert run(["import", str(tmp_path / "q.csv"), "--study", str(tmp_path / "s.db")]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.err + said.out
    assert "\\x1b[31mred" in said.err
