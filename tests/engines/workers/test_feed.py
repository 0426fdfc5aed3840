"""Promises of a worker's feed: an iterator ends after an idle moment, and what comes later is in the next one."""

import threading
import time
from collections.abc import Callable

import pytest

from yanshou.engines.base import Request
from yanshou.engines.workers.feed import IDLE_S as SECONDS
from yanshou.engines.workers.feed import Feed
from yanshou.engines.workers.messages import Follows
from yanshou.schema.prompt import Prompt

IDLE_S = SECONDS["maybe more"]


def requests(*numbers: int) -> list[Request]:
    return [Request(number, Prompt("system", "user"), None) for number in numbers]


def feed() -> Feed:
    return Feed(threading.Condition())


def test_an_iterator_ends_after_an_idle_moment_and_the_next_one_begins_with_what_came_later() -> None:
    made = feed()
    iterators = made.iterators()
    made.add(requests(1, 2))
    began = time.monotonic()
    assert [request.id for request in next(iterators)] == [1, 2]
    assert IDLE_S <= time.monotonic() - began < 20 * IDLE_S
    made.add(requests(3))
    assert [request.id for request in next(iterators)] == [3]


def test_requests_that_come_while_the_iterator_waits_are_in_it() -> None:
    made = feed()
    made.add(requests(1))
    iterator = next(made.iterators())
    assert next(iterator).id == 1
    threading.Timer(IDLE_S / 5, lambda: made.add(requests(2))).start()
    assert next(iterator).id == 2


def test_where_nothing_follows_an_iterator_ends_at_once() -> None:
    made = feed()
    made.add(requests(1, 2), "nothing")
    began = time.monotonic()
    assert [request.id for request in next(made.iterators())] == [1, 2]
    assert time.monotonic() - began < IDLE_S


def test_an_iterator_that_waits_ends_when_it_hears_that_nothing_follows() -> None:
    made = feed()
    made.add(requests(1), "more now")
    threading.Timer(0.1, lambda: made.add((), "nothing")).start()
    began = time.monotonic()
    assert [request.id for request in next(made.iterators())] == [1]
    assert time.monotonic() - began < SECONDS["more now"]


@pytest.mark.parametrize("end", [lambda made: made.add((), "maybe more"), lambda made: made.clear()])
def test_an_iterator_that_waits_for_what_does_not_come_ends_soon(end: Callable[[Feed], None]) -> None:
    made = feed()
    made.add(requests(1), "more now")
    threading.Timer(0.1, end, [made]).start()
    began = time.monotonic()
    assert [request.id for request in next(made.iterators())] == [1]
    assert time.monotonic() - began < SECONDS["more now"] / 2


@pytest.mark.parametrize(("follows", "waits"), [("more now", True), ("maybe more", False)])
def test_an_iterator_waits_longer_for_what_is_on_its_way(follows: Follows, waits: bool) -> None:
    made = feed()
    made.add(requests(1), follows)
    threading.Timer(5 * IDLE_S, lambda: made.add(requests(2))).start()
    found = [request.id for request in next(made.iterators())]
    assert found == ([1, 2] if waits else [1])


def test_a_feed_is_idle_when_all_that_was_read_is_done() -> None:
    made = feed()
    assert made.idle
    made.add(requests(1, 2))
    iterators = made.iterators()
    iterator = next(iterators)
    assert (next(iterator).id, made.idle) == (1, False)
    made.clear()
    assert (list(iterator), len(made), made.idle) == ([], 0, False)
    threading.Thread(target=lambda: next(iterators), daemon=True).start()
    made.wait_until_idle()
    assert made.idle
    made.add(requests(3))  # ends the thread
