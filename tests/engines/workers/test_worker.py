"""Promises of a worker, called as the driver calls it, but in this process: every request is answered, none waits."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import settings
from support.requests import photos

from yanshou.engines import ENGINES, load_engine
from yanshou.engines.base import Answer, Failure, Request, RunPlan
from yanshou.engines.scripted import ScriptedEngine
from yanshou.engines.workers import worker as module
from yanshou.engines.workers.messages import BrokenWorkerError, Follows, Reply
from yanshou.engines.workers.worker import Worker
from yanshou.errors import CheckpointError, PhotoError, UsageError
from yanshou.requirements import installed
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings, WorkerSettings
from yanshou.version import __version__

PROMPT = Prompt("system", "user")
RUN = RunPlan(PROMPT, photos=True, earlier=())


class Faulty(ScriptedEngine):
    """An engine whose faults a test chooses: they are tried before each load and each answer."""

    before_load: Callable[[], None] = staticmethod(lambda: None)
    before_answer: Callable[[Answer], None] = staticmethod(lambda answer: None)

    def load(self) -> None:
        type(self).before_load()

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        for answer in super().generate(requests):
            type(self).before_answer(answer)
            yield answer


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    """The class of the scripted engine in this test; set its faults."""
    own = type("Own", (Faulty,), {})
    monkeypatch.setattr(module, "load_engine", own)
    return own


@pytest.fixture
def scripted(script: Callable[..., Path]) -> Callable[..., Worker]:
    """A worker with a scripted engine that opens no photos."""

    def make(*, decode: bool = False, **options: Any) -> Worker:
        given = EngineSettings(
            checkpoint=str(script(decode=decode, **options)), engine="scripted", batch_size=8,
            workers=WorkerSettings(workers=2),
        )  # fmt: skip
        return Worker(given)

    return make


def requests(numbers: Iterable[int], folder: Path = Path("photos")) -> tuple[Request, ...]:
    return tuple(Request(number, PROMPT, folder / f"{number}.jpg") for number in numbers)


def answered(worker: Worker, given: tuple[Request, ...] = ()) -> list[int]:
    """The ids of all answers until there is none in flight."""
    found: list[Answer] = []
    reply = worker.exchange(given, 0)
    while reply.answers:
        found += reply.answers
        reply = worker.exchange((), 0)
    return sorted(answer.id for answer in found)


def test_two_batches_and_then_silence_are_answered(scripted: Callable[..., Worker]) -> None:
    assert answered(scripted(), requests(range(16))) == list(range(16))


def test_requests_that_come_later_are_answered_by_another_generate(scripted: Callable[..., Worker]) -> None:
    worker = scripted()
    for count in (5, 0, 16, 1):
        assert answered(worker, requests(range(count))) == list(range(count))


def test_requests_that_come_during_a_generate_are_answered_by_it(scripted: Callable[..., Worker]) -> None:
    worker = scripted(delay_s=0.02)
    first = worker.exchange(requests(range(100)), 0)
    assert 8 <= len(first.answers) < 100
    assert answered(worker, requests(range(100, 150))) == sorted({*range(150)} - {a.id for a in first.answers})


def test_a_call_returns_early_enough_for_the_feed_not_to_run_dry(scripted: Callable[..., Worker]) -> None:
    worker = scripted(delay_s=0.03)  # 16 batches take half a second
    reply = worker.exchange(requests(range(128)), 0)
    assert len(worker._feed) > 0
    assert len(reply.answers) >= 8


def test_a_call_that_more_follows_returns_at_once(scripted: Callable[..., Worker]) -> None:
    worker = scripted(delay_s=0.3)
    began = time.monotonic()
    assert worker.exchange(requests(range(8)), 0, "more now").answers == ()
    assert time.monotonic() - began < 0.3
    assert answered(worker, requests(range(8, 16))) == list(range(16))


def test_a_stop_before_the_requests_that_were_announced_ends_it_at_once(scripted: Callable[..., Worker]) -> None:
    worker = scripted()
    worker.exchange(requests(range(8)), 0, "more now")
    while worker._feed:
        time.sleep(0.001)
    began = time.monotonic()
    worker.stop()
    while not worker.exchange((), 0).stopped:
        assert time.monotonic() - began < 1
    assert time.monotonic() - began < 1


def test_an_engine_that_is_slow_answers_a_call_with_nothing(
    scripted: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    worker = scripted(delay_s=0.3)
    assert worker.exchange(requests(range(8)), 0).answers == ()
    assert worker.exchange((), 0).loading is False
    assert answers_in_time(worker, 8) == list(range(8))


def answers_in_time(worker: Worker, count: int) -> list[int]:
    """The ids of so many answers, in however many calls."""
    found: list[int] = []
    while len(found) < count:
        found += [answer.id for answer in worker.exchange((), 0).answers]
    return sorted(found)


def test_a_worker_that_loads_says_so(
    faulty: type[Faulty], scripted: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    loaded = threading.Event()
    faulty.before_load = staticmethod(lambda: loaded.wait(20) and None)
    worker = scripted()
    assert worker.exchange(requests([1]), 0) == Reply(loading=True)
    loaded.set()
    assert answers_in_time(worker, 1) == [1]
    assert worker.exchange((), 0).loading is False


def test_a_plan_drops_what_is_queued_and_finishes_what_the_engine_holds(scripted: Callable[..., Worker]) -> None:
    worker = scripted(delay_s=0.1)
    worker.exchange(requests(range(1000)), 0)  # 12.5 s of work
    began = time.monotonic()
    assert worker.plan(RUN).in_flight == 24
    assert time.monotonic() - began < 6
    assert worker.exchange((), 0).answers == ()
    assert answered(worker, requests(range(2000, 2010))) == list(range(2000, 2010))


def test_after_a_stop_the_current_batch_is_answered_and_nothing_else(scripted: Callable[..., Worker]) -> None:
    worker = scripted(delay_s=0.1)
    found = list((reply := worker.exchange(requests(range(1000)), 0)).answers)
    worker.stop()
    while not reply.stopped:
        found += (reply := worker.exchange((), 0)).answers
    assert [answer.id for answer in found] == list(range(len(found)))
    assert len(found) < 200
    assert len(found) % 8 == 0
    assert worker.exchange(requests([5]), 0) == Reply(stopped=True, data_wait_s=reply.data_wait_s)


def test_a_stop_that_comes_between_two_steps_of_a_call_leaves_nothing_queued(
    scripted: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scripted()
    stopping = threading.Thread(target=worker.stop)
    add = worker._feed.add

    def add_late(given: Iterable[Request], follows: Follows) -> None:
        stopping.start()
        stopping.join(0.1)
        add(given, follows)

    monkeypatch.setattr(worker._feed, "add", add_late)
    reply = worker.exchange(requests([1]), 0)
    stopping.join()
    deadline = time.monotonic() + 5
    while not reply.stopped and time.monotonic() < deadline:
        reply = worker.exchange((), 0)
    assert reply.stopped


def test_an_engine_that_cannot_be_made_names_its_host(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other hosts may have other GPUs."""
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-2")
    given = settings(tiny).model_copy(update={"quantize": "fp8", "dtype": "bfloat16"})
    with pytest.raises(UsageError, match=r"^the worker on gpu-2: --quantize fp8 needs a GPU of compute capability 8"):
        Worker(given)


@pytest.mark.parametrize(("visible", "place"), [("3", "gpu-2, GPU 3"), ("", "gpu-2")])
def test_weights_that_do_not_fit_name_the_host_and_its_gpu(
    faulty: type[Faulty], scripted: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, visible: str, place: str
) -> None:
    """Each worker calls its own GPU cuda:0."""

    def full() -> None:
        raise CheckpointError("/models/4B: the weights do not fit the memory of cuda:0.")

    monkeypatch.setattr("socket.gethostname", lambda: "gpu-2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    faulty.before_load = staticmethod(full)
    with pytest.raises(CheckpointError) as caught:
        scripted().load()
    assert str(caught.value) == f"the worker on {place}: /models/4B: the weights do not fit the memory of cuda:0."


def test_an_error_of_the_engine_is_raised_by_the_call_and_the_worker_lives_on(
    faulty: type[Faulty], scripted: Callable[..., Worker]
) -> None:
    def changed() -> None:
        raise CheckpointError("model.safetensors changed while it was being read.")

    faulty.before_load = staticmethod(changed)
    worker = scripted()
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        worker.exchange(requests([1]), 0)
    faulty.before_load = staticmethod(lambda: None)
    worker.plan(RUN)
    assert answered(worker, requests([1])) == [1]


@pytest.mark.parametrize(
    ("error", "arrives"),
    [
        (ZeroDivisionError("a bug"), ZeroDivisionError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), BrokenWorkerError),
        (torch.AcceleratorError("device-side assert triggered", 710), BrokenWorkerError),
        (torch.AcceleratorError("CUDA error: out of memory"), torch.AcceleratorError),
    ],
)
def test_a_bug_is_raised_as_it_is_and_a_broken_context_as_a_broken_worker(
    faulty: type[Faulty], scripted: Callable[..., Worker], error: Exception, arrives: type[Exception]
) -> None:
    def fail(answer: Answer) -> None:
        if answer.id == 3:
            raise error

    faulty.before_answer = staticmethod(fail)
    worker = scripted()
    with pytest.raises(arrives, match=str(error).split(":")[0]):  # the first reply may bring the answers before it
        [worker.exchange(given, 0) for given in (requests(range(8)), ())]


def test_a_device_that_is_broken_before_the_first_photo_is_a_broken_worker(
    faulty: type[Faulty], scripted: Callable[..., Worker]
) -> None:
    def busy() -> None:
        raise torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")

    faulty.before_load = staticmethod(busy)
    with pytest.raises(BrokenWorkerError, match="busy or unavailable"):
        scripted().load()
    with pytest.raises(BrokenWorkerError, match="busy or unavailable"):
        scripted().exchange(requests([1]), 0)


def test_a_failed_photo_that_is_not_on_this_host_is_unseen(scripted: Callable[..., Worker], tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no photo")
    reply = scripted(decode=True).exchange(requests([1, 2], tmp_path), 0)
    assert all(isinstance(answer, Failure) and isinstance(answer.error, PhotoError) for answer in reply.answers)
    assert reply.unseen == {2}


def test_another_workers_out_of_memory_reduces_the_capacity(
    faulty: type[Faulty], scripted: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    reduced: list[int] = []
    monkeypatch.setattr(faulty, "reduce_capacity", lambda self, count: reduced.append(count))
    worker = scripted()
    for count in (0, 1, 3):
        worker.exchange((), count)
    assert reduced == [1, 3]


def test_facts_name_host_device_and_versions_and_load_nothing(tiny: Path) -> None:
    given = settings(tiny).model_copy(update={"engine": "transformers", "workers": WorkerSettings(workers=1)})
    worker = Worker(given, threads=1)
    facts = worker.facts()
    assert (facts.device, facts.versions["yanshou"], facts.versions["torch"]) == (
        "cpu",
        __version__,
        installed("torch"),
    )
    assert facts.identity == load_engine(given.model_copy(update={"workers": WorkerSettings()})).identity()
    assert "model" not in vars(worker._engine)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name in ("continuous", "transformers")])
def test_a_real_checkpoint_gives_the_same_lines_as_its_engine_alone(tiny: Path, engine: str) -> None:
    given = settings(tiny, batch_size=4).model_copy(update={"engine": engine})
    run, asked = RunPlan(photos()[0].prompt, photos=True, earlier=()), photos(10)
    alone = load_engine(given)
    alone.prepare_run(run)
    expected = {answer.id: answer for answer in alone.generate(asked)}
    worker = Worker(given, threads=1)
    assert worker.plan(run).environment == alone.environment()
    found = {}
    for part in (asked[:3], asked[3:], []):
        found |= {answer.id: answer for answer in worker.exchange(tuple(part), 0).answers}
    while len(found) < len(expected):
        found |= {answer.id: answer for answer in worker.exchange((), 0).answers}
    assert found == expected
