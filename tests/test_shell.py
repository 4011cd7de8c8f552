"""What a user meets in a Python shell: names, representations, progress, and errors of one line."""

import inspect
import logging
import subprocess
import sys
import typing
from html.parser import HTMLParser

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

import cimbo
from cimbo import BadInput, Choice, CimboError, Objective, SearchSpace, Study, UnknownOption
from cimbo.errors import EvaluationsFailed
from cimbo.optimizer.options import OptimizerOptions
from cimbo.study import events

SAMPLED = OptimizerOptions(kind="gp", initial=50)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def study():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(measure, 6, guidance=SAMPLED, listener=None)
        yield study


# ---- names ----------------------------------------------------------------------------------------------------------


def test_the_package_shows_its_public_names():
    assert {"Study", "SearchSpace", "OptimizerOptions", "Record"} <= set(dir(cimbo))
    assert all(getattr(cimbo, name) is not None for name in dir(cimbo))


@pytest.mark.parametrize("function", [Study.open, Study.ask, Study.tell, Study.optimize])
def test_every_type_that_a_public_call_takes_or_returns_is_exported(function):
    public = {getattr(cimbo, name) for name in cimbo.__all__ if name != "View"}
    module = sys.modules[function.__module__]
    hints = typing.get_type_hints(function, vars(module))
    for name, hint in hints.items():
        for part in [hint, *typing.get_args(hint)]:
            ours = inspect.isclass(part) and part.__module__.startswith("cimbo")
            assert not ours or part in public, f"{name}: {part}"


def test_the_version_stands_in_one_place():
    code = "import cimbo; print(cimbo.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == cimbo.__version__


# ---- representations ------------------------------------------------------------------------------------------------


def test_a_study_a_front_and_an_evaluation_say_what_they_are(study):
    assert repr(study) == (
        "<Study study in memory: 6 evaluations, 6 genes; accuracy max, latency_ms min>"
    )
    front = study.pareto()
    assert repr(front).startswith(f"<Front of {len(front)} designs: accuracy max, latency_ms min>")
    assert front[0].key in repr(front)
    assert repr(front[0]).startswith(f"<Record {front[0].number} {front[0].key} done: accuracy ")
    assert front == list(front)  # still a list


class Tags(HTMLParser):
    """Every tag of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_notebooks_show_tables_in_which_nothing_of_the_study_is_obeyed():
    space = SearchSpace([Choice(HOSTILE, [HOSTILE, "b"])], [Choice("rows", [1, 2])])
    with Study.open(None, space, [Objective("<b>", "max")]) as study:
        record = study.tell({HOSTILE: HOSTILE, "rows": 1}, {"<b>": 1.0})
        for shown in (study, study.pareto(), record):
            page = shown._repr_html_()
            assert set(Tags(page).found) == {"table", "caption", "tr", "td"} | (
                {"th"} if "<th>" in page else set()
            )


# ---- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_logged_a_line_a_batch_unless_it_is_silenced(study, caplog):
    caplog.set_level(logging.INFO, "cimbo")
    study.optimize(measure, 12, guidance=SAMPLED)
    lines = [r.getMessage() for r in caplog.records if r.name == "cimbo"]
    assert [line.split(",")[0] for line in lines] == ["10/12 evaluations", "12/12 evaluations"]
    caplog.clear()
    study.optimize(measure, 15, guidance=SAMPLED, listener=None)
    assert not caplog.records


def test_failures_are_logged_as_warnings(caplog):
    with Study.open(None, SPACE, OBJECTIVES) as study, pytest.raises(EvaluationsFailed):
        study.optimize(lambda design: {"area_mm2": 1.0}, 1, guidance=SAMPLED)
    line = next(r for r in caplog.records if r.levelno == logging.WARNING)
    assert "failed: did not measure accuracy" in line.getMessage()


def test_a_program_without_logging_and_terminal_hears_nothing(study, capsys):
    study.optimize(measure, 10, guidance=SAMPLED)
    assert capsys.readouterr() == ("", "")


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_every_error_is_one_of_ours_and_a_value_error():
    assert issubclass(BadInput, CimboError)
    assert issubclass(BadInput, ValueError)
    assert issubclass(cimbo.StudyError, BadInput)


@pytest.mark.parametrize(
    ("wrong", "right"), [("timeout", "timeout_s"), ("njobs", "n_jobs"), ("batch", "batch_size")]
)
def test_an_unknown_option_is_one_line_with_the_nearest_right_one(study, wrong, right):
    with pytest.raises(
        UnknownOption, match=rf"^Study.optimize: has no option '{wrong}'; did you mean {right}\?"
    ) as caught:
        study.optimize(measure, 12, **{wrong: 3})
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_batches_have_one_default():
    parameters = inspect.signature(Study.optimize).parameters
    assert parameters["batch_size"].default == events.DEFAULT_BATCH_SIZE == 5
