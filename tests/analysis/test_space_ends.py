"""Genes at an end of their range, counted by hand."""

from cimbo.analysis.space_ends import ends_told, genes_at_an_end
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


def test_a_gene_that_goes_no_further_says_why():
    pes = [Choice("pes", [1, 2, 4])]
    found = genes_at_an_end(pes, [{"pes": 1}] * 5)
    assert found[0].reason == "there is nothing below one"
    assert ends_told(found) == (
        "at an end of their range in most designs: pes 1 (100%: there is nothing below one)"
    )
    narrow = genes_at_an_end([Choice("pes", [2, 4])], [{"pes": 2}] * 5)
    assert narrow[0].reason is None
    assert ends_told(narrow).endswith("pes 2 (100%); a wider space may hold better ones")
    assert ends_told(()) is None
