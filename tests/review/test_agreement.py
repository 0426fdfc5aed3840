"""Agreement of readers: by hand, against scikit-learn, and where kappa is not defined."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from yanshou.review.agreement import ANSWERS, DRAWS, Agreement, Pair, ReaderAgreement, Seconds
from yanshou.schema.label_row import Answer

answers = st.sampled_from(ANSWERS)


def pairs(*counted: tuple[Answer, Answer, int], drawn: bool = True, who: tuple[str, str] = ("李", "王")) -> list[Pair]:
    return [Pair(who, (first, second), drawn) for first, second, count in counted for _ in range(count)]


def drawn(*counted: tuple[Answer, Answer, int]) -> Agreement:
    return ReaderAgreement.of(pairs(*counted), 0).drawn


def test_kappa_prevalence_and_table_are_those_computed_by_hand() -> None:
    """20 and 15 of 50 pairs agree; by chance (25·30 + 25·20) / 2500 = 0.5 of them would."""
    found = drawn(("pass", "pass", 20), ("pass", "fail", 5), ("fail", "pass", 10), ("fail", "fail", 15))
    assert (found.raw.count, found.raw.of, found.kappa) == (35, 50, pytest.approx(0.4))
    assert found.table.tolist() == [[20, 5, 0], [10, 15, 0], [0, 0, 0]]
    assert {answer: rate.share for answer, rate in found.prevalence.items()} == {
        "pass": 0.55,
        "fail": 0.45,
        "unsure": 0,
    }


def test_kappa_of_three_answers() -> None:
    """27 of 30 agree; by chance (12·12 + 10·11 + 8·7) / 900 = 310 / 900: (810 - 310) / (900 - 310)."""
    found = drawn(
        ("pass", "pass", 11), ("pass", "fail", 1), ("fail", "fail", 9), ("fail", "pass", 1), ("unsure", "unsure", 7),
        ("unsure", "fail", 1),
    )  # fmt: skip
    assert found.kappa == pytest.approx(500 / 590)


def test_high_agreement_where_nearly_all_pass_has_a_low_kappa() -> None:
    """The reason why prevalence is beside it: 96 % agree, and kappa is (9600 - 9608) / (10000 - 9608)."""
    found = drawn(("pass", "pass", 96), ("pass", "fail", 2), ("fail", "pass", 2))
    assert (found.raw.share, found.kappa) == (0.96, pytest.approx(-8 / 392))
    assert found.prevalence["pass"].share == 0.98


@given(st.lists(st.tuples(answers, answers), min_size=1, max_size=40))
def test_kappa_is_scikit_learns(both: list[tuple[Answer, Answer]]) -> None:
    found = drawn(*((first, second, 1) for first, second in both)).kappa
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(*zip(*both, strict=True), labels=list(ANSWERS))
    assert math.isnan(expected) if found is None else found == pytest.approx(expected)


@pytest.mark.parametrize("answer", ANSWERS)
def test_kappa_is_undefined_where_all_answers_are_the_same(answer: Answer) -> None:
    found = drawn((answer, answer, 12))
    assert (found.raw.share, found.kappa, found.interval, found.undefined_draws) == (1, None, None, DRAWS)
    assert found.to_dict()["kappa"] == {"value": None, "low": None, "high": None, "undefined_draws": DRAWS}


def test_without_a_pair_there_is_no_figure() -> None:
    found = drawn()
    assert (found.pairs, found.raw.share, found.kappa, found.interval) == (0, None, None, None)
    assert ReaderAgreement.of([], 0).readers == {}


def test_the_interval_is_the_percentile_bootstrap_of_the_pairs() -> None:
    """Against resampling the list of pairs itself with scikit-learn's kappa: 400 draws, to within their noise."""
    counted = (("pass", "pass", 40), ("pass", "fail", 6), ("fail", "pass", 4), ("fail", "fail", 10))
    found = drawn(*counted)
    both = np.array([(first, second) for first, second, count in counted for _ in range(count)])
    rng = np.random.default_rng(7)
    others = [cohen_kappa_score(*both[rng.integers(len(both), size=len(both))].T) for _ in range(400)]
    assert found.interval == pytest.approx(tuple(np.percentile(others, [2.5, 97.5])), abs=0.06)
    assert found.undefined_draws == 0
    assert drawn(*counted).interval == found.interval  # seeded


def test_draws_without_kappa_are_counted_and_left_out() -> None:
    """One pair of ten is not pass, pass: a draw misses it with probability 0.9¹⁰ = 0.349."""
    found = drawn(("pass", "pass", 9), ("fail", "fail", 1))
    assert (found.kappa, found.interval) == (1, None)  # all other draws are 1
    assert found.undefined_draws / DRAWS == pytest.approx(0.9**10, abs=0.04)


def test_the_random_share_is_apart_from_pairs_that_were_chosen() -> None:
    whole = pairs(("pass", "pass", 8), ("pass", "fail", 2)) + pairs(
        ("fail", "pass", 5), ("fail", "fail", 5), drawn=False
    )
    found = ReaderAgreement.of(whole, 3)
    assert (found.drawn.raw.share, found.chosen.raw.share, found.not_blind) == (0.8, 0.5, 3)
    assert found.pooled.table.tolist() == [[8, 2, 0], [5, 5, 0], [0, 0, 0]]


def test_two_readers_have_one_table_whoever_read_first() -> None:
    whole = (
        pairs(("pass", "fail", 3), who=("王", "李"))
        + pairs(("pass", "fail", 1))
        + pairs(("fail", "fail", 2), who=("陈", "李"))
    )
    found = ReaderAgreement.of(whole, 0).readers
    assert {names: agreement.table.tolist() for names, agreement in found.items()} == {
        ("李", "王"): [[0, 1, 0], [3, 0, 0], [0, 0, 0]],
        ("李", "陈"): [[0, 0, 0], [0, 2, 0], [0, 0, 0]],
    }


@settings(max_examples=30)
@given(st.lists(st.tuples(st.permutations(["李", "王", "陈"]), answers, answers, st.booleans()), max_size=20))
def test_every_pair_is_in_one_table_of_each_kind(drawn_pairs: list[tuple[list[str], Answer, Answer, bool]]) -> None:
    whole = [Pair((who[0], who[1]), (first, second), sampled) for who, first, second, sampled in drawn_pairs]
    found = ReaderAgreement.of(whole, 0)
    assert found.pooled.pairs == sum(agreement.pairs for agreement in found.readers.values()) == len(whole)
    same = sum(pair.answers[0] == pair.answers[1] for pair in whole)
    assert found.pooled.raw.count == sum(agreement.raw.count for agreement in found.readers.values()) == same


def test_seconds_are_median_and_ninetieth_percentile() -> None:
    assert Seconds.of([4.0, 1.0, 3.0, 2.0]) == Seconds(4, 2.5, pytest.approx(3.7))
    assert Seconds.of([]) is None
