"""Nothing is lost and nothing is doubled, whatever dies and whenever."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yanshou.engines.base import Answer, Completion, Failure, Request
from yanshou.engines.workers.ledger import Ledger
from yanshou.errors import PhotoError, WorkerError
from yanshou.schema.prompt import Prompt

PROMPT = Prompt("s", "u")


def requests(count: int, first: int = 500) -> list[Request]:
    """With ids of the caller that are not the ledger's numbers."""
    return [Request(first + number, PROMPT, Path(f"{number}.jpg")) for number in range(count)]


def completion(request: Request) -> Completion:
    """Says which photo it saw."""
    return Completion(request.id, str(request.photo), "stop")


def answer_all(ledger: Ledger, worker: int, given: Iterable[Request]) -> list[Answer]:
    return list(ledger.answered(worker, map(completion, given)))


def test_too_few_requests_are_dealt_evenly() -> None:
    dealt = Ledger(requests(5), 0, 100).deal({0: 4, 1: 4, 2: 4})
    assert {worker: [request.id for request in given] for worker, given in dealt.items()} == {
        0: [0, 3], 1: [1, 4], 2: [2],
    }  # fmt: skip


def test_a_worker_gets_what_its_window_has_room_for_and_never_reads_beyond_the_span() -> None:
    ledger, read = Ledger((source := iter(requests(100))), 0, 10), lambda: 100 - len(list(source))
    (first,) = ledger.deal({0: 4}).values()
    assert ledger.deal({0: 4}) == {0: []}
    answer_all(ledger, 0, first[1:])
    dealt = [len(ledger.deal({0: 4})[0]) for _ in range(2)]
    assert (dealt, ledger.held(0)) == ([3, 0], 4)
    assert len(ledger.deal({0: 20})[0]) == 3  # request 0 has no answer: 10 is the last that may be read
    assert (ledger.next_number, read()) == (10, 10)


def test_all_is_dealt_when_the_source_has_ended_and_no_dead_worker_gave_anything_back() -> None:
    ledger = Ledger(requests(3), 0, 100)
    assert not ledger.all_dealt
    ledger.deal({0: 3})
    assert not ledger.all_dealt  # the end has not been read
    ledger.deal({1: 3})
    assert ledger.all_dealt
    ledger.died(0, "killed")
    assert not ledger.all_dealt
    ledger.deal({1: 3})
    assert ledger.all_dealt


def test_answers_carry_the_callers_ids_and_come_once() -> None:
    ledger = Ledger(requests(2), 7, 10)
    given = ledger.deal({0: 2})[0]
    assert [request.id for request in given] == [7, 8]
    assert [answer.id for answer in answer_all(ledger, 0, given)] == [500, 501]
    assert answer_all(ledger, 0, given) == answer_all(ledger, 1, given) == []
    assert ledger.deal({0: 2}) == {0: []}
    assert ledger.done


def test_answers_of_an_earlier_generate_are_dropped() -> None:
    earlier = Ledger(requests(3), 0, 10)
    late = earlier.deal({0: 3})[0]
    ledger = Ledger(requests(3), earlier.next_number, 10)
    ledger.deal({0: 3})
    assert answer_all(ledger, 0, late) == []


def test_what_a_dead_worker_held_is_given_first_and_in_order() -> None:
    ledger = Ledger(requests(10), 0, 100)
    given = ledger.deal({0: 3, 1: 3})
    answer_all(ledger, 0, given[0][1:2])
    assert ledger.died(0, "killed") is None
    assert [request.id for request in ledger.deal({2: 4})[2]] == [0, 4, 6, 7]


def test_all_that_two_dead_workers_held_is_suspect() -> None:
    """Answers that never arrived may have made room for the last request that the worker held."""
    ledger = Ledger(requests(9), 0, 100)
    for _ in range(2):
        ledger.deal({0: 5})
        ledger.died(0, "killed")
    assert [request.id for request in ledger.deal({0: 5})[0]] == [5]


def suspects(count: int, total: int) -> Ledger:
    """A ledger whose first requests were held at two deaths of worker 0."""
    ledger = Ledger(requests(total), 0, 100)
    for _ in range(2):
        ledger.deal({0: count})
        ledger.died(0, "killed")
    return ledger


def test_suspects_go_alone_to_a_worker_that_has_answered_while_the_others_go_on() -> None:
    ledger = suspects(3, total=40)
    first = ledger.deal({0: 3, 1: 3})
    assert {worker: [request.id for request in given] for worker, given in first.items()} == {
        0: [3], 1: [4],
    }  # fmt: skip
    answer_all(ledger, 1, first[1])
    for number in (0, 2, 1):  # from both ends in turn
        given = ledger.deal({0: 3, 1: 3})[1]
        assert [request.id for request in given] == [number]
        answer_all(ledger, 1, given)
    assert len(ledger.deal({1: 3})[1]) == 3


def test_a_failure_proves_no_worker() -> None:
    ledger = suspects(3, total=5)
    first = ledger.deal({1: 1, 2: 2})
    error = PhotoError("cut")
    assert len(list(ledger.answered(1, [Failure(request.id, error) for request in first[1]]))) == 1
    answer_all(ledger, 2, first[2])
    dealt = ledger.deal({1: 3, 2: 3})
    assert {worker: len(given) for worker, given in dealt.items()} == {1: 0, 2: 1}


def test_workers_that_have_answered_and_have_no_other_work_share_the_suspects() -> None:
    ledger = suspects(3, total=6)
    first = ledger.deal({1: 1, 2: 1, 3: 1})
    for worker in (1, 2):
        answer_all(ledger, worker, first[worker])
    dealt = ledger.deal({1: 3, 2: 3, 4: 3})
    assert {worker: len(given) for worker, given in dealt.items()} == {1: 1, 2: 1, 4: 0}


def test_where_no_worker_has_answered_each_may_have_a_suspect() -> None:
    assert [len(given) for given in suspects(3, total=3).deal({0: 3, 1: 3}).values()] == [1, 1]


def test_a_suspect_that_was_alone_has_failed_and_the_others_have_not() -> None:
    ledger = Ledger(requests(2), 0, 100)
    for _ in range(2):
        ledger.deal({0: 2})
        assert ledger.died(0, "killed") is None
    ledger.deal({0: 2})
    failure = ledger.died(0, "signal 9 on host-b")
    assert failure is not None
    assert (failure.id, type(failure.error), failure.error.step) == (500, WorkerError, "worker")
    assert str(failure.error).startswith("0.jpg: 3 workers died over it")
    assert "signal 9 on host-b" in str(failure.error)
    (given,) = ledger.deal({0: 2}).values()
    assert [answer.id for answer in answer_all(ledger, 0, given)] == [501]


def test_what_a_stopped_worker_dropped_is_no_death() -> None:
    ledger = Ledger(requests(2), 0, 100)
    for _ in range(5):
        ledger.deal({0: 2})
        ledger.given_back(0)
    assert [len(given) for given in ledger.deal({0: 2}).values()] == [2]


class Simulation:
    """Workers with random speeds and deaths. A poisonous request kills the worker that works on it."""

    def __init__(self, rng: Random, count: int, workers: int, poison: set[int], kills: int) -> None:
        self.rng, self.poison, self.kills = rng, poison, kills
        self.windows = {worker: rng.randint(1, 9) for worker in range(workers)}
        self.span = 4 * sum(self.windows.values())
        self.ledger = Ledger(self.source(count), 1000, self.span)
        self.queues: dict[int, list[Request]] = {worker: [] for worker in self.windows}
        self.given: list[tuple[int, Request]] = []  # everything that was ever given
        self.answers: list[Answer] = []
        self.deaths, self.read = 0, 0

    def source(self, count: int) -> Iterable[Request]:
        for request in requests(count, first=0):
            self.read += 1
            yield request

    def run(self) -> None:
        while not self.ledger.done:
            free = [worker for worker in self.windows if self.rng.random() < 0.7]
            self.deal({worker: self.windows[worker] for worker in free})
            for worker in self.windows:
                self.step(worker)
            if self.rng.random() < 0.2 and self.given:
                self.late_answer()

    def deal(self, windows: dict[int, int]) -> None:
        for worker, dealt in self.ledger.deal(windows).items():
            self.queues[worker] += dealt
            self.given += [(worker, request) for request in dealt]
            assert self.ledger.held(worker) == len(self.queues[worker]) <= self.windows[worker]
        assert self.read - len(self.answers) <= self.span

    def step(self, worker: int) -> None:
        """The worker answers some of what it has in any order, or dies."""
        queue = self.queues[worker]
        batch = self.rng.sample(queue, self.rng.randint(0, len(queue)))
        killed = self.kills > 0 and self.rng.random() < 0.05
        if killed or any(self.is_poison(request) for request in batch):
            self.kills -= killed
            self.deaths += 1
            queue.clear()
            failure = self.ledger.died(worker, "killed")
            self.answers += [failure] if failure else []
        else:
            self.queues[worker] = [request for request in queue if request not in batch]
            self.answers += answer_all(self.ledger, worker, batch)

    def is_poison(self, request: Request) -> bool:
        return int(str(request.photo).removesuffix(".jpg")) in self.poison

    def late_answer(self) -> None:
        """An answer of a worker that had the request once: it is taken only if the worker has it now."""
        worker, request = self.rng.choice(self.given)
        if request not in self.queues[worker]:
            assert answer_all(self.ledger, worker, [request]) == []


@settings(max_examples=40)
@given(
    st.randoms(use_true_random=False), st.integers(0, 60), st.integers(1, 5), st.sets(st.integers(0, 59), max_size=4),
    st.integers(0, 6),
)  # fmt: skip
def test_every_request_is_answered_once_and_only_poison_fails(
    rng: Random, count: int, workers: int, poison: set[int], kills: int
) -> None:
    simulation = Simulation(rng, count, workers, poison, kills)
    simulation.run()
    assert sorted(answer.id for answer in simulation.answers) == list(range(count))
    failed = {answer.id for answer in simulation.answers if isinstance(answer, Failure)}
    assert all(answer.text == f"{answer.id}.jpg" for answer in simulation.answers if isinstance(answer, Completion))
    assert {number for number in poison if number < count} <= failed
    assert simulation.deaths <= 3 * len(poison) + kills
    if not kills:
        assert failed <= poison


@pytest.mark.parametrize("poison", [{0}, {0, 1}, {9}, {4, 5, 6}])
def test_a_single_worker_finds_all_poison(poison: set[int]) -> None:
    simulation = Simulation(Random("one"), 10, 1, poison, kills=0)
    simulation.run()
    assert {answer.id for answer in simulation.answers if isinstance(answer, Failure)} == poison


@pytest.mark.parametrize("poison", [{3}, {3, 20}, {5, 9, 30}, {0, 1, 2}, {7, 12}, {39}, set(range(4, 8))], ids=str)
def test_a_single_worker_that_dies_at_once_over_what_it_reads_answers_between_its_deaths(poison: set[int]) -> None:
    """It reads all that it holds before its first answer. After three deaths without an answer the run would end."""
    ledger, failed, deaths = Ledger(requests(40), 0, 100), set[int](), {False: 0, True: 0}
    while not ledger.done:
        (dealt,) = ledger.deal({0: 8}).values()
        if any(request.id in poison for request in dealt):
            failure = ledger.died(0, "killed")
            deaths = {False: 0, True: deaths[True] + 1} if failure else deaths | {False: deaths[False] + 1}
            failed |= {failure.id - 500} if failure else set()
            assert max(deaths.values()) < 3
        else:
            answer_all(ledger, 0, dealt)
            deaths = {False: 0, True: 0}
    assert failed == poison
