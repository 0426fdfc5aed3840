"""Leases across starts and clocks. What they mean for a queue: test_queue.py, test_answers.py."""

import time
from pathlib import Path

import pytest
from support.review_answers import key, open_store
from support.review_sessions import SteadyClock, browser, take_all

from yanshou.review.store.leases import LeaseClock
from yanshou.review.store.store import Store

KEYS = [key(f"QC-{number}") for number in range(3)]


def test_wall_clock_set_to_another_time_moves_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LeaseClock()
    before = clock()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= clock() < before + 10


def test_start_gives_every_lease_its_full_length_again(tmp_path: Path) -> None:
    """The pages could not renew theirs while the server was down, and may hold an answer."""
    clock, path = SteadyClock(), tmp_path / "review.sqlite"
    with open_store(path, KEYS, clock=clock) as store:
        li, wang = browser(store, "李"), browser(store, "王")
        groups = take_all(store, li)
    clock.now += 3_000
    with Store.open(path, clock=clock) as store:
        assert take_all(store, wang) == []
        clock.now += 301
        assert sorted(take_all(store, wang)) == sorted(groups)


@pytest.mark.parametrize("jump", [-86_400, -301, 301, 86_400])
def test_wall_clock_set_to_another_time_between_starts(tmp_path: Path, jump: float) -> None:
    """No group is given to two, and none is held for longer than a lease."""
    clock, path = SteadyClock(), tmp_path / "review.sqlite"
    with open_store(path, KEYS, clock=clock) as store:
        li, wang = browser(store, "李"), browser(store, "王")
        groups = take_all(store, li)
    clock.now += jump
    with Store.open(path, clock=clock) as store:
        assert take_all(store, wang) == []
        assert store.renew(li, groups[:1]) == groups[:1]
        clock.now += 301
        assert sorted(take_all(store, wang)) == sorted(groups)
