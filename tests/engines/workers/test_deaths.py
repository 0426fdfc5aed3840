"""A worker may die, hang or never start, and whatever it had is answered by others: nothing is lost or doubled."""

import time
from random import Random
from typing import Any

import pytest
from engines.workers.conftest import Inner
from support.many_workers import RUN, Make, expected, place, requests, run, written
from support.thread_place import ThreadPlace

from yanshou.engines.base import Failure
from yanshou.engines.workers import calls
from yanshou.engines.workers.messages import BrokenWorkerError, Reply
from yanshou.errors import RunError, WorkerError


@pytest.mark.parametrize("seed", range(3))
def test_killed_workers_change_nothing(engine: Make, seed: int) -> None:
    rng, many, answers = Random(seed), engine(2, delay_s=0.005), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(150)):
        answers.append(answer)
        if rng.random() < 0.03 and place(many).alive:
            rng.choice(place(many).alive).kill()
    written_ = written(answers)
    assert {number for number in written_ if written_[number] != expected(150)[number]} <= {
        answer.id for answer in answers if isinstance(answer, Failure) and isinstance(answer.error, WorkerError)
    }
    assert len(written_) == 150
    assert len(place(many).started) > 2


def test_a_photo_over_which_workers_die_fails_alone(engine: Make, inner: type[Inner]) -> None:
    inner.poison = {"11.jpg", "12.jpg"}
    many = engine(2)
    answers = run(many, requests(60))
    assert written(answers) == expected(60, _11="worker", _12="worker")
    (first, *_) = [answer.error for answer in answers if isinstance(answer, Failure)]
    assert "workers died over it" in str(first)
    assert "killed by signal 9" in str(first)
    assert len(place(many).started) <= 2 + 6


@pytest.mark.parametrize("workers", [1, 2])
def test_the_only_photo_of_a_run_may_be_the_one(engine: Make, inner: type[Inner], workers: int) -> None:
    inner.poison = {"0.jpg"}
    many = engine(workers)
    assert written(run(many, requests(1))) == {0: "worker"}
    assert many.worker_deaths == 3


def test_requests_may_follow_without_a_plan_where_the_only_worker_died_over_the_last_one(
    engine: Make, inner: type[Inner]
) -> None:
    inner.poison = {"0.jpg"}
    many = engine(1)
    assert written(run(many, requests(1))) == {0: "worker"}
    assert {0: "标签/0×1"} | written(list(many.generate(requests(9, first=1)))) == expected(10)


def test_a_run_of_three_deadly_photos_ends_with_three_failures(engine: Make, inner: type[Inner]) -> None:
    inner.poison = {"*"}
    many = engine(1)
    assert written(run(many, requests(3))) == {0: "worker", 1: "worker", 2: "worker"}
    inner.poison = set()
    assert written(run(many, requests(10))) == expected(10)  # the next mission has a worker


def test_workers_that_die_over_everything_end_the_run(engine: Make, inner: type[Inner]) -> None:
    inner.poison = {"*"}
    many = engine(1)
    with pytest.raises(
        RunError, match=r"every worker died 3 times .*: killed by signal 9\. Their log files: /tmp/logs$"
    ):
        run(many, requests(60))
    assert len(place(many).started) == many.worker_deaths == 3
    assert many.take_warnings()[-1] == "3 workers died. The last cause: killed by signal 9. Log files: /tmp/logs"
    with pytest.raises(RunError, match="every worker died"):
        many.prepare_run(RUN)


def test_workers_that_never_start_end_the_run(engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(number: int, result: Any) -> Any:
        raise BrokenWorkerError("CUDA error: no device")

    many = engine(2, change=dies)
    with pytest.raises(RunError, match="every worker died 3 times"):
        many.identity()
    assert len(place(many).started) == 6


def test_a_seat_that_only_dies_is_given_up_and_the_others_go_on(engine: Make) -> None:
    def second_is_broken(number: int, result: Any) -> Any:
        if number and isinstance(result, Reply):
            raise BrokenWorkerError("CUDA error")
        return result

    many = engine(2, change=second_is_broken, delay_s=0.01)
    assert written(run(many, requests(150))) == expected(150)
    assert len(place(many).started) == 4
    given_up, died = many.take_warnings()
    assert "are not replaced: CUDA error. The run has 1 of 2 workers left" in given_up
    assert died == "3 workers died, and others took their requests. The last cause: CUDA error. Log files: /tmp/logs"
    assert many.take_warnings() == []
    assert many.worker_deaths == 3


def test_a_worker_that_says_nothing_is_replaced(engine: Make) -> None:
    many, answers = engine(2, timeout=0.3, delay_s=0.02), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(100)):
        answers.append(answer)
        if len(answers) == 20:
            place(many).started[0].hears = False
    assert written(answers) == expected(100)
    assert len(place(many).started) == 3


def test_a_driver_that_was_suspended_takes_nobody_for_dead(engine: Make) -> None:
    many, answers = engine(2, timeout=0.5, delay_s=0.02), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(100)):
        answers.append(answer)
        if len(answers) in (20, 60):
            time.sleep(1)
    assert written(answers) == expected(100)
    assert len(place(many).started) == 2


def test_a_worker_that_loads_is_waited_for(engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "load", lambda self: time.sleep(0.8))
    many = engine(1, timeout=0.3)
    assert written(run(many, requests(5))) == expected(5)
    assert len(place(many).started) == 1


def test_load_loads_all_workers(engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(inner, "load", lambda self: loaded.extend([self]))
    many = engine(3)
    many.load()
    assert len(set(loaded)) == 3


def never_starts(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """The first call of these workers, counted from 0, never returns."""
    monkeypatch.setattr(calls, "NO_START_S", 0.3)
    made, original = [0], ThreadPlace.start_worker

    def start(self: ThreadPlace) -> Any:
        handle, number = original(self), made[0]
        made[0] += 1
        handle.hears = number not in numbers  # type: ignore[attr-defined]
        return handle

    monkeypatch.setattr(ThreadPlace, "start_worker", start)


def test_where_no_worker_lives_and_none_can_start_the_run_ends(engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    never_starts(monkeypatch, 0, 1)
    with pytest.raises(RunError, match=r"none has started for 0.3 s: no free GPU"):
        engine(2, short="no free GPU: all 2 are in use").identity()


def test_a_run_goes_on_without_a_worker_that_cannot_start(engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    never_starts(monkeypatch, 0)
    many = engine(2, short="no free GPU: all 2 are in use")
    assert written(run(many, requests(30))) == expected(30)
    assert many.take_warnings() == ["1 of 2 workers have started: no free GPU: all 2 are in use"]


def test_a_worker_that_hangs_before_it_is_there_is_replaced(engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    never_starts(monkeypatch, 0)
    monkeypatch.setattr(calls, "START_S", 0.3)
    many = engine(1)
    assert written(run(many, requests(30))) == expected(30)
    assert many.take_warnings()[0].startswith("1 worker died, and others took its requests. The last cause: it did not")


def test_a_worker_that_dies_after_a_stop_is_not_replaced(engine: Make) -> None:
    many, answers = engine(2, delay_s=0.05), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(200)):
        answers.append(answer)
        if len(answers) == 8:
            many.stop()
            place(many).started[0].kill()
    assert written(answers).items() <= expected(200).items()
    assert len(place(many).started) == 2


def test_a_next_mission_does_not_wait_for_a_replacement_that_cannot_start(
    engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_starts(monkeypatch, 2)
    many = engine(2)
    many.prepare_run(RUN)
    place(many).started[0].kill()
    for _ in range(2):
        assert written(run(many, requests(30))) == expected(30)


def test_a_replacement_gets_requests_only_when_it_has_loaded(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    monkeypatch.setattr(inner, "load", lambda self: (len(loaded) > 1 and time.sleep(30)) or loaded.extend([self]))
    many, answers = engine(2, delay_s=0.01), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(150)):
        answers.append(answer)
        if len(answers) == 20:
            place(many).started[0].kill()
    assert written(answers) == expected(150)
