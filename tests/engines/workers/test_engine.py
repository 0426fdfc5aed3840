"""Promises of an engine with workers: the answers of one engine, whoever gives them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from engines.workers.conftest import Inner
from support.many_workers import PROMPT, RUN, Make, expected, place, requests, run, written

from yanshou.engines.base import (
    Failure,
    OutOfMemoryError,
    Request,
    RunPlan,
    closing_answers,
)
from yanshou.engines.workers import engine as engine_module
from yanshou.engines.workers import worker
from yanshou.engines.workers.feed import Feed
from yanshou.engines.workers.messages import Follows, WorkerFacts, WorkerPlan
from yanshou.errors import CheckpointError, InputError, PhotoError, RunError


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_many_workers_give_the_answers_of_one_engine(engine: Make, workers: int) -> None:
    many = engine(workers)
    for _ in range(2):
        assert written(run(many, requests(100))) == expected(100)
    assert len(place(many).started) == workers
    assert 0 <= many.data_wait_s < 5


def test_the_environment_is_that_of_one_engine_and_says_where_the_workers_are(engine: Make) -> None:
    many = engine(2)
    many.prepare_run(RUN)
    assert many.environment() == {"engine": "scripted", "batch_size": 4, "workers": 2, "ray": "none", "hosts": 1}
    assert many.identity()["dtype"] == "none"
    assert many.in_flight == 2 * (12 + 4)


def test_no_requests_and_no_plan_need_no_preparation(engine: Make) -> None:
    many = engine(2)
    assert list(many.generate([])) == []
    assert written(list(many.generate(requests(10)))) == expected(10)


def test_requests_without_photos_are_scored(engine: Make) -> None:
    given = [Request(7, PROMPT, None, "QC-1", candidates=("无关", "别的"))]
    many = engine(1, confidence={"*": 0.75})
    (answer,) = many.generate(given)
    assert isinstance(answer, Failure)  # the script has no answer for QC-1
    assert "QC-1" in str(answer.error)


def test_workers_begin_while_the_driver_still_reads(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FIRST", 4)
    began = threading.Event()
    inner.before_complete = staticmethod(lambda engine, batch: began.set())

    def source() -> Iterator[Request]:
        yield from requests(8)  # 4 for each worker
        assert began.wait(20), "no worker had begun before the ninth request was read"
        yield from requests(92, first=8)

    many = engine(2)
    many.prepare_run(RUN)
    assert written(list(many.generate(source()))) == expected(100)


def test_a_source_that_fails_before_what_was_announced_keeps_no_next_run_waiting(
    engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FIRST", 4)

    def fails() -> Iterator[Request]:
        yield from requests(9)  # 4 for each worker, which hears that more comes now
        raise LookupError

    many = engine(2)
    many.prepare_run(RUN)
    with pytest.raises(LookupError):
        list(many.generate(fails()))
    began = time.monotonic()
    assert written(run(many, requests(20))) == expected(20)
    assert time.monotonic() - began < 1


def test_workers_hear_when_the_last_request_is_dealt(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FIRST", 4)
    heard: list[str] = []
    add = Feed.add

    def noted(feed: Feed, given: Iterable[Request], follows: Follows) -> None:
        heard.append(follows)
        add(feed, given, follows)

    monkeypatch.setattr(Feed, "add", noted)
    many = engine(1)
    assert written(run(many, requests(60))) == expected(60)
    assert heard[0] == "more now"
    assert set(heard[1:]) == {"maybe more", "nothing"}
    assert heard[1:] == sorted(heard[1:])


# ---- what a worker says ----


def test_an_error_of_the_checkpoint_ends_the_run(engine: Make, inner: type[Inner]) -> None:
    def refuse(self: Inner, batch: object) -> None:
        raise CheckpointError("model.safetensors changed while it was being read")

    inner.before_complete = staticmethod(refuse)
    with pytest.raises(CheckpointError, match="changed while"):
        run(engine(2), requests(60))


def test_a_bug_in_a_worker_is_a_bug_here(engine: Make, inner: type[Inner]) -> None:
    inner.before_complete = staticmethod(lambda self, batch: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run(engine(2), requests(60))


def test_a_photo_that_only_this_host_has_ends_the_run(
    engine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (damaged := tmp_path / "1.jpg").write_bytes(b"no photo")
    monkeypatch.setattr(worker, "_exists", lambda path: False)
    many = engine(2, decode=True)
    with pytest.raises(InputError, match=rf"{damaged} is on this host, but not on .*, where a worker runs"):
        run(many, [Request(0, PROMPT, damaged)])


def test_a_photo_that_is_nowhere_fails_alone(engine: Make, tmp_path: Path) -> None:
    (answer,) = run(engine(2, decode=True), [Request(0, PROMPT, tmp_path / "1.jpg")])
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, PhotoError)


def other(**fields: Any) -> Callable[[int, Any], Any]:
    """The second worker's facts are others."""
    return lambda number, result: (
        replace(result, host=f"host-{number}", **(fields if number else {}))
        if isinstance(result, WorkerFacts)
        else result
    )


def test_another_checkpoint_is_always_refused(engine: Make) -> None:
    many = engine(2, change=other(identity={"checkpoint": "77aa", "dtype": "none"}), mixed=True)
    with pytest.raises(CheckpointError, match=r"checkpoint is .*… on host-0, 77aa on host-1|77aa on host-1, .* host-0"):
        many.identity()


def test_another_quantization_is_always_refused(engine: Make) -> None:
    forms: dict[str, Any] = {"checkpoint": "77aa", "quantize": {"weights": "fp8", "decode": "fp8"}}
    both = other(identity=forms)
    slower = forms | {"quantize": {"weights": "fp8", "decode": "bf16"}}
    change = lambda number, result: both(1, result) if number == 0 else other(identity=slower)(number, result)  # noqa: E731
    with pytest.raises(CheckpointError, match=r"quantize\.decode is (fp8|bf16) on host-\d, (fp8|bf16) on host-\d\. Gi"):
        engine(2, change=change, mixed=True).identity()


@pytest.mark.parametrize("fields", [{"device": "NVIDIA H200"}, {"versions": {"torch": "2.9.0"}}])
def test_another_gpu_or_version_is_refused_unless_mixed(engine: Make, fields: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="--mixed-workers"):
        engine(2, change=other(**fields)).identity()
    many = engine(2, change=other(**fields), mixed=True)
    assert written(run(many, requests(60))) == expected(60)
    assert many.environment().get("devices") == (["NVIDIA H200", "cpu"] if "device" in fields else None)


def test_unlike_workers_refuse_every_mission(engine: Make) -> None:
    many = engine(2, change=other(device="NVIDIA H200"))
    for _ in range(2):
        with pytest.raises(RunError, match="the workers differ: GPU"):
            many.prepare_run(RUN)


def test_an_error_that_all_workers_have_ends_one_mission_only(engine: Make) -> None:
    refused = [0, 1]

    def refuse(number: int, result: Any) -> Any:
        if isinstance(result, WorkerPlan) and number in refused:
            refused.remove(number)
            raise RunError("the prompt is too long")
        return result

    many = engine(2, change=refuse)
    with pytest.raises(RunError, match="too long"):
        many.prepare_run(RUN)
    assert written(run(many, requests(20))) == expected(20)


def test_another_python_is_no_difference(engine: Make) -> None:
    def older(number: int, result: Any) -> Any:
        if number and isinstance(result, WorkerFacts):
            return replace(result, versions={**result.versions, "python": "3.11.0"})
        return result

    assert engine(2, change=older).identity()


# ---- capacity ----


def planning(inner: type[Inner], monkeypatch: pytest.MonkeyPatch, *slots: int) -> list[list[int]]:
    """The workers' engines plan so many slots, as the continuous engine does: at most those of an earlier run in the
    same place. Returns what each worker has planned."""
    planned: list[list[int]] = []

    def prepare(self: Any, run: RunPlan) -> None:
        if not hasattr(self, "planned"):
            self.own, self.planned = slots[min(len(planned), len(slots) - 1)], []
            planned.append(self.planned)
        pinned = [earlier["slots"] for earlier in run.earlier if earlier.get("device") == "cpu" and "slots" in earlier]
        self.planned.append(min([self.own, *pinned[:1]]))

    monkeypatch.setattr(inner, "prepare_run", prepare)
    monkeypatch.setattr(
        inner, "environment", lambda self: {"device": "cpu", "slots": ([0, *getattr(self, "planned", [])])[-1]}
    )
    return planned


def test_the_smallest_capacity_is_imposed_on_all(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = planning(inner, monkeypatch, 64, 48, 56)
    many = engine(3)
    assert written(run(many, requests(60))) == expected(60)
    assert sorted(planned) == [[48], [56, 48], [64, 48]]
    assert many.environment()["slots"] == 48


def test_a_resume_keeps_the_capacity_of_the_lines_so_far(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    planning(inner, monkeypatch, 64)
    many = engine(2)
    many.prepare_run(replace(RUN, earlier=[{"device": "cpu", "slots": 32, "workers": 7}]))
    assert many.environment()["slots"] == 32


def test_a_replacement_has_the_capacity_of_the_others(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = planning(inner, monkeypatch, 48, 48, 64)
    many, answers = engine(2, delay_s=0.01), []
    many.prepare_run(RUN)
    for answer in many.generate(requests(150)):
        answers.append(answer)
        if len(answers) == 10:
            place(many).started[0].kill()
    assert written(answers) == expected(150)
    assert planned == [[48], [48], [64, 48]]


def test_a_replacement_that_cannot_have_it_ends_the_run(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    planning(inner, monkeypatch, 48, 48, 40)
    many = engine(2, delay_s=0.01)
    many.prepare_run(RUN)
    answers = many.generate(requests(150))
    next(answers)
    place(many).started[0].kill()
    with pytest.raises(RunError, match=r"plans \{'slots': 40\}, the others \{'slots': 48\}"):
        list(answers)


# ---- out of memory, stop, early ends ----


def test_an_out_of_memory_on_one_worker_is_told_to_all(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, int]] = []
    monkeypatch.setattr(inner, "reduce_capacity", lambda self, times: told.append((self, times)))
    first: list[Inner] = []

    def once(self: Inner, batch: object) -> None:
        if not first:
            first.append(self)
            raise OutOfMemoryError

    inner.before_complete = staticmethod(once)
    many = engine(2, delay_s=0.01)
    assert written(run(many, requests(100))) == expected(100)
    assert many.out_of_memory == 1
    assert {(engine is first[0], times) for engine, times in told} == {(False, 1)}


def test_stop_ends_after_the_current_batches(engine: Make) -> None:
    many = engine(2, delay_s=0.05)
    many.prepare_run(RUN)
    answers = []
    for answer in many.generate(requests(200)):
        answers.append(answer)
        if len(answers) == 8:
            many.stop()
    assert 8 <= len(answers) < 60
    assert written(answers).items() <= expected(200).items()
    many.prepare_run(RUN)  # of the next mission
    assert list(many.generate(requests(5))) == []


def test_stop_does_not_wait_for_workers_that_start(engine: Make) -> None:
    slow = threading.Event()
    many = engine(2, change=lambda number, result: slow.wait() and result)
    threading.Timer(0.1, many.stop).start()
    with pytest.raises(KeyboardInterrupt):
        many.identity()
    slow.set()


def test_stop_does_not_wait_for_workers_that_load(
    engine: Make, inner: type[Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner, "load", lambda self: time.sleep(20))
    many = engine(2)
    many.prepare_run(RUN)
    threading.Timer(0.3, many.stop).start()
    began = time.monotonic()
    assert list(many.generate(requests(30))) == []
    with pytest.raises(KeyboardInterrupt):  # a next mission finds nobody
        many.prepare_run(RUN)
    assert time.monotonic() - began < 10


def test_answers_of_a_generate_that_was_closed_early_never_come_later(engine: Make) -> None:
    many = engine(2, delay_s=0.02)
    many.prepare_run(RUN)
    with closing_answers(many, requests(200)) as answers:
        assert len(list(islice(answers, 10))) == 10
    for _ in range(2):
        assert written(list(many.generate(requests(30)))) == expected(30)


def test_the_place_is_closed_with_the_engine(engine: Make) -> None:
    many = engine(2)
    many.identity()
    many.close()
    assert place(many).closed
