"""A report says of accuracies and costs whether they were measured or modelled, and from what."""

from __future__ import annotations

from pathlib import Path

import pytest

import cimbo


@pytest.mark.parametrize(
    ("preset", "quality", "evaluated", "accuracy"),
    [
        (
            "reviews-minilm",
            "accuracy",
            "its accuracy was measured, its costs were simulated",
            "accuracy is measured on 1,520 rated sentences of film reviews",
        ),
        (
            "gpt2-s",
            "perplexity",
            "Every point was simulated, its perplexity modelled",
            "perplexity is modelled, not measured",
        ),
        (
            "bert-base",
            "accuracy",
            "Every point was simulated, its accuracy modelled",
            "accuracy is modelled (illustration), not measured",
        ),
    ],
)
def test_a_report_says_what_accuracies_and_costs_are(
    preset: str, quality: str, evaluated: str, accuracy: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    with cimbo.open_session(preset, study=tmp_path / "s.db") as session:
        for number, asked in enumerate(session.study.ask(3)):
            metrics = {"latency_ms": 1.0 + number, "area_mm2": 1.0, "energy_uj": 9.0}
            metrics |= {quality: 80.0 - number, "tokens_per_s": 5.0 + number}
            session.study.tell(asked, metrics)
        session.report(page, following=0)
    text = page.read_text(encoding="utf-8")
    assert evaluated in text
    assert accuracy in text
    assert "costs are modelled, not measured" in text


def test_a_study_of_ones_own_evaluator_is_said_to_be_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    space = cimbo.SearchSpace(hardware=[cimbo.Choice("rows", [16, 32, 64])])
    goals = [cimbo.Objective("accuracy", "max"), cimbo.Objective("latency_ms", "min")]
    with cimbo.Study.open(tmp_path / "s.db", space=space, objectives=goals) as study:
        for number, asked in enumerate(study.ask(2)):
            study.tell(asked, {"accuracy": 80.0 - number, "latency_ms": 2.0 - number})
    with cimbo.open_session(tmp_path / "s.db") as session:
        session.report(page, following=0)
    text = page.read_text(encoding="utf-8")
    assert "Every point was measured" in text
    assert "modelled, not measured" not in text
