"""The place of one worker, and what happens there."""

from collections import Counter
from dataclasses import dataclass, field

from yanshou.engines.workers.messages import Reply, WorkerFacts, WorkerPlan
from yanshou.engines.workers.protocols import WorkerHandle

MIN_SLACK = 32  # requests that a worker holds beyond what its engine has in flight, so that these do not run out
MAX_DEATHS = 3  # of a seat's workers without an answer in between; then the seat gets no other


@dataclass(slots=True, eq=False)
class Seat:
    """The place of one worker, which another worker takes where it dies: that is another `Seat` of the same number."""

    number: int
    handle: WorkerHandle
    facts: WorkerFacts | None = None
    plan: WorkerPlan | None = None
    late: bool = False  # it joins a run that is under way, which does not wait for it
    imposed: bool = False  # its capacity is not its own choice
    told_to_stop: bool = False
    calls: set[str] = field(default_factory=set)  # methods whose results are awaited
    heard: float = 0.0  # when it last gave a sign of life
    reply: Reply = field(default_factory=Reply)  # the latest
    deaths: Counter[bool] = field(default_factory=Counter)  # since the last answer: over one request → number

    @property
    def worn_out(self) -> bool:
        return max(self.deaths.values(), default=0) >= MAX_DEATHS

    def count_death(self, over_one_request: bool) -> None:
        """`over_one_request`: it had nothing else to do, so that the deaths before it are explained, too."""
        self.deaths[over_one_request] += 1
        if over_one_request:
            self.deaths[False] = 0

    @property
    def window(self) -> int:
        """How many requests it holds."""
        assert self.plan is not None
        return self.plan.in_flight + max(MIN_SLACK, self.plan.in_flight // 4)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A worker replied."""

    seat: Seat
    reply: Reply


@dataclass(frozen=True, slots=True)
class Died:
    """A worker died, or has to be replaced. `replace` does it."""

    seat: Seat
    cause: str
