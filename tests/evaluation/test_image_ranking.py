"""Images that tell networks apart come first, and what they say of all images is true within its deviation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo import SearchSpace
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.evaluation.image_ranking import ImageRanking, shipped_ranking
from cimbo.evaluation.racing import IMAGES_NAME, RIGHT_NAME, CountedImages, stated
from cimbo.problem.fidelity import share_deviation
from cimbo.supernets.recipes import SHIPPED_EXAMPLES
from cimbo.workloads import network

N_REFERENCES, N_IMAGES = 32, 2000
N_SHIPPED = 48


def answers(skills, seed=0, images=N_IMAGES):
    """Answers of networks of some skills to images, a fifth of which are near what networks can do."""
    draw = np.random.default_rng(seed)
    difficulty = draw.normal(-4.0, 3.0, images)
    chance = 1 / (1 + np.exp(2 * (difficulty - np.asarray(skills)[:, None])))
    return draw.random(chance.shape) < chance


def split(seed, spread=0.4):
    """References, and other networks that answer the same images."""
    skills = np.random.default_rng(seed).normal(0.0, spread, 2 * N_REFERENCES)
    hits = answers(skills, seed)
    return ImageRanking.of(hits[:N_REFERENCES]), hits[N_REFERENCES:]


@pytest.mark.parametrize("seen", [100, 200, 800])
def test_errors_of_other_networks_are_those_that_are_stated(seen):
    normalised = []
    for seed in range(6):
        ranking, others = split(seed)
        for hits in others:
            found = ranking.estimate(int(hits[ranking.order[:seen]].sum()), seen)
            normalised.append((hits.mean() - found.mean) / found.std)
    assert abs(np.mean(normalised)) < 0.6
    assert np.sqrt(np.mean(np.square(normalised))) == pytest.approx(1.0, abs=0.35)


def test_a_part_of_the_images_says_more_than_as_many_drawn_at_random():
    ranking, others = split(0)
    seen = 200
    errors = []
    for hits in others:
        found = ranking.estimate(int(hits[ranking.order[:seen]].sum()), seen)
        errors.append(found.mean - hits.mean())
    at_random = share_deviation(float(others.mean()), seen, N_IMAGES)
    assert np.std(errors) < 0.5 * at_random


@given(st.integers(1, N_IMAGES), st.data())
@settings(max_examples=60, deadline=None)
def test_an_estimate_is_a_share_and_all_images_are_exact(seen, data):
    ranking, _ = split(1)
    right = data.draw(st.integers(0, seen))
    found = ranking.estimate(right, seen)
    assert 0.0 <= found.mean <= 1.0
    assert np.isfinite(found.std)
    if seen == N_IMAGES:
        assert (found.mean, found.std) == (right / N_IMAGES, 0.0)
    else:
        assert found.std > 0


def test_a_network_worse_than_all_references_is_no_good_one_for_sure():
    ranking, _ = split(0, spread=0.15)
    guesses = np.random.default_rng(3).random(N_IMAGES) < 0.1
    found = ranking.estimate(int(guesses[ranking.order[:200]].sum()), 200)
    assert found.mean < 0.3
    assert abs(found.mean - guesses.mean()) < 3 * found.std


def test_references_that_all_answer_alike_teach_nothing_and_break_nothing():
    alike = np.ones((4, 50), bool)
    found = ImageRanking.of(alike).estimate(10, 10)
    assert (found.mean, found.std) == (1.0, 0.01)  # half of one of 50 images


@pytest.mark.parametrize("name", list(SHIPPED_EXAMPLES))
def test_shipped_rankings_are_of_the_shipped_weights(name):
    source = ShippedAccuracy(name)
    ranking = shipped_ranking(name, source.image_count())
    assert ranking.hits.shape == (N_SHIPPED, source.image_count())
    assert sorted(ranking.order.tolist()) == list(range(source.image_count()))
    first = SearchSpace(network(name).choices()).sobol(1, seed=0)[0]
    for reference, design in ((0, first), (-1, network(name).largest())):
        again = source.hits(design, images=150).numpy()
        assert np.mean(again != ranking.hits[reference, :150]) < 0.01


def test_what_is_recorded_of_ranked_images_gives_the_count_back():
    source = ShippedAccuracy("fmnist-vit", images=400)
    smallest = network("fmnist-vit").smallest()
    right = source.count_right(smallest, 0, 40)
    metrics = stated(source, CountedImages(right, 40))
    assert (metrics[RIGHT_NAME], metrics[IMAGES_NAME]) == (right, 40)
    assert CountedImages.of(metrics) == CountedImages(right, 40)
    rest = source.count_right(smallest, 40, 400)
    whole = stated(source, CountedImages(right + rest, 400))
    assert whole["accuracy"] == pytest.approx(source.measure(smallest))
    assert abs(metrics["accuracy"] - whole["accuracy"]) < 4 * metrics["accuracy_std"]
