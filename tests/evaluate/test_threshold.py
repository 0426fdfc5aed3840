"""The chosen threshold keeps its promise as often as stated, and there is none if human fails are too few."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from yanshou.evaluate.metrics import Rate
from yanshou.evaluate.threshold import (
    Promise,
    Side,
    allowed_errors,
    candidates,
    find_promise,
    number_needed,
    upper_bound,
)

SCORES = st.lists(st.floats(0, 1), max_size=40)
LIMITS = st.floats(0.01, 0.9)


def many(count: int, low: float, high: float) -> list[float]:
    return [float(value) for value in np.linspace(low, high, count)]


def test_the_lowest_threshold_that_keeps_the_promise() -> None:
    choice = find_promise("release", many(100, 0.6, 0.99), [*many(197, 0.01, 0.4), 0.5, 0.7, 0.95], 0.05, 0.95)
    assert (choice.allowed, choice.threshold) == (3, 0.4 + 0.05)  # between the third fail and the fourth
    assert (choice.errors, choice.gained) == (Rate(3, 200), Rate(100, 100))
    assert choice.upper == upper_bound(3, 200, 0.95)


def test_the_gain_is_reported_in_released_human_passes() -> None:
    choice = find_promise("release", [0.9, 0.8, 0.3, 0.2], many(200, 0.4, 0.7), 0.03, 0.95)
    assert choice.gained == Rate(2, 4)
    assert "and 2 / 4 (50.0%) human passes." in choice.explanation


@pytest.mark.parametrize(("limit", "confidence", "needed"), [(0.03, 0.95, 134), (0.1, 0.95, 41), (0.05, 0.9, 61)])
def test_with_too_few_fails_nothing_is_promised_and_the_needed_number_is_reported(
    limit: float, confidence: float, needed: int
) -> None:
    assert number_needed(limit, confidence) == needed
    few = find_promise("release", [0.9], many(needed - 1, 0.0, 0.5), limit, confidence)
    enough = find_promise("release", [0.9], many(needed, 0.0, 0.5), limit, confidence)
    assert (few.threshold, few.allowed, enough.threshold) == (None, None, 0.7)
    assert (
        f"needs {needed} with a p_pass even if none of them is released, and there are {needed - 1}, so 1 more"
        in few.explanation
    )
    assert (few.missing, enough.missing) == (1, 0)


@given(LIMITS, st.floats(0.3, 0.999))
def test_the_needed_number_of_fails_is_enough_and_so_is_any_larger_one(limit: float, confidence: float) -> None:
    needed = number_needed(limit, confidence)
    assert all(allowed_errors(needed + more, limit, confidence) is not None for more in (0, 1, 2, 17))


def test_without_verdicts_nothing_is_promised() -> None:
    choice = find_promise("release", [], [], 0.03, 0.95)
    assert (choice.threshold, choice.errors, choice.gained) == (None, Rate(0, 0), Rate(0, 0))
    assert "there are 0, so 134 more are missing" in choice.explanation


def test_fails_with_the_highest_p_pass_leave_no_threshold() -> None:
    choice = find_promise("release", [1.0] * 50, [*many(150, 0.0, 0.9), *[1.0] * 50], 0.03, 0.95)
    assert choice.threshold is None
    assert "of 200 human fails to be released, and at the strictest threshold 50 are" in choice.explanation


def test_the_search_stops_at_the_first_failing_candidate() -> None:
    """Three fails have the highest p_pass, hundreds of passes follow: a lower P is never tried."""
    choice = find_promise("release", many(500, 0.2, 0.8), [0.9] * 3 + [0.1] * 197, 0.03, 0.95)
    assert (choice.allowed, choice.threshold) == (0, None)


@given(SCORES, SCORES, LIMITS)
def test_the_chosen_threshold_keeps_the_exact_bound(passes: list[float], fails: list[float], limit: float) -> None:
    choice = find_promise("release", passes, fails, limit, 0.9)
    if choice.threshold is not None:
        released = sum(p >= choice.threshold for p in fails)
        exact = binomtest(released, len(fails)).proportion_ci(0.8, method="exact").high
        assert choice.errors.count == released
        assert choice.upper == pytest.approx(exact)
        assert exact <= limit + 1e-9
        assert choice.gained.count == sum(p >= choice.threshold for p in passes)


@given(st.integers(1, 400), LIMITS)
def test_one_more_false_release_would_break_the_promise(fails: int, limit: float) -> None:
    allowed = allowed_errors(fails, limit, 0.95)
    if allowed is not None:
        assert upper_bound(allowed, fails, 0.95) <= limit + 1e-9
        assert allowed / fails < limit


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_candidates_separate_distinct_values(scores: list[float]) -> None:
    values, found = sorted(set(scores), reverse=True), list(candidates(scores, "release"))
    assert len(found) == len(values)
    for number, threshold in enumerate(found, 1):
        assert [value for value in values if value >= threshold] == values[:number]


def test_a_threshold_is_midway_and_has_few_digits() -> None:
    assert list(candidates([0.9812345, 0.7312345, 0.2], "release")) == [0.9, 0.5, 0.1]
    tight = next(iter(candidates([0.99999, 0.9999], "release")))
    assert 0.9999 + 0.00002 < tight < 0.99999 - 0.00002


@given(st.lists(st.integers(1, 999_999), min_size=1, max_size=30, unique=True))
def test_a_threshold_keeps_its_distance_from_every_value(scores: list[int]) -> None:
    values = [score / 1_000_000 for score in sorted(scores, reverse=True)]
    for value, below, threshold in zip(values, [*values, 0.0][1:], candidates(values, "release"), strict=True):
        assert min(value - threshold, threshold - below) >= 0.249 * (value - below)


def test_adjacent_floats_are_separated_too() -> None:
    scores = [1.0, math.nextafter(1.0, 0.0), 5e-324, 0.0]
    found = list(candidates(scores, "release"))
    assert [sum(score >= threshold for score in scores) for threshold in found] == [1, 2, 3, 4]


# ---- the block side ----


def mirrored(scores: Sequence[int]) -> tuple[list[float], list[float]]:
    """The same values as p_pass, exactly, and seen from the other end."""
    return [score / 1024 for score in scores], [1 - score / 1024 for score in scores]


@given(st.lists(st.integers(1, 1023), max_size=80), st.lists(st.integers(1, 1023), max_size=80), LIMITS)
def test_blocking_is_releasing_seen_from_the_other_end(passes: list[int], fails: list[int], limit: float) -> None:
    (p, other_p), (f, other_f) = mirrored(passes), mirrored(fails)
    release = find_promise("release", p, f, limit, 0.8)
    block = find_promise("block", other_f, other_p, limit, 0.8)  # fails take the place of passes
    assert (release.errors, release.gained, release.allowed) == (block.errors, block.gained, block.allowed)
    assert (release.threshold is None) == (block.threshold is None)
    if release.threshold is not None and block.threshold is not None:
        assert [score >= release.threshold for score in p + f] == [
            score < block.threshold for score in other_p + other_f
        ]


SIDES = pytest.mark.parametrize("side", ["release", "block"])


@SIDES
@given(SCORES, SCORES, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_a_higher_limit_decides_about_no_fewer_groups(
    side: Side, passes: list[float], fails: list[float], one: float, other: float
) -> None:
    strict, loose = (find_promise(side, passes, fails, limit, 0.7) for limit in sorted([one, other]))
    if strict.threshold is not None:
        assert loose.threshold is not None
        assert (strict.threshold >= loose.threshold) == (side == "release" or strict.threshold == loose.threshold)
        assert strict.errors.count <= loose.errors.count
        assert strict.gained.count <= loose.gained.count


@SIDES
@given(SCORES, SCORES, LIMITS)
def test_no_threshold_makes_more_errors_than_are_allowed(
    side: Side, passes: list[float], fails: list[float], limit: float
) -> None:
    promise = find_promise(side, passes, fails, limit, 0.8)
    if (threshold := promise.threshold) is not None:
        errors = sum(p >= threshold for p in fails) if side == "release" else sum(p < threshold for p in passes)
        assert promise.allowed is not None
        assert errors == promise.errors.count <= promise.allowed
        assert 0 <= threshold <= 1


def test_the_highest_threshold_below_which_a_human_pass_is_rarely_blocked() -> None:
    promise = find_promise("block", [*many(197, 0.6, 0.99), 0.05, 0.3, 0.5], many(100, 0.01, 0.4), 0.05, 0.95)
    assert (promise.allowed, promise.threshold) == (3, 0.5 + 0.05)  # between the third pass and the fourth
    assert (promise.errors, promise.gained) == (Rate(3, 200), Rate(100, 100))
    assert promise.explanation.startswith("block if p_pass < 0.55: a false-block rate of at most 5% with 95% conf")
    assert "On this set 3 / 200 (1.5%) human passes are blocked" in promise.explanation


@SIDES
def test_equal_values_are_decided_together_or_not_at_all(side: Side) -> None:
    """One value for all groups: the only threshold releases, or blocks, every fail and every pass."""
    promise = find_promise(side, [0.5] * 100, [0.5] * 100, 0.1, 0.95)
    assert (promise.threshold, promise.errors) == (None, Rate(100, 100))
    few = find_promise(side, [0.7] * 3 + [0.9] * 97, [0.3] * 97 + [0.7] * 3, 0.1, 0.95)
    assert few.errors == Rate(3, 100)  # the tie of three passes and three fails goes as one


def test_a_p_pass_of_0_and_of_1_is_released_and_blocked_like_any_other() -> None:
    clear = {side: find_promise(side, [1.0] * 100, [0.0] * 100, 0.1, 0.95) for side in ("release", "block")}
    assert {side: (found.threshold, found.gained) for side, found in clear.items()} == {
        "release": (0.5, Rate(100, 100)), "block": (0.5, Rate(100, 100)),
    }  # fmt: skip
    assert find_promise("release", [0.0], [], 0.9, 0.1).threshold is None
    assert list(candidates([0.0, 1.0], "block")) == [0.5]  # no P is above a p_pass of 1
    assert list(candidates([0.0, 1.0], "release")) == [0.5, 0.0]


def kept(halves: Sequence[tuple[Promise, np.ndarray]], limit: float) -> float:
    """The share of choices whose rate on another sample is below the limit. No threshold counts as kept."""
    fine = [choice.threshold is None or (fails >= choice.threshold).mean() < limit for choice, fails in halves]
    return sum(fine) / len(fine)


@pytest.mark.parametrize(("size", "limit", "confidence"), [(300, 0.05, 0.95), (160, 0.1, 0.9), (1000, 0.03, 0.95)])
def test_the_promise_holds_as_often_as_stated(size: int, limit: float, confidence: float) -> None:
    """Checked on the population, whose rate is known, and on a test set with as many fails, for independent draws."""
    random, draws = np.random.default_rng(7), 400
    found, true = [], []
    for _ in range(draws):
        passes, fails, others = (random.beta(a, b, n) for a, b, n in ((5, 1.5, 50), (1.5, 5, size), (1.5, 5, size)))
        choice = find_promise("release", passes.tolist(), fails.tolist(), limit, confidence)
        assert choice.threshold is not None
        found.append((choice, others))
        true.append(beta.sf(choice.threshold, 1.5, 5) <= limit)
    margin = 3 * math.sqrt(confidence * (1 - confidence) / draws)  # three standard errors of a share of that many draws
    assert np.mean(true) >= confidence - margin
    assert kept(found, limit) >= confidence - margin


def test_random_halves_of_one_set_keep_the_promise() -> None:
    """A user's experiment: split a labelled set at random, choose on one half, count on the other."""
    random = np.random.default_rng(11)
    rates = []
    for _ in range(20):  # sets; splits of one set are correlated, so one set alone says little
        human_pass = random.random(900) < 0.6
        scores = np.where(human_pass, random.beta(6, 1.2, 900), random.beta(1.2, 4, 900)).round(4)
        halves = []
        for _ in range(20):
            chosen = random.permutation(900) < 450
            passes, fails = scores[chosen & human_pass], scores[chosen & ~human_pass]
            choice = find_promise("release", passes.tolist(), fails.tolist(), 0.05, 0.95)
            assert choice.threshold is not None
            halves.append((choice, scores[~chosen & ~human_pass]))
        rates.append(kept(halves, 0.05))
    assert np.mean(rates) >= 0.95 - 3 * np.std(rates) / math.sqrt(len(rates))  # sets are independent
