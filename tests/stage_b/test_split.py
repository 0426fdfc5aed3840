"""Guarantees of `yanshou.stage_b.split`: one id on one side, every stratum near its share, the same draw every time."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from yanshou.schema.records import GroupKey
from yanshou.stage_b.split import join_ids, share_warnings, validation_ids

STRATA = [(mission, label) for mission in ("甲", "乙", "丙") for label in ("pass", "fail")]
FRACTIONS = st.floats(min_value=0.01, max_value=0.99)
SEEDS = st.integers()
BELONGINGS = st.lists(st.sets(st.sampled_from(STRATA), min_size=1), min_size=2, max_size=60)


def keys_of(belongings: list[set[tuple[str, str]]]) -> list[GroupKey]:
    return [GroupKey(*stratum, f"QC-{i}") for i, strata in enumerate(belongings) for stratum in sorted(strata)]


def expected_size(size: int, fraction: float) -> int:
    return min(max(round(size * fraction), 1), size - 1)


def off(keys: list[GroupKey], chosen: frozenset[str], fraction: float) -> list[int]:
    """For every stratum, the number of groups in validation above or below its share."""
    sizes = Counter(key[:2] for key in keys)
    taken = Counter(key[:2] for key in keys if key.group_id in chosen)
    return [abs(taken[stratum] - expected_size(size, fraction)) for stratum, size in sizes.items()]


@given(st.lists(st.sampled_from(STRATA), min_size=2, max_size=80), FRACTIONS, SEEDS)
def test_ids_of_one_stratum_are_split_exactly(strata: list[tuple[str, str]], fraction: float, seed: int) -> None:
    keys = keys_of([{stratum} for stratum in strata])
    chosen = validation_ids(keys, fraction, seed)
    assert sum(off(keys, chosen, fraction)) == 0 or len(set(strata)) == len(strata)  # one group per stratum: no shares


@given(BELONGINGS, FRACTIONS, SEEDS)
def test_ids_of_several_strata_are_off_by_a_few_at_most(
    belongings: list[set[tuple[str, str]]], fraction: float, seed: int
) -> None:
    keys = keys_of(belongings)
    assert max(off(keys, validation_ids(keys, fraction, seed), fraction)) <= 3


@given(BELONGINGS, FRACTIONS, SEEDS)
def test_neither_side_is_empty(belongings: list[set[tuple[str, str]]], fraction: float, seed: int) -> None:
    keys = keys_of(belongings)
    assert 0 < len(validation_ids(keys, fraction, seed)) < len(belongings)


@given(BELONGINGS, FRACTIONS, SEEDS, st.randoms())
def test_the_order_of_the_input_has_no_effect(
    belongings: list[set[tuple[str, str]]], fraction: float, seed: int, shuffler: random.Random
) -> None:
    keys = keys_of(belongings)
    shuffled = list(keys)
    shuffler.shuffle(shuffled)
    assert validation_ids(shuffled, fraction, seed) == validation_ids(keys, fraction, seed)


def test_the_draw_depends_on_the_seed_and_not_on_the_machine() -> None:
    keys = keys_of([{("甲", "pass")}] * 20)
    assert sorted(validation_ids(keys, 0.2, 0)) == ["QC-17", "QC-19", "QC-2", "QC-5"]
    assert validation_ids(keys, 0.2, 1) != validation_ids(keys, 0.2, 0)


def test_ids_of_several_strata_are_drawn_as_often_as_others() -> None:
    belongings = [set(STRATA[:2]) if i % 4 == 0 else {STRATA[i % 2]} for i in range(400)]
    chosen = validation_ids(keys_of(belongings), 0.2, 0)
    several = sum(f"QC-{i}" in chosen for i in range(0, 400, 4))
    assert 10 <= several <= 30  # a fifth of 100


def test_an_id_that_is_not_valid_unicode_can_be_drawn() -> None:
    assert len(validation_ids([GroupKey("甲", "pass", "\udcff"), GroupKey("甲", "pass", "QC-1")], 0.5, 0)) == 1


LINKS = st.lists(st.sets(st.integers(0, 59).map("QC-{}".format), min_size=2, max_size=6), max_size=12)


def present(links: list[set[str]], keys: list[GroupKey]) -> list[set[str]]:
    known = {key.group_id for key in keys}
    return [kept for ids in links if len(kept := ids & known) > 1]


@given(BELONGINGS, LINKS, FRACTIONS, SEEDS)
def test_linked_ids_stand_on_one_side(
    belongings: list[set[tuple[str, str]]], links: list[set[str]], fraction: float, seed: int
) -> None:
    keys = keys_of(belongings)
    linked = present(links, keys)
    chosen = validation_ids(keys, fraction, seed, linked)
    assert all(ids <= chosen or not ids & chosen for ids in linked)
    units = join_ids([key.group_id for key in keys], linked)
    assert 0 < len(chosen) < len(belongings) or len(units) == 1
    largest = 3 * max(map(len, units))  # a stratum has at most one group of each id
    assert max(off(keys, chosen, fraction)) <= largest


@given(BELONGINGS, LINKS, FRACTIONS, SEEDS, st.randoms())
def test_the_order_of_links_and_groups_has_no_effect(
    belongings: list[set[tuple[str, str]]],
    links: list[set[str]],
    fraction: float,
    seed: int,
    shuffler: random.Random,
) -> None:
    keys = keys_of(belongings)
    linked = present(links, keys)
    chosen = validation_ids(keys, fraction, seed, linked)
    shuffler.shuffle(keys)
    shuffler.shuffle(linked)
    assert validation_ids(keys, fraction, seed, [sorted(ids, reverse=True) for ids in linked]) == chosen


@given(BELONGINGS, FRACTIONS, SEEDS)
def test_without_twins_the_split_is_that_of_ids(
    belongings: list[set[tuple[str, str]]], fraction: float, seed: int
) -> None:
    keys = keys_of(belongings)
    assert validation_ids(keys, fraction, seed, [["QC-0"]]) == validation_ids(keys, fraction, seed)


def test_a_huge_twin_set_is_in_train_and_the_share_is_kept() -> None:
    keys = [GroupKey("甲", "fail", f"QC-{i}") for i in range(1000)]
    chosen = validation_ids(keys, 0.1, 0, [[f"QC-{i}" for i in range(400)]])
    assert len(chosen) == 100
    assert not chosen & {f"QC-{i}" for i in range(400)}


def test_pairs_of_twins_go_to_validation_at_their_share() -> None:
    keys = [GroupKey("甲", "fail", f"QC-{i}") for i in range(1000)]
    chosen = validation_ids(keys, 0.1, 0, [[f"QC-{i}", f"QC-{i + 1}"] for i in range(0, 600, 2)])
    assert len(chosen) == 100
    assert 50 <= sum(f"QC-{i}" in chosen for i in range(600)) <= 70


def test_a_share_that_twins_make_impossible_is_named() -> None:
    train = [GroupKey("甲", "fail", f"QC-{i}") for i in range(60)]
    val = [GroupKey("甲", "fail", f"QC-{i}") for i in range(60, 100)]
    assert [*share_warnings(train, val, 0.4)] == []
    (warning,) = share_warnings(train, val, 0.1)
    assert "40 of 100 groups with the label fail are in val, where --val-fraction asks for 10" in warning
