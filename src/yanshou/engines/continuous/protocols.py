"""What the scheduler needs: a host that prepares requests, and a runner that computes answers on the device.

Host      one request: prepare → … → completion
Runner    many requests: stage → admit → step, step, step …
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol, TypeVar

from yanshou.engines.base import Completion, FinishReason, Request

NO_TOKEN = -1  # output of a decode step for an inactive slot


class StepOutput(NamedTuple):
    """What a step or a prefill computed."""

    tokens: Sequence[int]  # a step: one per slot, or NO_TOKEN; a prefill: the first token of each request
    logprobs: Sequence[tuple[float, ...]] = ()  # a prefill: ln P of each request's candidates


class PendingOutput(Protocol):
    """The output of a step or prefill that was submitted to the device."""

    def get(self) -> StepOutput:
        """Waits for the device."""
        ...


class Prepared(Protocol):
    """A request, ready for the device."""

    @property
    def max_new_tokens(self) -> int: ...


PreparedT = TypeVar("PreparedT", bound=Prepared)
PreparedT_contra = TypeVar("PreparedT_contra", bound=Prepared, contravariant=True)
StagedT = TypeVar("StagedT")


class Host(Protocol[PreparedT]):
    """What happens to one request on the host."""

    @property
    def stop_tokens(self) -> Collection[int]:
        """Token ids that end an answer."""
        ...

    def prepare(self, request: Request) -> PreparedT:
        """Everything that needs no device; runs in threads. A GroupError becomes the request's Failure."""
        ...

    def without_pixels(self, prepared: PreparedT) -> PreparedT:
        """What `completion` needs: the only part that is kept while the answer is generated."""
        ...

    def completion(
        self, prepared: PreparedT, tokens: Sequence[int], finish_reason: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        """The answer, from its tokens with the stop token."""
        ...


class Runner(Protocol[PreparedT_contra, StagedT]):
    """The device. It executes prefills and steps in the order of the calls. Any call may raise OutOfMemoryError."""

    @property
    def slots(self) -> int:
        """Answers generated at once."""
        ...

    @property
    def outdated(self) -> bool:
        """Whether all slots have to be given up for a smaller capacity: another engine of the run ran out of memory."""
        ...

    def fits_slot(self, prepared: PreparedT_contra) -> bool:
        """Whether a slot is long enough for the request."""
        ...

    def resize_for(self, prepared: PreparedT_contra) -> None:
        """Replaces all slots by empty ones that fit the request. Nothing may be in flight."""
        ...

    def can_join(self, batch: Sequence[PreparedT_contra], prepared: PreparedT_contra) -> bool:
        """Whether the request fits in one prefill batch with these. A single request always fits."""
        ...

    def stage(self, batch: Sequence[PreparedT_contra]) -> StagedT:
        """Copies a prefill batch to the device. Runs in a thread of its own."""
        ...

    def admit(self, staged: StagedT, slots: Sequence[int]) -> PendingOutput:
        """Submits a prefill batch: vision, prefill and the first token of each request."""
        ...

    def step(self) -> PendingOutput:
        """Submits a decode step: one token for every active slot."""
        ...

    def release(self, slot: int) -> None:
        """Deactivates a slot whose answer the host has ended."""
        ...

    def shrink(self) -> bool:
        """After out-of-memory, or outdated: halves the capacity and empties all slots. False if it was minimal."""
        ...
