"""Guarantees of `yanshou.pipeline.reorder`: items come out in order, and none is lost or repeated."""

from hypothesis import given
from hypothesis import strategies as st

from yanshou.pipeline.reorder import Reorder


@given(st.permutations(range(8)))
def test_items_come_out_in_order_each_as_soon_as_all_before_it_are_in(arrivals: list[int]) -> None:
    order, out = Reorder[str](), list[str]()
    for count, number in enumerate(arrivals, 1):
        order.add(number, f"item {number}")
        out += order.ready()
        arrived = set(arrivals[:count])
        assert len(out) == next(n for n in range(9) if n not in arrived)
    assert out == [f"item {number}" for number in range(8)]
    assert list(order.rest()) == []


@given(st.sets(st.integers(0, 20)))
def test_items_behind_one_that_never_comes_are_the_rest(numbers: set[int]) -> None:
    order = Reorder[int]()
    for number in sorted(numbers, reverse=True):
        order.add(number, number)
    assert [*order.ready(), *order.rest()] == sorted(numbers)
    assert [*order.ready(), *order.rest()] == []
