"""Options that have another word now: the old word works, and one line says so."""

import pytest

from cimbo.cli.renamed import in_todays_words


@pytest.mark.parametrize(
    ("command", "typed", "meant"),
    [
        ("optimize", ["--exact", "0"], ["--bit-accurate-images", "0"]),
        ("optimize", ["--exact=0", "--jobs", "1"], ["--bit-accurate-images=0", "--jobs", "1"]),
        ("optimize", ["--cost-model", "exact"], ["--cost-model", "analytic"]),
        ("optimize", ["--cost-model=exact"], ["--cost-model=analytic"]),
        ("show", ["abc", "--exact"], ["abc", "--bit-accurate"]),
    ],
)
def test_an_old_word_means_the_new_one_and_is_told(command, typed, meant, capsys):
    assert in_todays_words(command, typed) == meant
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the old word works in this release only" in said


def test_todays_words_and_other_commands_pass_unchanged(capsys):
    words = ["--bit-accurate-images", "0", "--cost-model", "analytic", "--study", "exact"]
    assert in_todays_words("optimize", words) == words
    assert in_todays_words("pareto", ["--exact"]) == ["--exact"]
    assert not capsys.readouterr().err
