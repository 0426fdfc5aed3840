"""The outcome of one group: a record to write, or the faults that keep it from being written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from yanshou.engines.base import Answer, Completion, Failure
from yanshou.errors import GenerationError, GroupError, SummaryError, VerdictError
from yanshou.schema.records import Fault, GroupKey, GroupRecord
from yanshou.thinking import LONGER, unfinished

AnswerCallback = Callable[[Answer], None]
RecordT = TypeVar("RecordT", bound=GroupRecord)

RAISE_LIMIT = "raise --max-new-tokens (a resume allows it)"
RAISE_LIMIT_OR_ACCEPT = f"{RAISE_LIMIT}, or accept such answers with --allow-truncated"
PENALIZE = "set --repetition-penalty, e.g. 1.05, or look at the photo: many objects of one kind often cause repetition"
ANSWER_ERRORS = (GenerationError, SummaryError, VerdictError)  # a photo or a folder has no part in them
ENDING = 40  # characters of an answer's end in a message


@dataclass(frozen=True, slots=True)
class Outcome(Generic[RecordT]):
    """The record of one group, or its errors."""

    key: GroupKey
    record: RecordT | None  # None: the group failed
    errors: tuple[tuple[Path | None, GroupError], ...] = ()  # with the photo, where the error is about one photo

    @classmethod
    def failed(cls, key: GroupKey, error: GroupError) -> "Outcome[RecordT]":
        """The outcome of a group that fails as a whole."""
        return cls(key, None, ((None, error),))

    @property
    def answer_error(self) -> GroupError | None:
        """What is wrong with an answer of the model; None where photos or folders alone are at fault."""
        return next((error for _, error in self.errors if isinstance(error, ANSWER_ERRORS)), None)

    @property
    def faults(self) -> list[Fault]:
        return [_fault(self.key, error, photo) for photo, error in self.errors]


def completed(answer: Answer, *, allow_truncated: bool = False, advice: str = RAISE_LIMIT) -> Completion:
    """The completion that an answer is. Raises the GroupError that its group fails with.

    `advice`: what the user can do about an answer that reached max_new_tokens.
    """
    if isinstance(answer, Failure):
        raise answer.error
    ending = f"…{answer.text[-ENDING:]!r}"
    if answer.finish_reason == "length" and unfinished(answer.text):
        raise GenerationError(f"the model was still reasoning after {answer.tokens} tokens: {ending}", LONGER)
    if answer.finish_reason == "length" and not allow_truncated:
        raise GenerationError(f"the answer was cut off after {answer.tokens} tokens: {ending}", advice)
    if answer.finish_reason == "repetition":
        raise GenerationError(
            f"the answer repeats itself, so it was stopped after {answer.tokens} tokens: {ending}", PENALIZE
        )
    return answer


def _fault(key: GroupKey, error: GroupError, photo: Path | None) -> Fault:
    """A line for the errors file, which sets the time."""
    name = photo.name if photo else None
    return Fault(
        mission=key.mission, label=key.label, group_id=key.group_id, photo=name, step=error.step,
        message=str(error), advice=error.advice, timestamp="",
    )  # fmt: skip
