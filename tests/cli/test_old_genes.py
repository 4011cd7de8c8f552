"""Genes of earlier releases, and keys that are given twice, are told in one line wherever a chip is given."""

import re

import pytest

from cimbo.cli.decision import _fixed
from cimbo.cli.options import json_object
from cimbo.config.study_config import load
from cimbo.errors import BadInput

OLD_GENES = [
    ("buffer_bw = [64, 128]", "say buffer_gb_s, in GB/s: bits a cycle / 8 / ns of a cycle"),
    ("noc_bw = [64]", "say noc_gb_s, in GB/s"),
    ("dram_bw = [64]", "say dram, the kind of its channels, and dram_channels"),
    ('array = ["sram"]', "charge_sram, current_sram or digital_sram"),
]


def study_with(tmp_path, genes: str):
    file = tmp_path / "study.toml"
    file.write_text(f'extends = "fmnist-vit"\n[hardware.genes]\n{genes}\n', encoding="utf-8")
    return load(file)


@pytest.mark.parametrize(("gene", "todo"), OLD_GENES)
def test_old_genes_of_a_study_say_what_they_are_now(gene, todo, tmp_path):
    with pytest.raises(BadInput, match=re.escape(todo)):
        _ = study_with(tmp_path, gene).problem.space


def test_an_old_word_for_an_array_means_todays(tmp_path):
    space = study_with(tmp_path, 'array = ["analog_sram", "digital_sram"]').problem.space
    choice = next(each for each in space.choices if each.name == "array")
    assert list(choice.values) == ["charge_sram", "digital_sram"]


def test_an_old_gene_that_is_fixed_says_what_it_is_now():
    with pytest.raises(BadInput, match="say buffer_gb_s, in GB/s"):
        _fixed(["buffer_bw=128"])


@pytest.mark.parametrize(
    "text", ['{"rows": 64, "cols": 8, "rows": 128}', '{"a": {"b": 1, "b": 1}}']
)
def test_a_key_that_is_given_twice_is_refused(text, tmp_path):
    file = tmp_path / "chip.json"
    file.write_text(text, encoding="utf-8")
    for given in (text, f"@{file}"):
        with pytest.raises(BadInput, match="twice; give it once"):
            json_object("--hardware", given)
    with pytest.raises(BadInput, match="twice; give it once"):
        _fixed([f"@{file}"])
