"""Promises of `yanshou.engines.batching`: full batches, bounded reading ahead, every request answered once."""

import threading
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yanshou.engines.base import Completion, Failure, OutOfMemoryError, Request
from yanshou.engines.batching import AHEAD, RECOVERY, Scheduler
from yanshou.errors import CheckpointError, PhotoError
from yanshou.schema.prompt import Prompt

PROMPT = Prompt("system", "user")
NOT_ALONE = "the photo does not fit the device's memory, not even alone"


class Played:
    """A scheduler whose photos are numbers: which are bad, and how many fit at each call, is given."""

    def __init__(self, batch_size: int, bad: Sequence[int] = (), fits: Iterator[int] = repeat(10**6)) -> None:  # noqa: B008
        self.bad, self.fits = frozenset(bad), fits
        self.read = 0  # requests taken from the caller
        self.batches: list[list[int]] = []  # tried, whether they fitted or not
        self.scheduler = Scheduler(self.prepare, self.complete, batch_size, workers=3)

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
        return [told(answer) for answer in self.scheduler.run(self.requests(count))]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def told(answer: Completion | Failure) -> tuple[int, str]:
    return answer.id, answer.text if isinstance(answer, Completion) else str(answer.error)


def good(*numbers: int) -> list[tuple[int, str]]:
    return [(number, f"answer {number}") for number in numbers]


def preparing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]


def test_batches_are_full_and_answers_come_in_order() -> None:
    played = Played(batch_size=8)
    assert played.answers(21) == good(*range(21))
    assert played.batches == [list(range(8)), list(range(8, 16)), list(range(16, 21))]


def test_no_request_no_batch() -> None:
    played = Played(batch_size=8)
    assert (played.answers(0), played.batches) == ([], [])


def test_a_photo_that_cannot_be_prepared_fails_alone_and_leaves_its_batch_full() -> None:
    played = Played(batch_size=4, bad=[2, 5, 6])
    assert sorted(played.answers(11)) == sorted(
        [*good(0, 1, 3, 4, 7, 8, 9, 10), (2, "2 is bad"), (5, "5 is bad"), (6, "6 is bad")]
    )
    assert played.batches == [[0, 1, 3, 4], [7, 8, 9, 10]]


def test_a_long_run_of_bad_photos_leaves_the_batch_around_it_full() -> None:
    played = Played(batch_size=4, bad=range(2, 60))
    assert len(played.answers(66)) == 66
    assert played.batches == [[0, 1, 60, 61], [62, 63, 64, 65]]


def test_photos_that_all_fail_make_no_batch() -> None:
    played = Played(batch_size=4, bad=range(30))
    assert played.answers(30) == [(number, f"{number} is bad") for number in range(30)]
    assert played.batches == []


@pytest.mark.parametrize("bad", [[], range(2, 200, 3), range(200)])
def test_requests_are_read_a_bounded_number_ahead(bad: Sequence[int]) -> None:
    played, ahead = Played(batch_size=4, bad=bad), []
    for answered, _ in enumerate(played.scheduler.run(played.requests(200))):
        ahead.append(played.read - answered)
    assert max(ahead) == (AHEAD + 1) * 4
    assert len(ahead) == 200


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    played = Played(batch_size=8, fits=repeat(3))
    assert played.answers(12) == good(*range(12))
    assert played.batches == [
        [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [0, 1], [2, 3], [4, 5, 6, 7], [4, 5], [6, 7], [8, 9], [10, 11],
    ]  # fmt: skip


def test_a_photo_that_does_not_fit_alone_fails_and_the_others_are_answered() -> None:
    played = Played(batch_size=4, fits=chain([3, 1, 0, 1], repeat(4)))  # [0 1 2 3], [0 1], then 0 alone and 1 alone
    assert played.answers(6) == [(0, NOT_ALONE), *good(1, 2, 3, 4, 5)]
    assert played.batches == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [4], [5]]


def test_a_halved_batch_grows_back_after_calm() -> None:
    played = Played(batch_size=8, fits=chain([7], repeat(8)))
    played.answers(200)
    assert played.sizes[: 3 + RECOVERY] == [8, *[4] * RECOVERY, 8, 8]


def test_stop_ends_after_the_batch_in_hand_for_good() -> None:
    def stopping() -> Iterator[int]:
        yield 4
        played.scheduler.stop()  # while the second batch is with the model
        yield 4

    played = Played(batch_size=4, fits=stopping())
    assert played.answers(100) == good(*range(8))
    assert played.read <= 4 + (AHEAD + 1) * 4
    assert played.answers(100) == []


def test_an_error_of_the_run_in_a_thread_ends_the_run() -> None:
    played = Played(batch_size=4)

    def prepare(request: Request) -> int:
        if request.id == 5:
            raise CheckpointError("no chat template")
        return request.id

    answers = Scheduler(prepare, played.complete, 4, workers=2).run(played.requests(100))
    assert [told(next(answers)) for _ in range(4)] == good(0, 1, 2, 3)
    with pytest.raises(CheckpointError, match="no chat template"):
        next(answers)
    assert preparing() == []


def test_threads_end_when_the_caller_stops_listening() -> None:
    played = Played(batch_size=4)
    answers = played.scheduler.run(played.requests(100))
    next(answers)
    assert preparing() != []
    answers.close()
    assert preparing() == []
    assert played.sizes == [4]


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 40),
    batch_size=st.integers(1, 9),
    bad=st.sets(st.integers(0, 39)),
    fits=st.lists(st.integers(0, 9), max_size=30),
)
def test_every_request_is_answered_exactly_once_whatever_fails(
    count: int, batch_size: int, bad: set[int], fits: list[int]
) -> None:
    played = Played(batch_size, sorted(bad), chain(fits, repeat(batch_size)))
    answers = dict(answered := played.answers(count))
    assert [number for number, _ in sorted(answered)] == list(range(count))
    for number, text in answers.items():
        allowed = {f"{number} is bad"} if number in bad else {f"answer {number}", NOT_ALONE}
        assert text in allowed
    lone = [batch[0] for batch in played.batches if len(batch) == 1]
    assert {number for number, text in answers.items() if text == NOT_ALONE} <= set(lone)
    assert max(played.sizes, default=0) <= batch_size


def test_preparing_runs_beside_the_batch_in_hand() -> None:
    """While a batch is with the model, the photos of the next ones become ready: else this would wait in vain."""
    prepared = {number: threading.Event() for number in range(12)}

    def prepare(request: Request) -> int:
        prepared[request.id].set()
        return request.id

    def complete(batch: Sequence[int]) -> list[Completion]:
        for number in range(batch[0], min(12, batch[0] + (AHEAD + 1) * 2)):
            assert prepared[number].wait(timeout=20)
        return [Completion(number, f"answer {number}", "stop") for number in batch]

    requests = [Request(number, PROMPT, None) for number in range(12)]
    assert [told(a) for a in Scheduler(prepare, complete, 2, workers=2).run(requests)] == good(*range(12))
