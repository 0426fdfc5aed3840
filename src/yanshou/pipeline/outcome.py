"""What became of one group: a record to write, or the faults that keep it from being written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from yanshou.engines.base import Completion, Failure
from yanshou.errors import GenerationError, GroupError
from yanshou.schema.records import Fault, GroupKey, GroupRecord

ENDLESS = "set --repetition-penalty, e.g. 1.05, or look at the photo: such loops begin where it shows many alike things"
TRUNCATED = "raise --max-new-tokens (a resume allows it), or accept such answers with --allow-truncated"
Answer = Completion | Failure
AnswerCallback = Callable[[Answer], None]
RecordT = TypeVar("RecordT", bound=GroupRecord)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[RecordT]):
    """What became of one group."""

    key: GroupKey
    record: RecordT | None  # None: it failed
    errors: tuple[tuple[Path | None, GroupError], ...] = ()  # the photo, if it is one photo's fault

    @property
    def faults(self) -> list[Fault]:
        return [fault(self.key, error, photo) for photo, error in self.errors]


def fault(key: GroupKey, error: GroupError, photo: Path | None = None) -> Fault:
    """A line for the errors file, which stamps the time."""
    name = photo.name if photo else None
    return Fault(
        mission=key.mission, label=key.label, group_id=key.group_id, photo=name, step=error.step,
        message=str(error), advice=error.advice, timestamp="",
    )  # fmt: skip


def repetition_error(answer: Completion) -> GenerationError:
    """What an answer that repeats itself fails with."""
    ending = answer.text[-40:]
    return GenerationError(f"the answer repeats itself, ended after {answer.tokens} tokens: …{ending!r}", ENDLESS)
