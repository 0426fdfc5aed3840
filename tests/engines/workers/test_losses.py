"""Each loss is told once, in words that say how many workers are left."""

from typing import Any

import pytest

from yanshou.engines.workers.losses import Losses
from yanshou.engines.workers.messages import Reply
from yanshou.engines.workers.seat import Died, Seat


class Place:
    """A place of two workers."""

    workers, logs = 2, "/tmp/logs"


def death(cause: str, waited_s: float = 0.0) -> Died:
    none: Any = None
    return Died(Seat(0, none, reply=Reply(data_wait_s=waited_s)), cause)


@pytest.fixture
def losses() -> Losses:
    place: Any = Place()
    return Losses(place)


def test_a_death_is_told_once_with_its_cause(losses: Losses) -> None:
    losses.died(death("signal 9", 1.5))
    assert losses.take_warnings(others=True) == [
        "1 worker died, and others took its requests. The last cause: signal 9. Log files: /tmp/logs"
    ]
    assert losses.take_warnings(others=True) == []
    losses.died(death("signal 9"))
    losses.died(death("no answer", 2.0))
    assert losses.take_warnings(others=False) == ["2 workers died. The last cause: no answer. Log files: /tmp/logs"]
    assert (losses.deaths, losses.data_wait_s) == (3, 3.5)


def test_what_is_missing_is_told_before_the_deaths(losses: Losses) -> None:
    losses.died(death("signal 9"))
    losses.given_up("signal 9", left=1)
    losses.short(1, "no free GPU")
    first, second, _ = losses.take_warnings(others=True)
    assert first.endswith("are not replaced: signal 9. The run has 1 of 2 workers left")
    assert second == "1 of 2 workers have started: no free GPU"
