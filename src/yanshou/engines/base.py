"""The interface to a model: requests in, completions out, in any order.

    requests ──► engine.generate ──► Completion(id=3, text="无关图片×1", finish_reason="stop")
                                     Failure(id=1, error=PhotoError(...))
                                     Completion(id=2, ...)

An engine never raises for a single photo: it yields a `Failure` with that request's id. An exception (a `RunError` or a
bug) ends the run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from yanshou.errors import GenerationError, GroupError
from yanshou.schema.prompt import Prompt

FinishReason = Literal["stop", "length", "repetition"]  # repetition: the answer repeated itself and was ended early


@dataclass(frozen=True, slots=True)
class Request:
    """One photo (or, without a photo, one text-only prompt) to complete."""

    id: int  # chosen by the caller; the answer carries it
    prompt: Prompt
    photo: Path | Image.Image | None
    key: str = ""  # seeds the photo's own random stream: the same key and run seed sample the same text in any batch
    candidates: tuple[str, ...] = ()  # first lines of an answer to score, for `logprobs`; text-only requests only


@dataclass(frozen=True, slots=True)
class Completion:
    """The model's answer to one request, special tokens included."""

    id: int
    text: str
    finish_reason: FinishReason
    tokens: int = 0  # generated, the stop token included
    rotated: bool = False  # the photo was rotated or mirrored according to its EXIF orientation
    logprobs: tuple[float, ...] = ()  # for each candidate of the request: ln P that it is the answer's whole first line


@dataclass(frozen=True, slots=True)
class Failure:
    """The error of one request."""

    id: int
    error: GroupError


Answer = Completion | Failure


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What an engine needs to know about a run before its first request."""

    prompt: Prompt  # the longest prompt of the run
    photos: bool  # whether each request carries a photo
    earlier: Sequence[Mapping[str, Any]]  # `environment()` of the earlier runs that this run resumes, latest first
    needs_logprobs: bool = False  # an engine that cannot give them raises UsageError
    trial_prompt: Prompt | None = None  # the shortest prompt of the run, for trials; None: they are all alike


class Engine(Protocol):
    """A model as both stages see it. An implementation is one file and one line in `engines.ENGINES`.

    The calls of a run, in order: `prepare_run`, `environment`, `identity`, `generate`; at its end the three counters.
    """

    @property
    def in_flight(self) -> int:
        """How many requests it holds when it is busy, those that it reads ahead included. Known after `prepare_run`."""
        ...

    @property
    def data_wait_s(self) -> float:
        """Seconds since the engine was made in which the model waited for prepared photos."""
        ...

    @property
    def out_of_memory(self) -> int:
        """How many times since the engine was made the device ran out of memory and a smaller batch was retried."""
        ...

    @property
    def worker_deaths(self) -> int:
        """How many of its workers died or were killed since it was made; 0 for an engine of this process alone."""
        ...

    def prepare_run(self, run: RunPlan) -> None:
        """Called once before a run's requests and before `environment`: the time to plan memory."""
        ...

    def load(self) -> None:
        """Loads what `generate` would otherwise load before its first answer."""
        ...

    def reduce_capacity(self, out_of_memory: int) -> None:
        """Plans as after that many out-of-memory errors, which another engine of the same run had. For any thread."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answers every request once, in any order. Reads only a bounded number of requests ahead."""
        ...

    def take_warnings(self) -> list[str]:
        """What the user must know of the run so far, each once: the next call gives only what came since."""
        ...

    def stop(self) -> None:
        """Ends `generate` after the current batch; the other requests stay unanswered. Safe in a signal handler."""
        ...

    def identity(self) -> dict[str, Any]:
        """What determines an answer besides the request: checkpoint fingerprint, dtype. A resume must match it."""
        ...

    def environment(self) -> dict[str, Any]:
        """Where the engine runs: device, attention, versions. Recorded in run.json; a resume may differ."""
        ...


@contextmanager
def closing_answers(engine: Engine, requests: Iterable[Request]) -> Iterator[Iterator[Answer]]:
    """The engine's answers. The engine's threads end when the context ends, not when the generator is collected."""
    answers = engine.generate(requests)
    try:
        yield answers
    finally:
        if close := getattr(answers, "close", None):  # a generator
            close()


class OutOfMemoryError(Exception):
    """A batch does not fit the device's memory. The scheduler catches it and retries with a smaller batch."""


def oom_failure(request: Request) -> GenerationError:
    """The error of a request that does not fit the device's memory even alone."""
    what, options = ("prompt", "") if request.photo is None else ("photo", "--max-pixels or ")
    return GenerationError(
        f"the {what} does not fit the device's memory even in a batch of one",
        f"lower {options}--max-new-tokens, or free memory on the device; the next run tries the group again",
    )
