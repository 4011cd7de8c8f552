"""``predictors`` as a distribution of its own: built, unpacked, and used where there is no torch and no cimbo."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import cimbo

FOLDER = Path(__file__).resolve().parents[2] / "predictors"
WITHOUT_TORCH = """
import sys

class Missing:
    names = ("torch", "botorch", "gpytorch", "linear_operator", "cimbo")

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv[1])
import predictors

assert predictors.__file__.startswith(sys.argv[1]), predictors.__file__
rows = [{"width": w, "bits": b} for w in (16, 24, 32, 48, 64, 96) for b in (4, 6, 8)]
latency_ms = [0.1 * row["width"] * row["bits"] for row in rows]
for kind in ("gp", "xgboost", "hybrid", "posynomial", "auto"):
    model = predictors.fit(rows, latency_ms, kind=kind, log=True)
    assert abs(model.predict(rows[:1]).mean[0] / latency_ms[0] - 1) < 0.2, kind
    predictors.save(model, f"{sys.argv[1]}/{kind}.cimpred")
    again = predictors.load(f"{sys.argv[1]}/{kind}.cimpred")
    assert (again.predict(rows).mean == model.predict(rows).mean).all(), kind
for ask in (
    lambda: predictors.fit(rows, latency_ms, kind="botorch:SingleTaskGP"),
    lambda: predictors.botorch(object),
    lambda: predictors.botorch_model(model),
):
    try:
        ask()
    except predictors.PredictorError as error:
        print(error)
assert not {"torch", "cimbo"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(FOLDER)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_the_wheel_holds_the_package_and_asks_for_no_torch(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_name,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(metadata_name).decode())
    modules = {f"predictors/{path.relative_to(FOLDER)}" for path in FOLDER.rglob("*.py")}
    code = {name for name in names if ".dist-info/" not in name}
    assert code == modules | {"predictors/py.typed"}
    assert metadata["Name"] == "cimbo-predictors"
    assert metadata["Version"] == cimbo.__version__
    needed = [each for each in metadata.get_all("Requires-Dist") if "extra ==" not in each]
    assert not [each for each in needed if "torch" in each], needed


def test_it_fits_and_predicts_where_torch_and_cimbo_are_missing(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)],
        cwd=tmp_path,
        env={"PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "needs torch" in line, line
        assert "install" in line, line


def test_both_distributions_need_the_same_versions():
    own = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*own["dependencies"], *own["optional-dependencies"]["botorch"]]
    assert set(wanted) <= set(whole["dependencies"])


def test_modules_that_moved_are_found_by_their_old_names() -> None:
    import predictors.bundle
    from predictors import bundle, trees, validation

    assert predictors.bundle is bundle
    assert bundle.load is predictors.load
    assert validation.validate is predictors.validate
    assert trees.__name__ == "predictors.boosting.trees"
