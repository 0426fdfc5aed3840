"""`yanshou.engines.batching`: batches are full, reading ahead is bounded, every request is answered once."""

import threading
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yanshou.engines.base import Completion, Failure, OutOfMemoryError, Request
from yanshou.engines.batching import PREFETCH_BATCHES, RECOVERY_BATCHES, Scheduler
from yanshou.errors import CheckpointError, PhotoError
from yanshou.schema.prompt import Prompt

PROMPT = Prompt("system", "user")
TOO_LARGE = "the prompt does not fit the device's memory even in a batch of one"


class FakeModel:
    """A scheduler over numbers instead of photos. The test says which are bad and how many fit at each call."""

    def __init__(self, batch_size: int, bad: Sequence[int] = (), fits: Iterator[int] = repeat(10**6)) -> None:  # noqa: B008
        self.bad, self.fits = frozenset(bad), fits
        self.read = 0  # requests taken from the caller
        self.batches: list[list[int]] = []  # every batch that was tried, whether it fitted or not
        self.scheduler = Scheduler(self.prepare, self.complete, batch_size, threads=3)

    def prepare(self, request: Request) -> int:
        if request.id in self.bad:
            raise PhotoError(f"{request.id} is bad")
        return request.id

    def complete(self, batch: Sequence[int]) -> list[Completion]:
        self.batches.append(list(batch))
        if len(batch) > next(self.fits):
            raise OutOfMemoryError
        return [Completion(number, f"answer {number}", "stop") for number in batch]

    def requests(self, count: int) -> Iterator[Request]:
        for number in range(count):
            self.read += 1
            yield Request(number, PROMPT, None)

    def answers(self, count: int) -> list[tuple[int, str]]:
        return [summary(answer) for answer in self.scheduler.run(self.requests(count))]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def summary(answer: Completion | Failure) -> tuple[int, str]:
    return answer.id, answer.text if isinstance(answer, Completion) else str(answer.error)


def good(*numbers: int) -> list[tuple[int, str]]:
    return [(number, f"answer {number}") for number in numbers]


def preparing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]


def test_batches_are_full_and_answers_come_in_order() -> None:
    model = FakeModel(batch_size=8)
    assert model.answers(21) == good(*range(21))
    assert model.batches == [list(range(8)), list(range(8, 16)), list(range(16, 21))]


def test_no_requests_make_no_batch() -> None:
    model = FakeModel(batch_size=8)
    assert (model.answers(0), model.batches) == ([], [])


def test_a_photo_that_cannot_be_prepared_fails_alone_and_its_batch_is_still_full() -> None:
    model = FakeModel(batch_size=4, bad=[2, 5, 6])
    assert sorted(model.answers(11)) == sorted(
        [*good(0, 1, 3, 4, 7, 8, 9, 10), (2, "2 is bad"), (5, "5 is bad"), (6, "6 is bad")]
    )
    assert model.batches == [[0, 1, 3, 4], [7, 8, 9, 10]]


def test_many_bad_photos_in_a_row_leave_the_batch_around_them_full() -> None:
    model = FakeModel(batch_size=4, bad=range(2, 60))
    assert len(model.answers(66)) == 66
    assert model.batches == [[0, 1, 60, 61], [62, 63, 64, 65]]


def test_photos_that_all_fail_make_no_batch() -> None:
    model = FakeModel(batch_size=4, bad=range(30))
    assert model.answers(30) == [(number, f"{number} is bad") for number in range(30)]
    assert model.batches == []


@pytest.mark.parametrize("bad", [[], range(2, 200, 3), range(200)])
def test_requests_are_read_a_bounded_number_ahead(bad: Sequence[int]) -> None:
    model, ahead = FakeModel(batch_size=4, bad=bad), []
    for answered, _ in enumerate(model.scheduler.run(model.requests(200))):
        ahead.append(model.read - answered)
    assert max(ahead) == (PREFETCH_BATCHES + 1) * 4
    assert len(ahead) == 200


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    model = FakeModel(batch_size=8, fits=repeat(3))
    assert model.answers(12) == good(*range(12))
    assert model.batches == [
        [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [0, 1], [2, 3], [4, 5, 6, 7], [4, 5], [6, 7], [8, 9], [10, 11],
    ]  # fmt: skip


def test_a_smaller_batch_size_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "yanshou")
    FakeModel(batch_size=8, fits=chain([7], repeat(8))).answers(200)
    assert caplog.messages == [
        "out of memory with a batch of 8: retrying with 4",
        f"no out-of-memory in {RECOVERY_BATCHES} batches: batch size 8 again",
    ]


def test_a_photo_that_does_not_fit_alone_fails_and_the_others_are_answered() -> None:
    model = FakeModel(batch_size=4, fits=chain([3, 1, 0, 1], repeat(4)))  # [0 1 2 3], [0 1], then 0 alone and 1 alone
    assert model.answers(6) == [(0, TOO_LARGE), *good(1, 2, 3, 4, 5)]
    assert model.batches == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [4], [5]]


def test_a_halved_batch_size_is_doubled_again_after_batches_without_out_of_memory() -> None:
    model = FakeModel(batch_size=8, fits=chain([7], repeat(8)))
    model.answers(200)
    assert model.sizes[: 3 + RECOVERY_BATCHES] == [8, *[4] * RECOVERY_BATCHES, 8, 8]


def test_stop_ends_the_run_after_the_current_batch_and_every_later_run() -> None:
    def stopping() -> Iterator[int]:
        yield 4
        model.scheduler.stop()  # while the model runs the second batch
        yield 4

    model = FakeModel(batch_size=4, fits=stopping())
    assert model.answers(100) == good(*range(8))
    assert model.read <= 4 + (PREFETCH_BATCHES + 1) * 4
    assert model.answers(100) == []


def test_a_run_error_in_a_worker_thread_ends_the_run() -> None:
    model = FakeModel(batch_size=4)

    def prepare(request: Request) -> int:
        if request.id == 5:
            raise CheckpointError("no chat template")
        return request.id

    answers = Scheduler(prepare, model.complete, 4, threads=2).run(model.requests(100))
    assert [summary(next(answers)) for _ in range(4)] == good(0, 1, 2, 3)
    with pytest.raises(CheckpointError, match="no chat template"):
        next(answers)
    assert preparing() == []


def test_worker_threads_end_when_the_caller_closes_the_answers() -> None:
    model = FakeModel(batch_size=4)
    answers = model.scheduler.run(model.requests(100))
    next(answers)
    assert preparing() != []
    answers.close()
    assert preparing() == []
    assert model.sizes == [4]


@settings(max_examples=150)
@given(
    count=st.integers(0, 40),
    batch_size=st.integers(1, 9),
    bad=st.sets(st.integers(0, 39)),
    fits=st.lists(st.integers(0, 9), max_size=30),
)
def test_every_request_is_answered_exactly_once_whatever_fails(
    count: int, batch_size: int, bad: set[int], fits: list[int]
) -> None:
    model = FakeModel(batch_size, sorted(bad), chain(fits, repeat(batch_size)))
    answers = dict(answered := model.answers(count))
    assert [number for number, _ in sorted(answered)] == list(range(count))
    for number, text in answers.items():
        allowed = {f"{number} is bad"} if number in bad else {f"answer {number}", TOO_LARGE}
        assert text in allowed
    lone = [batch[0] for batch in model.batches if len(batch) == 1]
    assert {number for number, text in answers.items() if text == TOO_LARGE} <= set(lone)
    assert max(model.sizes, default=0) <= batch_size


def test_photos_are_prepared_while_the_model_runs() -> None:
    """`complete` waits until the next batches are prepared; without prefetching it would time out."""
    prepared = {number: threading.Event() for number in range(12)}

    def prepare(request: Request) -> int:
        prepared[request.id].set()
        return request.id

    def complete(batch: Sequence[int]) -> list[Completion]:
        for number in range(batch[0], min(12, batch[0] + (PREFETCH_BATCHES + 1) * 2)):
            assert prepared[number].wait(timeout=20)
        return [Completion(number, f"answer {number}", "stop") for number in batch]

    requests = [Request(number, PROMPT, None) for number in range(12)]
    assert [summary(a) for a in Scheduler(prepare, complete, 2, threads=2).run(requests)] == good(*range(12))
