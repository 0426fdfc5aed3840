"""Which request is where, and what a worker's death means for it. Knows no Ray, no thread and no clock.

    source ──► waiting ──► held by a worker ──► answered
                  ▲              │
                  └── 1st death ─┤
                                 └─ 2nd death ─► suspects ──► held alone ──► answered
                                                                  └─ 3rd death ─► Failure(WorkerError)

Requests have numbers of their own, which never come twice: an answer that arrives late belongs to nothing.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from yanshou.engines.base import Answer, Completion, Failure, Request
from yanshou.errors import WorkerError

SUSPICIOUS_DEATHS = 2  # a request that was in flight at this many deaths is given to a worker alone


@dataclass(slots=True)
class _Entry:
    """A request without an answer."""

    id: int  # the caller's
    request: Request  # as workers see it: with its number as id
    deaths: int = 0  # of workers that held it


class Ledger:
    """The requests of one `generate`.

    `first`: the number of the first request. `span`: how far it reads beyond the oldest request without an answer.
    """

    def __init__(self, requests: Iterable[Request], first: int, span: int) -> None:
        self._source, self._exhausted = iter(requests), False
        self._span = span
        self._entries: dict[int, _Entry] = {}
        self._oldest = first  # no smaller number is without an answer
        self.next_number = first
        self._waiting: list[int] = []  # heap: given back by the dead, to be given first
        self._suspects: list[int] = []  # in order
        self._held: dict[int, set[int]] = defaultdict(set)  # worker → numbers
        self._proven: set[int] = set()  # workers that have completed a request: their GPU is not broken
        self._examiner: int | None = None  # the proven worker that gets suspects only
        self._alone: set[int] = set()  # workers that hold one suspect and get nothing else
        self._from_the_end = True

    @property
    def done(self) -> bool:
        """Whether every request is answered. Known as soon as `deal` has found the source's end."""
        return self._exhausted and not self._entries

    @property
    def all_dealt(self) -> bool:
        """Whether nothing is left to give, unless a worker dies."""
        return self._exhausted and not self._waiting and not self._suspects

    def held(self, worker: int) -> int:
        """How many requests the worker has not answered."""
        return len(self._held[worker])

    # ---- what to give ----

    def deal(self, windows: Mapping[int, int]) -> dict[int, list[Request]]:
        """New requests for each worker, so that it holds at most its window; evenly where there are too few."""
        dealt: dict[int, list[Request]] = {worker: [] for worker in windows}
        self._appoint(windows)
        open_ = [worker for worker in windows if worker != self._examiner and worker not in self._alone]
        while open_ := [worker for worker in open_ if self.held(worker) < self._room(worker, windows[worker])]:
            for worker in open_:
                if (number := self._next()) is None:
                    open_ = []
                    break
                self._give(number, worker, dealt)
        self._deal_suspects(dealt)
        return dealt

    def _room(self, worker: int, window: int) -> int:
        """Where there are suspects, a worker proves itself over one request.

        Among many there may be another deadly one, and no answer would come between the deaths.
        """
        return 1 if self._suspects and worker not in self._proven else window

    def _appoint(self, windows: Mapping[int, int]) -> None:
        """Where there are suspects, one proven worker gets nothing else, and has them alone once it is done."""
        if not self._suspects:
            self._examiner = None
        elif self._examiner is None:
            proven = [worker for worker in windows if worker in self._proven]
            self._examiner = min(proven, key=self.held, default=None)

    def _deal_suspects(self, dealt: dict[int, list[Request]]) -> None:
        """One suspect to each worker that has nothing else to do. Where one is proven, the others get none."""
        for worker in dealt:
            if self._suspects and not self.held(worker) and (worker in self._proven or not self._proven):
                self._alone.add(worker)
                self._give(self._next_suspect(), worker, dealt)

    def _next_suspect(self) -> int:
        """From both ends in turn: neighbours often have the same fault, and no answer would come between deaths."""
        self._from_the_end = not self._from_the_end
        return self._suspects.pop(-1 if self._from_the_end else 0)

    def _give(self, number: int, worker: int, dealt: dict[int, list[Request]]) -> None:
        self._held[worker].add(number)
        dealt[worker].append(self._entries[number].request)

    def _next(self) -> int | None:
        """The next request that may be given to anybody. None: there is none now, or it would be too far ahead."""
        if self._waiting:
            return heapq.heappop(self._waiting)
        while self._oldest < self.next_number and self._oldest not in self._entries:
            self._oldest += 1
        if self._exhausted or self.next_number - self._oldest >= self._span:
            return None
        request = next(self._source, None)
        if request is None:
            self._exhausted = True
            return None
        number, self.next_number = self.next_number, self.next_number + 1
        self._entries[number] = _Entry(request.id, replace(request, id=number))
        return number

    # ---- what comes back ----

    def answered(self, worker: int, answers: Iterable[Answer]) -> Iterator[Answer]:
        """The answers as the caller knows them. Those to requests that the worker does not hold are dropped."""
        for answer in answers:
            if answer.id not in self._held[worker]:
                continue
            self._held[worker].remove(answer.id)
            self._alone.discard(worker)
            if isinstance(answer, Completion):
                self._proven.add(worker)
            yield replace(answer, id=self._entries.pop(answer.id).id)

    def request(self, number: int) -> Request | None:
        """The request without an answer that has this number."""
        entry = self._entries.get(number)
        return entry.request if entry else None

    def given_back(self, worker: int) -> None:
        """The worker drops what it holds, and lives."""
        self._alone.discard(worker)
        for number in self._held.pop(worker, ()):
            heapq.heappush(self._waiting, number)

    def died(self, worker: int, cause: str) -> Failure | None:
        """What the worker held goes to others; a suspect that it held alone has failed, and is returned.

        Its engine may have read any of them: answers that never arrived may have made room for all.
        """
        numbers, alone = self._held.pop(worker, set()), worker in self._alone
        self._alone.discard(worker)
        self._proven.discard(worker)
        self._examiner = None if self._examiner == worker else self._examiner
        if alone:
            return _failure(self._entries.pop(numbers.pop()), cause)
        for number in numbers:
            self._entries[number].deaths += 1
            if self._entries[number].deaths < SUSPICIOUS_DEATHS:
                heapq.heappush(self._waiting, number)
            else:
                self._suspects.append(number)
        self._suspects.sort()
        return None


def _failure(entry: _Entry, cause: str) -> Failure:
    place = f"{entry.request.photo}: " if isinstance(entry.request.photo, Path) else ""
    return Failure(
        entry.id,
        WorkerError(
            f"{place}{entry.deaths + 1} workers died over it, the last one while it had nothing else to do: {cause}",
            "look at the photo, and at the free memory of the worker's host; the next run tries the group again",
        ),
    )
