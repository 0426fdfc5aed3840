"""Items that arrive in any order, given out in the order of their numbers.

add(1)  add(2)  ready() → –         0 is missing
add(0)          ready() → 0 1 2
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Reorder(Generic[ItemT]):
    """Holds items, numbered from 0, until all before them are there. One thread may add while another takes."""

    def __init__(self) -> None:
        self._held: dict[int, ItemT] = {}
        self._next = 0

    def add(self, number: int, item: ItemT) -> None:
        self._held[number] = item

    def ready(self) -> Iterator[ItemT]:
        """Takes the items whose turn it is."""
        while self._next in self._held:
            yield self._held.pop(self._next)
            self._next += 1

    def rest(self) -> Iterator[ItemT]:
        """Takes the items that wait for one that never came, in order."""
        for number in sorted(self._held):
            yield self._held.pop(number)
