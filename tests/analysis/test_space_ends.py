"""Genes at an end of their range, counted by hand."""

from cimbo.analysis.space_ends import genes_at_an_end
from cimbo.problem.space import Choice

CHOICES = [Choice("rows", [64, 128, 256]), Choice("kind", ["a", "b"]), Choice("one", [1])]


def designs(*rows: int) -> list[dict]:
    return [{"rows": value, "kind": "a", "one": 1} for value in rows]


def test_five_of_six_at_the_smallest_value():
    (found,) = genes_at_an_end(CHOICES, designs(64, 64, 64, 64, 64, 128))
    assert (found.gene, found.value, found.end) == ("rows", 64, "smallest")
    assert found.share == 5 / 6


def test_four_of_five_are_no_more_than_eighty_percent():
    assert genes_at_an_end(CHOICES, designs(256, 256, 256, 256, 64)) == ()


def test_few_designs_say_nothing():
    assert genes_at_an_end(CHOICES, designs(64, 64, 64, 64)) == ()


def test_designs_without_the_gene_do_not_count():
    digital = [{"kind": "b"}] * 9
    assert genes_at_an_end(CHOICES, designs(256, 256, 256, 256, 256) + digital)[0].share == 1
