"""Promises of `yanshou.pipeline.frozen_heap`: what is older than the outcomes is left alone until they end."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from yanshou.pipeline.frozen_heap import frozen_heap


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

    run = frozen_heap(outcomes())
    assert is_walked_over(old)
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
        list(frozen_heap(fails()))
    assert gc.get_freeze_count() == 0
    run = frozen_heap(iter([1, 2]))
    next(run)
    assert gc.get_freeze_count() > 0
    run.close()  # type: ignore[attr-defined]
    assert gc.get_freeze_count() == 0
