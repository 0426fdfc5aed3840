"""Who reads a group when, and what its readers say in the end. Pure: nothing here touches the store.

    no reading        first
    one               second: a sampled group; an answer that contradicts the folder's label; an audited group whose
                      answer is unsure or not blind. Otherwise done
    two               done if both say the same (audited: pass or fail, and both blind). Otherwise third
    three or more     done if two pass or two fail agree (audited: blind ones). Otherwise the lead
    the lead's answer done, whatever the readers said

A reading is the current answer of one reader. An undo takes it away; another answer of the same reader replaces it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, TypeVar

from yanshou.schema.label_row import Answer as Said
from yanshou.schema.records import GroupKey, Label

Step = Literal["first", "second", "third", "lead", "done"]
Role = Literal["reader", "lead"]

AWAITED: tuple[Step, ...] = ("first", "second", "third")  # steps that a reader takes


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the answers, in the store's words."""

    reader: str
    role: Role
    label: Said | None  # None: an undo
    blind: bool  # the reader had not been shown the machine's side of the group
    at: str  # ISO 8601, milliseconds, local offset


AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What decides how many readers a group needs."""

    folder: Label | None  # the folder's label
    sampled: bool  # for a second reader, by the store's share
    audit: bool  # in the audit sample


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the readers of a group say in the end."""

    label: Said
    who: tuple[str, ...]  # those who say so, in the order of their first answers
    when: str  # the latest of their answers
    final: bool  # False: another reader is awaited, who may change it


def readings(answers: Iterable[AnswerT]) -> list[AnswerT]:
    """Each reader's current answer, in the order of their first answers. `answers`: of one group, in row order."""
    current: dict[str, AnswerT] = {}
    for answer in answers:
        if answer.role == "reader":
            current[answer.reader] = answer
    return [answer for answer in current.values() if answer.label is not None]


def lead_answer(answers: Iterable[AnswerT]) -> AnswerT | None:
    """The lead's latest answer."""
    found = [answer for answer in answers if answer.role == "lead" and answer.label is not None]
    return found[-1] if found else None


def next_step(answers: Sequence[Answer], rule: GroupRule) -> Step:
    """What the group waits for. `answers`: all of the group, in row order."""
    if lead_answer(answers):
        return "done"
    match readings(answers):
        case []:
            return "first"
        case [only]:
            return "second" if _needs_second(only, rule) else "done"
        case [one, other]:
            return "done" if one.label == other.label and _counts(one, rule) and _counts(other, rule) else "third"
        case several:
            return "done" if _majority(several, rule) else "lead"


def outcome(answers: Sequence[Answer], rule: GroupRule) -> Outcome | None:
    """The group's label. None: no answer, readers who disagree, or an audited group that waits for another answer."""
    if lead := lead_answer(answers):
        return Outcome(_said(lead), (lead.reader,), lead.at, final=True)
    found, step = readings(answers), next_step(answers, rule)
    if step != "done" and (step != "second" or rule.audit):
        return None
    label = _majority(found, rule) or _said(found[0])
    agree = [reading for reading in found if reading.label == label and _counts(reading, rule)]
    when = max((reading.at for reading in agree), key=datetime.fromisoformat)
    return Outcome(label, tuple(reading.reader for reading in agree), when, final=step == "done")


def position(seed: int, key: GroupKey) -> int:
    """A number below 2**63 for the order of the queue: it depends on seed, mission and job alone.

    Not on the folder's label: a job's id can be in a photo's watermark, and whoever knows it and the seed could compute
    the label.
    """
    return _hash("position", seed, key) >> 1


def is_sampled(seed: int, key: GroupKey, share: float) -> bool:
    """Whether the group is one of the share that gets a second reader anyway."""
    return _hash("second", seed, key) < share * 2**64


def _needs_second(only: Answer, rule: GroupRule) -> bool:
    contradicts = rule.folder is not None and only.label != "unsure" and only.label != rule.folder
    return rule.sampled or contradicts or not _counts(only, rule)


def _counts(reading: Answer, rule: GroupRule) -> bool:
    """Whether the reading can settle the group: in an audit only a blind pass or fail can."""
    return not rule.audit or (reading.blind and reading.label != "unsure")


def _majority(found: Sequence[Answer], rule: GroupRule) -> Label | None:
    """The label that at least two readings give, and more than give the other one."""
    counted = [reading.label for reading in found if _counts(reading, rule)]
    passes, fails = counted.count("pass"), counted.count("fail")
    if max(passes, fails) < 2 or passes == fails:
        return None
    return "pass" if passes > fails else "fail"


def _said(reading: Answer) -> Said:
    assert reading.label is not None, "an undo is no reading"
    return reading.label


def _hash(what: str, seed: int, key: GroupKey) -> int:
    """64 bits of the SHA-256 of purpose, seed, mission and job."""
    text = "\0".join((what, str(seed), key.mission, key.group_id))
    return int.from_bytes(sha256(text.encode()).digest()[:8])
