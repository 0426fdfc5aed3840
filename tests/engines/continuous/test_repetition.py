"""Promises about answers that repeat themselves: detected early, and nothing else is taken for a repetition."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from yanshou.engines.continuous.repetition import CHECK_INTERVAL, MAX_PERIOD, MIN_REPEATS, MIN_TOKENS, is_repeating


def first_detected(tokens: list[int]) -> int | None:
    return next((length for length in range(1, len(tokens) + 1) if is_repeating(tokens[:length])), None)


@given(st.lists(st.integers(0, 99), max_size=60), st.lists(st.integers(0, 99), min_size=1, max_size=MAX_PERIOD))
def test_a_repetition_is_detected_soon(before: list[int], piece: list[int]) -> None:
    detected = first_detected(before + piece * 400)
    assert detected is not None
    assert detected <= len(before) + max(MIN_TOKENS, MIN_REPEATS * len(piece)) + CHECK_INTERVAL


@given(st.integers(0, 10_000))
def test_a_long_list_of_different_entries_is_no_repetition(seed: int) -> None:
    rng = Random(seed)
    entries = [[1, 2, rng.randrange(50), 3, rng.randrange(9)] for _ in range(60)]
    distinct = [entry for at, entry in enumerate(entries) if entry not in entries[at - 3 : at]]
    assert first_detected([token for entry in distinct for token in entry]) is None


def test_the_same_entry_three_times_is_no_repetition() -> None:
    assert first_detected([*range(200, 240)] * 3) is None
