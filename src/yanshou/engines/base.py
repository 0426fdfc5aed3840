"""The seam to a model: requests in, completions out, in whatever order they are done.

    requests ──► engine.generate ──► Completion(id=3, text="无关图片×1", finish_reason="stop")
                                     Failure(id=1, error=PhotoError(...))
                                     Completion(id=2, ...)

An engine never raises for a single photo: what goes wrong with one is a `Failure` with that request's id. What it does
raise (a `RunError`, a bug) ends the run.
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

    id: int  # the caller's own; comes back with the answer
    prompt: Prompt
    photo: Path | Image.Image | None
    key: str = ""  # names the photo for sampling: the same key and seed draw the same text, whatever stands beside it
    candidates: tuple[str, ...] = ()  # first lines of an answer whose likelihood is asked for; text-only requests


@dataclass(frozen=True, slots=True)
class Completion:
    """The model's answer to one request, special tokens included."""

    id: int
    text: str
    finish_reason: FinishReason
    tokens: int = 0  # generated, the stop token included
    rotated: bool = False  # the photo was turned as its EXIF orientation says
    logprobs: tuple[float, ...] = ()  # ln P of each of the request's choices, as the whole first line of the answer


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with one request."""

    id: int
    error: GroupError


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is to come."""

    prompt: Prompt  # the longest one
    photos: bool  # whether a photo goes with it
    earlier: Sequence[Mapping[str, Any]]  # `environment` of each run that this one goes on with, the last one first


class Engine(Protocol):
    """What Stage-A and Stage-B ask of a model."""

    @property
    def data_wait_s(self) -> float:
        """Seconds so far in which the model had nothing to do because no photo was prepared yet."""
        ...

    @property
    def out_of_memory(self) -> int:
        """How often so far the device's memory ran short, so that less was done at once."""
        ...

    def prepare_run(self, run: RunPlan) -> None:
        """Told before the requests of a run, and before `environment` is asked: the time to plan."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        """Answers every request once, in any order; reads `requests` only a bounded number ahead."""
        ...

    def stop(self) -> None:
        """Ends `generate` after the batch in hand; requests not begun stay unanswered. Safe from a signal handler."""
        ...

    def identity(self) -> dict[str, Any]:
        """What decides an answer besides the request: checkpoint fingerprint, dtype. A resume needs the same."""
        ...

    def environment(self) -> dict[str, Any]:
        """Where it runs: device, attention, versions. Recorded; a resume may differ."""
        ...


@contextmanager
def closing_answers(engine: Engine, requests: Iterable[Request]) -> Iterator[Iterator[Completion | Failure]]:
    """The engine's answers; its threads end with the context, not some time later."""
    answers = engine.generate(requests)
    try:
        yield answers
    finally:
        if close := getattr(answers, "close", None):  # a generator
            close()


class OutOfMemoryError(Exception):
    """The batch does not fit the device's memory. Raised by `complete`, cured by the scheduler."""


def oom_failure() -> GenerationError:
    """What a photo fails with that is too large even alone."""
    return GenerationError(
        "the photo does not fit the device's memory, not even alone",
        "lower --max-pixels or --max-new-tokens, or free memory on the device; the next run tries the group again",
    )
