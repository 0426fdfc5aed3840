"""Results come in the order of their arrival, and silence is measured in time that this process waited."""

import time
from concurrent.futures import Future
from typing import Any

import pytest

from yanshou.engines.workers import calls
from yanshou.engines.workers.calls import Calls
from yanshou.engines.workers.seat import Seat


class Handle:
    """A `WorkerHandle` whose calls end when the test says so."""

    def __init__(self) -> None:
        self.futures: dict[str, Future[Any]] = {}

    def call(self, method: str, *arguments: object) -> Future[Any]:
        self.futures[method] = Future()
        return self.futures[method]

    def kill(self) -> None:
        raise AssertionError("a call ends no worker")


@pytest.fixture
def handle() -> Handle:
    return Handle()


@pytest.fixture
def seat(handle: Handle) -> Seat:
    return Seat(0, handle)


def test_a_result_names_its_call_and_ends_it(handle: Handle, seat: Seat) -> None:
    under_way = Calls(60)
    under_way.call(seat, "facts")
    under_way.run += 1
    under_way.call(seat, "exchange", (), 0)
    handle.futures["exchange"].set_result("reply")
    handle.futures["facts"].set_result("facts")
    found = [result for result in (under_way.next_result(), under_way.next_result()) if result]
    assert [(result.method, result.future.result(), result.run) for result in found] == [
        ("exchange", "reply", 1), ("facts", "facts", 0),
    ]  # fmt: skip
    assert seat.calls == set()


def test_wake_ends_the_wait(seat: Seat) -> None:
    under_way = Calls(60)
    under_way.call(seat, "facts")
    under_way.wake()
    assert under_way.next_result() is None
    assert seat.calls == {"facts"}


def test_only_time_spent_waiting_counts_as_silence(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "TICK_S", 0.02)
    under_way = Calls(0.03)
    under_way.call(seat, "exchange", (), 0)
    time.sleep(0.05)  # as a process that is suspended
    assert under_way.silent([seat]) is None
    for _ in range(2):
        assert under_way.next_result() is None
        died = under_way.silent([seat])
    assert died is not None
    assert died.cause == "no answer for --worker-timeout, 0.03 s"
