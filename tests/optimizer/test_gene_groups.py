"""Groups of genes: by name, and by order where names say nothing."""

from cimbo.benchmarking import generated
from cimbo.optimizer.gene_groups import group_names
from cimbo.problem.space import Choice


def test_names_that_say_something_are_followed_to_the_letter():
    for name in ("train-00", "train-09", "test-00"):
        space = generated.generated(name).blueprint.space
        found = group_names(space.architecture, space.hardware)
        for choice in space.choices:
            assert found[choice.name] == "".join(
                "*" if c.isdigit() else c for c in choice.name
            ) or (any(c.isdigit() for c in choice.name))
        widths = {found[c.name] for c in space.architecture if c.name.startswith("width")}
        assert widths == {"width*"}


def test_names_that_say_nothing_are_read_by_their_order():
    blueprint = generated.generated("train-25").blueprint
    space = blueprint.space
    assert space.names[0] == "x0"
    found = group_names(space.architecture, space.hardware)
    kinds: dict[str, set[str]] = {}
    for name, group in found.items():
        kinds.setdefault(group, set()).add(blueprint.meaning[name].rstrip("0123456789"))
    assert all(len(kind) == 1 for kind in kinds.values())
    shared = [g for g in kinds if sum(group == g for group in found.values()) == 12]
    assert len(shared) == 4


def test_two_kinds_of_as_many_values_are_told_apart_by_what_repeats():
    genes = []
    for layer in range(8):
        genes.append(Choice(f"g{2 * layer}", [8 * (layer + 1), 16 * (layer + 1)]))
        genes.append(Choice(f"g{2 * layer + 1}", [4, 8]))
    found = group_names(genes, [])
    assert {found[f"g{i}"] for i in range(0, 16, 2)} == {"g*/0"}
    assert {found[f"g{i}"] for i in range(1, 16, 2)} == {"g*/1"}


def test_genes_of_one_kind_stay_one_group_and_unordered_ones_have_none():
    same = [Choice(f"g{i}", [1, 2, 4, 8]) for i in range(60)]
    assert set(group_names(same, []).values()) == {"g*"}
    assert group_names([Choice("op1", ["a", "b"])], []) == {"op1": ""}
