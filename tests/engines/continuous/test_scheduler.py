"""Promises of the continuous scheduler, with a runner that has no device: every request once, slots never idle."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yanshou.engines.base import Completion, Failure, FinishReason, OutOfMemoryError, Request
from yanshou.engines.continuous.scheduler import AHEAD, LAG, NOTHING, ContinuousScheduler, PendingOutput, StepOutput
from yanshou.errors import PhotoError
from yanshou.schema.prompt import Prompt

STOP = 0
PROMPT = Prompt("system", "user")


@dataclass
class Scripted:
    """Writes `tokens[id]` for request id, one a step, exactly as a device would: it knows slots and nothing else."""

    answers: dict[int, list[int]]
    slots: int = 4
    most: int = 3  # requests a pack
    limit_: int = 1_000
    short: set[int] = field(default_factory=set)  # launches, counted from 0, for which the memory does not suffice
    launches: int = 0
    sizes: list[int] = field(default_factory=list)  # of packs
    at_work: list[int] = field(default_factory=list)  # slots in each step
    state: dict[int, list[int]] = field(default_factory=dict)  # slot → tokens still to come
    unread: int = 0  # tickets
    step_s: float = 0.0  # a device takes its time
    stage_s: float = 0.0
    staging: int = 0  # packs on their way to the device

    def limit(self, prepared: Request) -> int:
        return self.limit_

    def ends(self, token: int) -> bool:
        return token == STOP

    def holds(self, prepared: Request) -> bool:
        return True

    def make_room(self, prepared: Request) -> None:
        raise AssertionError("every slot is long enough")

    def fits(self, pack: Sequence[Request], prepared: Request) -> bool:
        return len(pack) < self.most

    def stage(self, pack: Sequence[Request]) -> list[Request]:
        self.staging += 1
        time.sleep(self.stage_s)
        self.staging -= 1
        return list(pack)

    def admit(self, staged: list[Request], slots: Sequence[int]) -> PendingOutput:
        self._launch()
        self.sizes.append(len(staged))
        assert not set(slots) & set(self.state), "a slot at work is given away"
        first = []
        for slot, request in zip(slots, staged, strict=True):
            token, *rest = self.answers[request.id]
            first.append(token)
            if token != STOP and self.limit_ > 1:
                self.state[slot] = rest
        return self._ticket(StepOutput(first, [(float(request.id),) for request in staged]))

    def step(self) -> PendingOutput:
        time.sleep(self.step_s)
        self._launch()
        self.at_work.append(len(self.state))
        tokens = [NOTHING] * self.slots
        for slot in list(self.state):
            tokens[slot] = self.state[slot].pop(0)
            if tokens[slot] == STOP or not self.state[slot]:
                del self.state[slot]
        return self._ticket(StepOutput(tokens))

    def end(self, slot: int) -> None:
        self.state.pop(slot, None)

    def kept(self, prepared: Request) -> Request:
        return prepared

    def shrink(self) -> bool:
        assert not self.staging, "a pack is being made for slots that are given up"
        self.state.clear()
        self.unread = 0
        smaller = self.slots > 1
        self.slots, self.most = max(1, self.slots // 2), max(1, self.most // 2)
        return smaller

    def complete(
        self, prepared: Request, tokens: Sequence[int], reason: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        return Completion(prepared.id, " ".join(map(str, tokens)), reason, len(tokens), logprobs=logprobs)

    def _launch(self) -> None:
        self.launches += 1
        if self.launches - 1 in self.short:
            raise OutOfMemoryError

    def _ticket(self, written: StepOutput) -> PendingOutput:
        self.unread += 1
        assert self.unread <= LAG + 2

        def read() -> StepOutput:
            self.unread -= 1
            return written

        return read


def script(count: int, seed: int = 0, longest: int = 12) -> dict[int, list[int]]:
    rng = Random(seed)
    return {at: [*(rng.randrange(1, 99) for _ in range(rng.randrange(longest))), STOP] for at in range(count)}


def requests(count: int) -> list[Request]:
    return [Request(at, PROMPT, Path(f"{at}.jpg")) for at in range(count)]


def run(runner: Scripted, asked: Sequence[Request], most: int | None = None) -> list[Completion | Failure]:
    return list(ContinuousScheduler(lambda request: request, runner, 2, most).run(asked))


def expected(answers: dict[int, list[int]]) -> dict[int, str]:
    return {at: " ".join(map(str, tokens)) for at, tokens in answers.items()}


def texts(answers: Sequence[Completion | Failure]) -> dict[int, str]:
    found = {answer.id: answer.text for answer in answers if isinstance(answer, Completion)}
    assert len(found) == len(answers), "an answer came twice, or failed"
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.sampled_from([None, 1, 2, 5]), st.integers(0, 99))
def test_every_request_is_answered_once_with_its_own_tokens(
    count: int, slots: int, most: int, cap: int | None, seed: int
) -> None:
    answers = script(count, seed)
    runner = Scripted(answers, slots=slots, most=most)
    assert texts(run(runner, requests(count), cap)) == expected(answers)
    assert max(runner.sizes, default=0) <= min(slots, most, cap or slots)
    assert max(runner.at_work, default=0) <= min(slots, cap or slots)


def test_a_slot_takes_the_next_photo_as_soon_as_its_answer_ends() -> None:
    """One long answer among short ones holds up nobody: the steps are those of the long one, not the sum."""
    answers = {0: [*range(100, 160), STOP]} | {at: [7, 7, STOP] for at in range(1, 30)}
    runner = Scripted(answers, slots=4, most=1, step_s=0.003)
    assert texts(run(runner, requests(30))) == expected(answers)
    assert len(runner.at_work) <= 60 + LAG + 1
    assert sum(runner.at_work) / len(runner.at_work) > 1.5


def test_a_photo_that_cannot_be_prepared_fails_alone() -> None:
    answers = script(8)

    def prepare(request: Request) -> Request:
        if request.id == 3:
            raise PhotoError("grey", "copy it again")
        return request

    found = list(ContinuousScheduler(prepare, Scripted(answers), 2).run(requests(8)))
    failures = [answer for answer in found if isinstance(answer, Failure)]
    assert [failure.id for failure in failures] == [3]
    assert {answer.id for answer in found} == set(range(8))


@pytest.mark.parametrize("short", [{0}, {1}, {5}, {3, 4, 9}, {2, 30}])
def test_out_of_memory_begins_again_with_fewer_slots_and_loses_nothing(short: set[int]) -> None:
    answers = script(20, seed=4)
    runner = Scripted(answers, slots=8, most=4, short=short)
    assert texts(run(runner, requests(20))) == expected(answers)
    assert runner.slots == max(1, 8 >> len(short))


def test_out_of_memory_waits_for_a_pack_that_is_on_its_way() -> None:
    answers = {at: [1, 1, 1, STOP] for at in range(12)}
    runner = Scripted(answers, slots=4, most=2, short={1}, step_s=0.005, stage_s=0.02)
    assert texts(run(runner, requests(12))) == expected(answers)


def test_what_never_fits_fails_and_the_others_go_on() -> None:
    """With one slot left there is nothing to halve: the photo at work is told, one at a time."""
    answers = script(4)
    found = run(Scripted(answers, slots=1, most=1, short={0}), requests(4))
    failed = [answer for answer in found if isinstance(answer, Failure)]
    assert [failure.id for failure in failed] == [0]
    assert "memory" in str(failed[0].error)
    assert {answer.id for answer in found} == {0, 1, 2, 3}


def test_a_loop_is_ended_and_its_slot_used_again() -> None:
    answers = {0: [1, 2] * 400, 1: [3, STOP], 2: [4, STOP], 3: [5, STOP]}
    found = {answer.id: answer for answer in run(Scripted(answers, slots=1, most=1), requests(4))}
    looping = found[0]
    assert isinstance(looping, Completion)
    assert (looping.finish_reason, looping.tokens) == ("loop", 64)
    assert texts([found[at] for at in (1, 2, 3)]) == {1: "3 0", 2: "4 0", 3: "5 0"}


def test_an_answer_ends_at_its_limit() -> None:
    (answer,) = run(Scripted({0: [1, 2, 3, 4, 5, STOP]}, limit_=3), requests(1))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("1 2 3", "length")


def test_likelihoods_go_with_their_request() -> None:
    found = run(Scripted(script(9)), requests(9))
    assert all(isinstance(answer, Completion) and answer.logprobs == (float(answer.id),) for answer in found)


def test_requests_are_read_only_so_far_ahead() -> None:
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for request in requests(1_000):
            read += 1
            yield request

    workers, slots = 2, 4
    scheduler = ContinuousScheduler(lambda request: request, Scripted(script(1_000), slots=slots), workers)
    for answered, _ in enumerate(scheduler.run(source()), 1):
        assert read <= answered + AHEAD * workers + 3 * slots


def test_stopped_it_finishes_what_is_on_the_device_and_begins_nothing() -> None:
    answers = script(40, seed=2)
    scheduler = ContinuousScheduler(lambda request: request, Scripted(answers, slots=4, most=2), 2)
    found = []
    for answer in scheduler.run(requests(40)):
        found.append(answer)
        scheduler.stop()
    assert 1 <= len(found) <= 4
    assert texts(found) == {answer.id: expected(answers)[answer.id] for answer in found}
