"""Guarantees of `yanshou.stage_b.split`: one id on one side, every stratum near its share, the same draw every time."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from yanshou.schema.records import GroupKey
from yanshou.stage_b.split import validation_ids

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
