"""Bundles: exact, refused when touched, readable for years."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from predictors_data import designs, space

import predictors
from predictors import Feature, PredictorError, Schema
from predictors.storage import bundle

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def saved(model: predictors.Model, tmp_path: Path) -> Path:
    path = tmp_path / "accuracy.cimpred"
    predictors.save(model, path, licence="CC-BY-4.0")
    return path


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(PredictorError) as caught:
        predictors.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    return line


def test_round_trip_is_bit_identical_in_another_process(
    model: predictors.Model, saved: Path, tmp_path: Path
) -> None:
    code = (
        "import json, sys, numpy as np, predictors\n"
        "m = predictors.load(sys.argv[1]); rows = json.load(open(sys.argv[2])); p = m.predict(rows)\n"
        "np.save(sys.argv[3], np.stack([p.mean, p.std, *m.sample(rows, 3, 5)]))\n"
    )
    rows, out = designs(30, 9), tmp_path / "out.npy"
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    subprocess.run([sys.executable, "-c", code, saved, tmp_path / "rows.json", out], check=True)
    p = model.predict(rows)
    np.testing.assert_array_equal(
        np.load(out), np.stack([p.mean, p.std, *model.sample(rows, 3, 5)])
    )


def test_equal_models_give_equal_files_and_the_manifest_tells(
    model: predictors.Model, saved: Path
) -> None:
    again = saved.with_name("again.cimpred")
    predictors.save(predictors.load(saved), again, licence="CC-BY-4.0")
    assert again.read_bytes() == saved.read_bytes()
    manifest = predictors.inspect(saved)
    assert manifest["licence"] == "CC-BY-4.0"
    assert manifest["model"]["schema"]["unit"] == "%"
    assert manifest["model"]["schema_sha256"] == space().fingerprint()
    assert manifest["model"]["facts"]["data"] == model.metadata["data"]
    assert manifest["versions"]["numpy"] == np.__version__


def test_every_single_bit_flip_is_refused(saved: Path) -> None:
    data, rng = saved.read_bytes(), np.random.default_rng(0)
    path = saved.with_name("flipped.cimpred")
    ends = [
        *range(64),
        *range(8 * len(data) - 700, 8 * len(data)),
    ]  # archive head, its directory and the seal
    for bit in [*ends, *rng.integers(0, 8 * len(data), 1000 - len(ends))]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        refusal(path, bytes(flipped))


def test_malformed_files_are_refused(saved: Path) -> None:
    data, rng = saved.read_bytes(), np.random.default_rng(1)
    path = saved.with_name("malformed.cimpred")
    for i in range(300):
        a, b = sorted(rng.integers(0, len(data), 2))
        noise = rng.integers(0, 256, int(rng.integers(0, 3000)), dtype=np.uint8).tobytes()
        forms = (
            data[:a],
            data[b:],
            data[:a] + data[b + 1 :],
            noise,
            data + noise[:50] + b"x",
            data[: a + 1] + noise,
        )
        refusal(path, forms[i % len(forms)])


def forged(saved: Path, change: Callable[[dict, dict[str, bytes]], None]) -> bytes:
    """A file with changed content under correct digests and seal, as only a forger would make it."""
    with zipfile.ZipFile(saved) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    listed = {
        n: {"size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in members.items()
    }
    manifest = manifest if manifest.pop("keep members", False) else manifest | {"members": listed}
    return bundle._seal(bundle._pack({"manifest.json": json.dumps(manifest).encode()} | members))


FORGERIES: dict[str, Callable[[dict, dict[str, bytes]], object]] = {
    "newer format": lambda m, b: m.update(format=99),
    "no model": lambda m, b: m.pop("model"),
    "unknown kind": lambda m, b: m["model"].update(kind="__import__('os').system('id')"),
    "another schema": lambda m, b: m["model"]["schema"]["features"].pop(),
    "text for a number": lambda m, b: m["model"].update(scale="one"),
    "not a number": lambda m, b: m["model"].update(scale=float("nan")),
    "member dropped": lambda m, b: b.pop(next(iter(b))),
    "member added": lambda m, b: (m.update({"keep members": True}), b.update({"x.py": b"1"})),
    "member of nonsense": lambda m, b: b.update({next(iter(b)): b'{"learner": 3}'}),
    "member of nesting": lambda m, b: b.update({next(iter(b)): b"[" * 100_000}),
    "endless bases": lambda m, b: m["model"].update(
        base={"slope": 1, "intercept": 0, "model": m["model"]["schema"]}
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forged_content_is_refused_too(saved: Path, what: str) -> None:
    refusal(
        saved.with_name("forged.cimpred"),
        forged(saved, lambda m, b: FORGERIES[what](m, b) and None),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("model"),
        lambda m: m["model"].pop("schema"),
        lambda m: m["model"].update(facts=[]),
        lambda m: m.update(licence=None),
        lambda m: m.update(model=7),
    ],
)
def test_what_only_looks_at_a_manifest_refuses_a_forged_one(
    saved: Path, change: Callable[[dict], object]
) -> None:
    path = saved.with_name("forged.cimpred")
    path.write_bytes(forged(saved, lambda m, b: change(m) and None))
    with pytest.raises(PredictorError, match=r"forged\.cimpred: .*malformed"):
        predictors.inspect(path)
    assert "malformed" in predictors.bundles(path.parent)["forged.cimpred"]["error"]


def test_compressed_or_huge_members_are_not_unpacked(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 2**22)
        archive.comment = b" " * bundle._SEAL_SIZE
    refusal(saved.with_name("bomb.cimpred"), bundle._seal(buffer.getvalue()))
    data = saved.read_bytes()
    monkeypatch.setattr(bundle, "MAX_FILE_BYTES", len(data) - 1)
    assert "the limit is" in refusal(saved, data)


def test_another_space_is_refused_with_the_difference(saved: Path) -> None:
    other = Schema((*space().features, Feature("adc_bits", "ordinal", (4, 6))), "accuracy", "%")
    with pytest.raises(
        PredictorError, match=r"another space: lacks 'adc_bits'; fit a model for this space"
    ):
        predictors.load(saved, other)
    assert predictors.load(saved, space()).schema == space()


def test_missing_files_and_directories(saved: Path) -> None:
    with pytest.raises(PredictorError, match="cannot be read"):
        predictors.load(saved.with_name("none.cimpred"))
    saved.with_name("broken.cimpred").write_bytes(b"no")
    listed = predictors.bundles(saved.parent)
    assert listed["accuracy.cimpred"]["format"] == 1
    assert "not a predictor bundle" in listed["broken.cimpred"]["error"]


def test_a_model_with_its_older_model_fits_in_one_file(
    rows: list[dict], y: np.ndarray, tmp_path: Path
) -> None:
    old = predictors.fit(rows[:60], y[:60], space(), "hybrid")
    new = predictors.fit(rows[100:112], 2 * y[100:112] + 1, space(), "gp", mean=old)
    assert new.base is not None
    predictors.save(new, tmp_path / "new.cimpred")
    loaded = predictors.load(tmp_path / "new.cimpred")
    np.testing.assert_array_equal(loaded.predict(rows).mean, new.predict(rows).mean)
    np.testing.assert_array_equal(loaded.predict(rows).std, new.predict(rows).std)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.cimpred")), ids=lambda p: p.stem)
def test_bundles_of_released_versions_keep_opening(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    p = predictors.load(path).predict(expected["rows"])
    np.testing.assert_allclose(p.mean, expected["mean"], rtol=1e-6)
    np.testing.assert_allclose(p.std, expected["std"], rtol=1e-4)


def test_there_are_golden_bundles() -> None:
    assert {p.stem for p in GOLDEN.glob("*.cimpred")} >= {
        "gp-0.1.0",
        "xgboost-0.1.0",
        "hybrid-0.1.0",
    }
