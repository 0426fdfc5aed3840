"""Promises of the continuous scheduler, with a runner that has no device: every request once, slots never idle."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Timer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yanshou.engines.base import Completion, Failure, FinishReason, OutOfMemoryError, Request
from yanshou.engines.continuous.protocols import NO_TOKEN, StepOutput
from yanshou.engines.continuous.scheduler import MAX_PENDING_STEPS, PREFETCH_FACTOR, ContinuousScheduler
from yanshou.errors import PhotoError
from yanshou.schema.prompt import Prompt

STOP = 0
PROMPT = Prompt("system", "user")


@dataclass(frozen=True)
class Input:
    """A prepared request."""

    request: Request
    max_new_tokens: int


@dataclass
class ScriptedHost:
    """Prepares requests at once, but for those that are `broken`."""

    max_new_tokens: int = 1_000
    broken: frozenset[int] = frozenset()
    stop_tokens: tuple[int, ...] = (STOP,)

    def prepare(self, request: Request) -> Input:
        if request.id in self.broken:
            raise PhotoError("grey", "copy it again")
        return Input(request, self.max_new_tokens)

    def without_pixels(self, prepared: Input) -> Input:
        return prepared

    def completion(
        self, prepared: Input, tokens: Sequence[int], finish_reason: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        text = " ".join(map(str, tokens))
        return Completion(prepared.request.id, text, finish_reason, len(tokens), logprobs=logprobs)


@dataclass
class ScriptedOutput:
    """What a prefill or step of the scripted runner computed."""

    runner: "ScriptedRunner"
    output: StepOutput

    def get(self) -> StepOutput:
        self.runner.unread -= 1
        return self.output


@dataclass
class ScriptedRunner:
    """Generates `answers[id]` for request id, one token per step. Like a device it knows slots and nothing else."""

    answers: dict[int, list[int]]
    slots: int = 4
    max_batch: int = 3  # requests per prefill batch
    out_of_memory: set[int] = field(default_factory=set)  # numbers of the calls that fail, counted from 0
    calls: int = 0  # calls of admit and step so far
    batches: list[int] = field(default_factory=list)  # requests of each prefill batch
    active: list[int] = field(default_factory=list)  # active slots in each step
    state: dict[int, list[int]] = field(default_factory=dict)  # slot → tokens still to come
    unread: int = 0  # outputs
    step_s: float = 0.0  # time that a step takes
    stage_s: float = 0.0
    reduced: int = 0  # halvings that another engine asked for
    halvings: int = 0
    staging: int = 0  # prefill batches being copied

    @property
    def outdated(self) -> bool:
        return self.halvings < self.reduced and self.slots > 1

    def fits_slot(self, prepared: Input) -> bool:
        return True

    def resize_for(self, prepared: Input) -> None:
        raise AssertionError("every slot is long enough")

    def can_join(self, batch: Sequence[Input], prepared: Input) -> bool:
        return len(batch) < self.max_batch

    def stage(self, batch: Sequence[Input]) -> list[Input]:
        self.staging += 1
        time.sleep(self.stage_s)
        self.staging -= 1
        return list(batch)

    def admit(self, staged: list[Input], slots: Sequence[int]) -> ScriptedOutput:
        self._call()
        self.batches.append(len(staged))
        assert not set(slots) & set(self.state), "an active slot is given to another request"
        first = []
        for slot, prepared in zip(slots, staged, strict=True):
            token, *rest = self.answers[prepared.request.id]
            first.append(token)
            if token != STOP and prepared.max_new_tokens > 1:
                self.state[slot] = rest
        return self._output(StepOutput(first, [(float(prepared.request.id),) for prepared in staged]))

    def step(self) -> ScriptedOutput:
        time.sleep(self.step_s)
        self._call()
        self.active.append(len(self.state))
        tokens = [NO_TOKEN] * self.slots
        for slot in list(self.state):
            tokens[slot] = self.state[slot].pop(0)
            if tokens[slot] == STOP or not self.state[slot]:
                del self.state[slot]
        return self._output(StepOutput(tokens))

    def release(self, slot: int) -> None:
        self.state.pop(slot, None)

    def shrink(self) -> bool:
        assert not self.staging, "a prefill batch is being copied to slots that are given up"
        self.state.clear()
        self.unread = 0
        smaller = self.slots > 1
        halvings = max(1, self.reduced - self.halvings)
        self.slots, self.max_batch = max(1, self.slots >> halvings), max(1, self.max_batch >> halvings)
        self.halvings += halvings
        return smaller

    def _call(self) -> None:
        self.calls += 1
        if self.calls - 1 in self.out_of_memory:
            raise OutOfMemoryError

    def _output(self, output: StepOutput) -> ScriptedOutput:
        self.unread += 1
        assert self.unread <= MAX_PENDING_STEPS + 2
        return ScriptedOutput(self, output)


def script(count: int, seed: int = 0, longest: int = 12) -> dict[int, list[int]]:
    rng = Random(seed)
    return {at: [*(rng.randrange(1, 99) for _ in range(rng.randrange(longest))), STOP] for at in range(count)}


def requests(count: int) -> list[Request]:
    return [Request(at, PROMPT, Path(f"{at}.jpg")) for at in range(count)]


def scheduled(
    runner: ScriptedRunner, host: ScriptedHost | None = None, max_in_flight: int | None = None
) -> ContinuousScheduler[Input, list[Input]]:
    return ContinuousScheduler(host or ScriptedHost(), runner, threads=2, max_in_flight=max_in_flight)


def run(
    runner: ScriptedRunner, asked: Sequence[Request], max_in_flight: int | None = None
) -> list[Completion | Failure]:
    return list(scheduled(runner, max_in_flight=max_in_flight).run(asked))


def expected(answers: dict[int, list[int]]) -> dict[int, str]:
    return {at: " ".join(map(str, tokens)) for at, tokens in answers.items()}


def texts(answers: Sequence[Completion | Failure]) -> dict[int, str]:
    found = {answer.id: answer.text for answer in answers if isinstance(answer, Completion)}
    assert len(found) == len(answers), "an answer came twice, or failed"
    return found


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.sampled_from([None, 1, 2, 5]), st.integers(0, 99))
def test_every_request_is_answered_once_with_its_own_tokens(
    count: int, slots: int, max_batch: int, max_in_flight: int | None, seed: int
) -> None:
    answers = script(count, seed)
    runner = ScriptedRunner(answers, slots=slots, max_batch=max_batch)
    assert texts(run(runner, requests(count), max_in_flight)) == expected(answers)
    assert max(runner.batches, default=0) <= min(slots, max_batch, max_in_flight or slots)
    assert max(runner.active, default=0) <= min(slots, max_in_flight or slots)


def test_a_slot_takes_the_next_request_as_soon_as_its_answer_ends() -> None:
    """One long answer among short ones delays no other request: the steps are those of the long one, not the sum."""
    answers = {0: [*range(100, 160), STOP]} | {number: [7, 7, STOP] for number in range(1, 30)}
    runner = ScriptedRunner(answers, slots=4, max_batch=1, step_s=0.003)
    assert texts(run(runner, requests(30))) == expected(answers)
    assert len(runner.active) <= 60 + MAX_PENDING_STEPS + 1
    assert sum(runner.active) / len(runner.active) > 1.5


def test_a_request_that_cannot_be_prepared_fails_alone() -> None:
    found = list(scheduled(ScriptedRunner(script(8)), ScriptedHost(broken=frozenset({3}))).run(requests(8)))
    failures = [answer for answer in found if isinstance(answer, Failure)]
    assert [failure.id for failure in failures] == [3]
    assert {answer.id for answer in found} == set(range(8))


@pytest.mark.parametrize("calls", [{0}, {1}, {5}, {3, 4, 9}, {2, 30}])
def test_out_of_memory_restarts_with_fewer_slots_and_loses_nothing(calls: set[int]) -> None:
    answers = script(20, seed=4)
    runner = ScriptedRunner(answers, slots=8, max_batch=4, out_of_memory=calls)
    assert texts(run(runner, requests(20))) == expected(answers)
    assert runner.slots == max(1, 8 >> len(calls))


def test_out_of_memory_waits_for_a_prefill_batch_that_is_being_copied() -> None:
    answers = {number: [1, 1, 1, STOP] for number in range(12)}
    runner = ScriptedRunner(answers, slots=4, max_batch=2, out_of_memory={1}, step_s=0.005, stage_s=0.02)
    assert texts(run(runner, requests(12))) == expected(answers)


def test_a_request_that_never_fits_fails_and_the_others_are_answered() -> None:
    """With one slot left there is nothing to halve: the request in that slot fails."""
    found = run(ScriptedRunner(script(4), slots=1, max_batch=1, out_of_memory={0}), requests(4))
    failed = [answer for answer in found if isinstance(answer, Failure)]
    assert [failure.id for failure in failed] == [0]
    assert "memory" in str(failed[0].error)
    assert {answer.id for answer in found} == {0, 1, 2, 3}


@settings(max_examples=60)
@given(st.dictionaries(st.integers(0, 30), st.integers(1, 4), max_size=3), st.integers(1, 9), st.integers(0, 99))
def test_out_of_memory_elsewhere_restarts_with_fewer_slots_and_loses_nothing(
    reductions: dict[int, int], slots: int, seed: int
) -> None:
    """`reductions`: the halvings asked for, by the number of answers before them. Also one slot fails no request."""
    answers = script(30, seed)
    runner, found = ScriptedRunner(answers, slots=slots, max_batch=4), list[Completion | Failure]()
    for answer in scheduled(runner).run(requests(30)):
        runner.reduced = max(runner.reduced, reductions.get(len(found), 0))
        found.append(answer)
    assert texts(found) == expected(answers)
    assert runner.slots == max(1, slots >> runner.halvings)
    assert runner.halvings == runner.reduced or runner.slots == 1 or 29 in reductions  # nothing is left to restart


def test_out_of_memory_elsewhere_while_batches_are_copied_waits_for_them() -> None:
    answers = {number: [1, 1, 1, STOP] for number in range(12)}
    runner = ScriptedRunner(answers, slots=4, max_batch=2, step_s=0.005, stage_s=0.02)
    timer = Timer(0.03, lambda: setattr(runner, "reduced", 1))
    timer.start()
    assert texts(run(runner, requests(12))) == expected(answers)
    timer.join()
    assert (runner.slots, runner.halvings) == (2, 1)


def test_a_stopped_run_finishes_its_slots_whatever_happens_elsewhere() -> None:
    answers = {number: [1] * 20 + [STOP] for number in range(12)}
    scheduler = scheduled(runner := ScriptedRunner(answers | {0: [STOP]}, slots=4, max_batch=4))
    found = []
    for answer in scheduler.run(requests(12)):
        found.append(answer)
        scheduler.stop()
        runner.reduced = 1
    assert sorted(texts(found)) == [0, 1, 2, 3]
    assert runner.halvings == 0


def test_a_repetition_is_ended_and_its_slot_used_again() -> None:
    answers = {0: [1, 2] * 400, 1: [3, STOP], 2: [4, STOP], 3: [5, STOP]}
    found = {answer.id: answer for answer in run(ScriptedRunner(answers, slots=1, max_batch=1), requests(4))}
    repeating = found[0]
    assert isinstance(repeating, Completion)
    assert (repeating.finish_reason, repeating.tokens) == ("repetition", 64)
    assert texts([found[number] for number in (1, 2, 3)]) == {1: "3 0", 2: "4 0", 3: "5 0"}


def test_an_answer_ends_at_its_token_limit() -> None:
    (answer,) = scheduled(ScriptedRunner({0: [1, 2, 3, 4, 5, STOP]}), ScriptedHost(max_new_tokens=3)).run(requests(1))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("1 2 3", "length")


def test_logprobs_go_with_their_request() -> None:
    found = run(ScriptedRunner(script(9)), requests(9))
    assert all(isinstance(answer, Completion) and answer.logprobs == (float(answer.id),) for answer in found)


def test_requests_are_read_a_bounded_number_ahead() -> None:
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for request in requests(1_000):
            read += 1
            yield request

    scheduler = scheduled(ScriptedRunner(script(1_000), slots=4))
    for answered, _ in enumerate(scheduler.run(source()), 1):
        assert read <= answered + PREFETCH_FACTOR * scheduler.threads + 3 * 4
        assert scheduler.running + scheduler.waiting <= read


def test_after_stop_the_requests_in_slots_are_finished_and_none_is_started() -> None:
    answers = script(40, seed=2)
    scheduler = scheduled(ScriptedRunner(answers, slots=4, max_batch=2))
    found = []
    for answer in scheduler.run(requests(40)):
        found.append(answer)
        scheduler.stop()
    assert 1 <= len(found) <= 4
    assert texts(found) == {answer.id: expected(answers)[answer.id] for answer in found}


def test_counters_add_up_over_all_answers() -> None:
    answers = script(12, seed=5)
    runner = ScriptedRunner(answers)
    scheduler = scheduled(runner)
    list(scheduler.run(requests(12)))
    counters = scheduler.counters
    assert (counters.completions, counters.decoded_tokens) == (12, sum(map(len, answers.values())))
    assert (counters.prefill_batches, counters.steps) == (len(runner.batches), len(runner.active))
    assert (scheduler.running, scheduler.waiting) == (0, 0)
