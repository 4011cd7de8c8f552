"""What a user meets first: the README's example, tab completion, and how things print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from predictors_data import space

import predictors

README = Path(predictors.__file__).parent / "README.md"


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    code = README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    folder = Path(predictors.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.strip("[]\n")) == pytest.approx(0.1 * 64 * 6, rel=0.1)
    assert (tmp_path / "latency.cimpred").exists()


def test_completion_shows_the_interface_and_nothing_else() -> None:
    shown = {name for name in dir(predictors) if not name.startswith("_")}
    assert shown == set(predictors.__all__)
    assert {"fit", "load", "botorch", "plugin", "Model", "validate"} <= shown
    for name in shown:
        assert getattr(predictors, name).__doc__


def test_models_predictions_and_reports_print_what_matters(rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:40], y[:40], space(), "gp")
    assert repr(model).startswith("Model(kind='gp', target='accuracy', features=10, rows=40")
    assert repr(model.predict(rows[:5])).startswith("Prediction(n=5: ")
    assert repr(model.predict(rows[:5])).count("±") == 3
    (report,) = predictors.validate(rows[:40], y[:40], ["gp"], space()).values()
    assert repr(report).startswith(f"Report({report.verdict}: rmse=")
    assert "<th>kendall_tau</th>" in report._repr_html_()


def test_old_names_still_answer_with_a_warning(rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:20], y[:20], space(), "gp")
    with pytest.warns(DeprecationWarning, match="facts is now metadata"):
        assert model.facts == model.metadata
    with pytest.warns(DeprecationWarning, match="spread is now modelled_std"):
        assert len(model.predict(rows[:3]).spread) == 3
    with pytest.raises(AttributeError):
        _ = model.nothing
