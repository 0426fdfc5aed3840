"""What comes out of a store: a labels file, all answers, and how far readers agree.

    labels.csv              one row per settled group, for `dataset`, `evaluate` and `audit estimate --labels`
    labels.answers.jsonl    every answer and undo, in the order in which they were stored

A group whose only answer waits for a second reader is in the labels file with this answer, and counted. Not in it, and
named: groups whose readers disagree, and groups of the audit sample that are not settled, because an audit counts
answers that are final. The files depend on the store alone: a second export of the same store writes the same bytes.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yanshou.errors import InputError
from yanshou.inputs.listing import natural_key
from yanshou.review.agreement import ANSWERS
from yanshou.review.store.readings import Outcome, next_step, outcome
from yanshou.review.store.snapshot import Snapshot
from yanshou.schema.answer_line import AnswerLine
from yanshou.schema.label_row import LabelRow
from yanshou.schema.records import GroupKey
from yanshou.storage.file_set import is_unfinished, replace_together
from yanshou.storage.jsonl import dump_line
from yanshou.storage.labels_file import COLUMNS
from yanshou.storage.lock import Lock
from yanshou.storage.spreadsheet import without_formula
from yanshou.text import printable


@dataclass(frozen=True, slots=True)
class Labelled:
    """A group of the labels file."""

    key: GroupKey
    outcome: Outcome

    @property
    def cells(self) -> dict[str, str]:
        """The row, as text."""
        key, found = self.key, self.outcome
        cells = (key.mission, key.group_id, key.label or "", found.label, ", ".join(found.who), found.when)
        return dict(zip(COLUMNS, cells, strict=True))

    @property
    def is_readable(self) -> bool:
        """Whether the row names this group when it is read: spaces at the ends of a cell are lost."""
        try:
            return LabelRow.model_validate(self.cells).key == self.key
        except ValidationError:
            return False


@dataclass(frozen=True, slots=True)
class Export:
    """The groups of a store; one with an answer is in exactly one of the four lists."""

    labelled: Sequence[Labelled]
    disputed: Sequence[GroupKey]  # readers disagree
    unsettled: Sequence[GroupKey]  # of the audit sample: another answer is awaited
    unwritable: Sequence[GroupKey]  # a labels file cannot name them: spaces at the ends of the id
    unanswered: int  # queued groups without an answer
    lines: Sequence[AnswerLine]

    @property
    def labels(self) -> Counter[str]:
        """The number of rows with each label."""
        return Counter(each.outcome.label for each in self.labelled)

    @property
    def awaiting(self) -> int:
        """The rows whose group waits for a second reader, who may disagree."""
        return sum(not each.outcome.final for each in self.labelled)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": len(self.labelled),
            "labels": {answer: self.labels[answer] for answer in ANSWERS},
            "awaiting_second_reader": self.awaiting,
            "disputed": list(map(_named, self.disputed)),
            "audit_not_settled": list(map(_named, self.unsettled)),
            "not_writable": list(map(_named, self.unwritable)),
            "unanswered": self.unanswered,
            "answers": len(self.lines),
        }


def answers_path(labels: Path) -> Path:
    """`labels.csv` → `labels.answers.jsonl`, beside it."""
    return labels.with_name(labels.name.removesuffix(".csv") + ".answers.jsonl")


def export(snapshot: Snapshot) -> Export:
    """Sorts the groups by what their answers say, each kind in natural order."""
    labelled: list[Labelled] = []
    disputed: list[GroupKey] = []
    unsettled: list[GroupKey] = []
    unwritable: list[GroupKey] = []
    unanswered = 0
    for group in sorted(snapshot.groups.values(), key=lambda group: _order(group.key)):
        answers = snapshot.of_group.get(group.id, ())
        step, found = next_step(answers, group.rule), outcome(answers, group.rule)
        if step == "first":
            unanswered += group.queued
        elif group.rule.audit and step != "done":
            unsettled.append(group.key)
        elif found is None:
            disputed.append(group.key)
        elif (each := Labelled(group.key, found)).is_readable:
            labelled.append(each)
        else:
            unwritable.append(group.key)
    return Export(labelled, disputed, unsettled, unwritable, unanswered, list(_lines(snapshot)))


def write(found: Export, labels: Path) -> None:
    """Writes both files, which are replaced together. Raises InputError, LockedError, OutputError."""
    answers = answers_path(labels)
    with Lock(labels.with_name(f".{labels.name}.lock"), labels):
        if labels.exists() and not answers.exists() and not is_unfinished(answers):
            raise InputError(
                f"{printable(labels)}: this labels file has no {printable(answers.name)} beside it, so it was not "
                "written by `yanshou review-export`, and is not overwritten. Give another --output."
            )
        replace_together({labels: _csv(found.labelled), answers: b"".join(map(dump_line, found.lines))})


def _csv(labelled: Sequence[Labelled]) -> bytes:
    """UTF-8 with a byte-order mark, without which Excel shows wrong characters; every cell is quoted."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows(map(without_formula, each.cells.values()) for each in labelled)
    return codecs.BOM_UTF8 + text.getvalue().encode("utf-8")


def _lines(snapshot: Snapshot) -> Iterator[AnswerLine]:
    uids = {answer.id: answer.uid for answer in snapshot.answers}
    for answer in snapshot.answers:
        group = snapshot.groups[answer.group]
        yield AnswerLine(
            uid=answer.uid,
            mission=group.key.mission,
            group_id=group.key.group_id,
            label_given=group.key.label,
            reader=answer.reader,
            role=answer.role,
            label=answer.label,
            reason=answer.reason,
            blind=answer.blind,
            sampled=group.rule.sampled,
            seconds=answer.seconds,
            supersedes=None if answer.supersedes is None else uids[answer.supersedes],
            at=answer.at,
        )


def _order(key: GroupKey) -> tuple[str, object, str]:
    return key.mission, natural_key(key.group_id), key.label or ""


def _named(key: GroupKey) -> dict[str, Any]:
    return {"mission": key.mission, "group_id": key.group_id, "label_given": key.label}
