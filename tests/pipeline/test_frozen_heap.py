"""Promises of `yanshou.pipeline.frozen_heap`: in a long run, what is older than its outcomes is left alone."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from yanshou.pipeline.frozen_heap import LONG, frozen_heap


class Cycle:
    """Only the garbage collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def is_walked_over(wanted: Any) -> bool:
    """Whether a full collection looks at the object."""
    return any(one is wanted for one in gc.get_objects())


def test_collections_leave_alone_what_is_older_than_the_second_outcome() -> None:
    old: list[Any] = [[]]
    made: list[Any] = [[]]

    def outcomes() -> Iterator[list[Any]]:
        made.append(loaded := [[]])
        yield loaded
        yield [[]]

    assert is_walked_over(old)
    run = frozen_heap(outcomes(), LONG)
    assert not is_walked_over(old)
    loaded = next(run)
    assert not is_walked_over(old)
    assert not is_walked_over(loaded)
    young = next(run)
    assert is_walked_over(young)
    assert list(run) == []
    assert is_walked_over(old)
    assert is_walked_over(loaded)


def test_an_error_and_an_early_end_give_everything_back() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        list(frozen_heap(fails(), LONG))
    assert gc.get_freeze_count() == 0
    run = frozen_heap(iter([1, 2]), LONG)
    next(run)
    assert gc.get_freeze_count() > 0
    run.close()  # type: ignore[attr-defined]
    assert gc.get_freeze_count() == 0


def test_what_is_garbage_before_a_long_run_is_freed_before_it() -> None:
    garbage = Cycle()
    gc.collect()  # it is old now: only a full collection frees it
    freed = weakref.ref(garbage)
    del garbage
    assert freed() is not None
    run = frozen_heap(iter([1]), LONG)
    assert freed() is None
    assert list(run) == [1]


def test_short_runs_leave_the_collector_to_itself() -> None:
    """A freeze in each of them would set its counters back each time, and nothing would ever be collected."""
    freed = []
    for _ in range(2_000):
        garbage = Cycle()
        freed.append(weakref.ref(garbage))
        del garbage
        for _ in frozen_heap(iter([1, 2]), LONG - 1):
            assert gc.get_freeze_count() == 0
    assert sum(one() is None for one in freed) > 500
