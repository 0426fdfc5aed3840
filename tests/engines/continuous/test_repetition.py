"""Promises about answers that repeat themselves: noticed early, and nothing else is taken for one."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from yanshou.engines.continuous.repetition import LEAST, LONGEST_PERIOD, TIMES, repeats


def first_noticed(tokens: list[int]) -> int | None:
    return next((length for length in range(1, len(tokens) + 1) if repeats(tokens[:length])), None)


@given(st.lists(st.integers(0, 99), max_size=60), st.lists(st.integers(0, 99), min_size=1, max_size=LONGEST_PERIOD))
def test_a_loop_is_noticed_soon(before: list[int], piece: list[int]) -> None:
    noticed = first_noticed(before + piece * 400)
    assert noticed is not None
    assert noticed <= len(before) + max(LEAST, TIMES * len(piece)) + 16


@given(st.integers(0, 10_000))
def test_a_long_list_of_different_entries_is_none(seed: int) -> None:
    rng = Random(seed)
    entries = [[1, 2, rng.randrange(50), 3, rng.randrange(9)] for _ in range(60)]
    distinct = [entry for at, entry in enumerate(entries) if entry not in entries[at - 3 : at]]
    assert first_noticed([token for entry in distinct for token in entry]) is None


def test_the_same_entry_three_times_is_none() -> None:
    assert first_noticed([*range(200, 240)] * 3) is None
