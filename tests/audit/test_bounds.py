"""Exact bounds of an audit: against counting, against the binomial bound, and their coverage of known truths."""

from itertools import combinations
from math import comb
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from yanshou.audit.bounds import most_bad, sample_needed


def too_few(population: int, bad: int, sample: int, found: int) -> float:
    """The probability of at most `found` bad groups, by counting the samples."""
    ways = sum(comb(bad, n) * comb(population - bad, sample - n) for n in range(found + 1))
    return ways / comb(population, sample)


def test_the_bound_of_a_small_population_by_counting_its_samples() -> None:
    """Six groups, three looked at, none bad: two bad ones are missed in 4 of 20 samples, three in 1 of 20."""
    samples = list(combinations(range(6), 3))
    missed = [sum(all(group >= bad for group in sample) for sample in samples) for bad in range(5)]
    assert missed == [20, 10, 4, 1, 0]
    assert (most_bad(6, 3, 0, 0.79), most_bad(6, 3, 0, 0.81), most_bad(6, 3, 0, 0.94)) == (1, 2, 2)
    assert most_bad(6, 3, 0, 0.96) == 3


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_bound_is_the_last_number_that_is_not_too_unlikely(data: st.DataObject) -> None:
    population = data.draw(st.integers(1, 60))
    sample = data.draw(st.integers(1, population))
    found = data.draw(st.integers(0, sample))
    confidence = data.draw(st.sampled_from([0.8, 0.9, 0.95, 0.99]))
    most = most_bad(population, sample, found, confidence)
    assert too_few(population, most, sample, found) > 1 - confidence - 1e-9
    if most < population - (sample - found):
        assert too_few(population, most + 1, sample, found) <= 1 - confidence + 1e-9


@pytest.mark.parametrize(("population", "sample"), [(300, 60), (5210, 300), (20_000, 1000)])
def test_it_is_never_above_the_binomial_bound_and_exact_for_a_whole_population(population: int, sample: int) -> None:
    for found in (0, 1, 5, 40):
        assert most_bad(population, sample, found, 0.95) <= beta.ppf(0.95, found + 1, sample - found) * population
        assert most_bad(population, population, found, 0.95) == found
    assert most_bad(population, sample, sample, 0.95) == population


@pytest.mark.parametrize("found", [0, 1, 3])
def test_the_sample_needed_is_the_smallest_that_shows_the_limit(found: int) -> None:
    size = sample_needed(5210, 0.01, found, 0.95)
    assert size is not None
    assert most_bad(5210, size, found, 0.95) / 5210 <= 0.01 < most_bad(5210, size - 1, found, 0.95) / 5210
    binomial = next(n for n in range(found, 5210) if binom.cdf(found, n, 0.01) <= 0.05)
    assert binomial * 0.9 < size <= binomial  # 299 of an endless population with no bad one


def test_a_limit_below_what_was_found_needs_no_sample_but_cannot_be_shown() -> None:
    assert sample_needed(100, 0.01, 2, 0.95) is None
    assert sample_needed(100, 0.02, 2, 0.95) == 99  # of 3 bad ones the one left out: in 3 % of samples
    assert sample_needed(10, 0.999, 0, 0.95) == 1


# ---- coverage ----


def coverage(seed: int, audits: int, confidence: float) -> int:
    """How often the bound covers the true number of bad groups: populations, rates and sizes differ."""
    random, covered = Random(seed), 0
    for _ in range(audits):
        population = random.choice([200, 800, 3000])
        sample = random.choice([60, 120, 190])
        bad = round(population * random.choice([0.005, 0.01, 0.03, 0.1]))
        found = sum(group < bad for group in random.sample(range(population), sample))
        covered += most_bad(population, sample, found, confidence) >= bad
    return covered


def test_over_200_audits_of_known_truth_the_bound_covers_as_often_as_stated() -> None:
    least = binom.ppf(0.01, 200, 0.95)  # 99 % binomial noise
    assert [coverage(seed, 200, 0.95) >= least for seed in range(3)] == [True] * 3
