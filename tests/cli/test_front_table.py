"""The front in a terminal: every gene is seen at every width, and what never varies is said once."""

import pytest

from cimbo.cli.front_table import front_table
from cimbo.cli.tables import as_table
from cimbo.session.design import Design
from cimbo.session.text import folded_genes

CHIP = {"rows": 64, "macros_per_pe": 4, "buffer_mb": 0.25}


def _design(number, **genes):
    key = f"{number:02d}{'abcdef0123'}"
    network = {"depth": number, "heads_1": 2, "heads_2": number}
    return Design(key, network, {**CHIP, **genes}, {"accuracy": 90.0 + number, "latency_ms": 0.1})


DESIGNS = [_design(1), _design(2, adc_bits=5), _design(3, adc_bits=4, rows=128)]


def test_what_never_varies_is_said_once_and_the_rest_is_a_column():
    found = front_table(DESIGNS)
    assert found.shared == {"macros_per_pe": 4, "buffer_mb": 0.25}
    expected = ["key", "accuracy", "latency_ms", "depth", "heads", "rows", "adc_bits"]
    assert list(found.rows[0]) == expected
    assert [row["heads"] for row in found.rows] == ["2,1", "2,2", "2,3"]
    assert [row["adc_bits"] for row in found.rows] == [None, 5, 4]
    assert found.text().splitlines()[-1] == "in every design: macros_per_pe 4, buffer_mb 0.25"


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 200])
def test_every_value_is_seen_at_every_width(width):
    text = front_table(DESIGNS).text(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for value in ("93", "2,3", "128", "0.25"):
        assert value in text
    for name in ("accuracy", "depth", "heads", "rows"):
        assert name in text.split()


def test_keys_on_a_terminal_tell_designs_apart():
    alike = [Design(f"aaaaaaaaa{n}bc", {"depth": n}, {}, {"accuracy": 1.0}) for n in (1, 2)]
    text = front_table(alike).text(60)
    assert "aaaaaaaaa1 " in text
    assert "aaaaaaaaa2 " in text


def test_one_design_and_none():
    assert front_table([]).text(80) == "(none)"
    only = front_table(DESIGNS[:1])
    assert list(only.rows[0]) == ["key", "accuracy", "latency_ms"]
    assert only.shared["depth"] == 1


def test_headings_take_several_lines_before_a_block_is_begun():
    rows = [{"key": "a", "macros_per_pe": 1, "columns_per_adc": 2}]
    assert (
        as_table(rows) == "key  macros_per_pe  columns_per_adc\na                1                2"
    )
    lines = as_table(rows, 24).splitlines()
    assert lines == [
        "     macros_  columns_",
        "        per_      per_",
        "key       pe       adc",
        "a          1         2",
    ]


def test_only_runs_that_differ_in_their_number_are_folded():
    design = {"a_b_1": 1, "a_b_2": 2, "a_c_1": 3, "a_c_2": 4, "rows": 64, "conv1": 5}
    folded = {"a_b": "1,2", "a_c": "3,4", "rows": 64, "conv1": 5}
    assert folded_genes(design) == folded
    assert folded_genes({"heads_1_1": 3, "heads_1_2": 4, "heads_2_1": 5}) == {"heads": "3,4,5"}
