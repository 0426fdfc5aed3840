"""What the lead sees of a store: what is done and left, who reads, which groups readers disagree about, the audit.

    mission            groups  first  second  third  lead  done      what each group waits for
    挡风板安装检查       1,200    310      40      6     2   842

Of the audit there is one number until every group of its sample is settled: how many are. A figure before would be one
of those groups that happen to be read first, and whoever sees it could stop when it pleases.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, get_args

from yanshou.audit.estimate import estimate
from yanshou.review.agreement import CONFIDENCE, DRAWS, ReaderAgreement, Seconds
from yanshou.review.export import Labelled, export
from yanshou.review.reader_figures import ReaderFigures
from yanshou.review.store.readings import Step, readings
from yanshou.review.store.snapshot import Snapshot, StoredAnswer
from yanshou.schema.audit import Audit
from yanshou.schema.label_row import LabelRow
from yanshou.storage.labels_file import Labels, PlacedRow

STEPS: tuple[Step, ...] = get_args(Step)
SHOWN = 200  # disputes in one reply: those that wait longest; final answers: the newest


def progress(snapshot: Snapshot, browsers: Sequence[tuple[str, ...]], today: date) -> dict[str, Any]:
    """The reply to the lead's page. browsers: of each, the readers' names that it has had. today: local."""
    figures = ReaderFigures.of(snapshot)
    disputes = list(_disputes(snapshot))
    return {
        "missions": list(_missions(snapshot)),
        "not_queued": sum(not group.queued for group in snapshot.groups.values()),
        "readers": list(_readers(snapshot, figures, browsers, today)),
        "shared": sorted({names for names in browsers if len(names) > 1}),
        "agreement": _agreement(figures.agreement),
        "seconds": figures.seconds and figures.seconds.to_dict(),
        "disputes": {"count": len(disputes), "groups": disputes[:SHOWN]},
        "decided": list(_decided(snapshot))[: -SHOWN - 1 : -1],
        "audit": snapshot.audit and _audit(snapshot, snapshot.audit),
    }


def said(answers: Sequence[StoredAnswer]) -> list[dict[str, Any]]:
    """What each reader of a group says now, in the order of their first answers."""
    return [
        {"reader": each.reader, "label": each.label, "reason": each.reason or "", "at": each.at, "blind": each.blind}
        for each in readings(answers)
    ]


def _missions(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    steps: dict[str, Counter[str]] = {}
    for group in snapshot.groups.values():
        if group.queued:
            steps.setdefault(group.key.mission, Counter())[group.need] += 1
    for name, found in sorted(steps.items()):
        yield {"name": name, "groups": found.total(), **{step: found[step] for step in STEPS}}


def _readers(
    snapshot: Snapshot, figures: ReaderFigures, browsers: Sequence[tuple[str, ...]], today: date
) -> Iterator[dict[str, Any]]:
    """Everybody who has answered or signed in."""
    under = Counter(name for names in browsers for name in names)
    undone = Counter(answer.reader for answer in snapshot.answers if answer.role == "reader" and answer.label is None)
    groups: Counter[str] = Counter()
    of_today: Counter[str] = Counter()
    for answers in snapshot.of_group.values():
        for reading in readings(answers):
            groups[reading.reader] += 1
            of_today[reading.reader] += datetime.fromisoformat(reading.at).astimezone().date() == today
    for reader in sorted({*groups, *undone, *under}):
        seconds: Seconds | None = figures.of_reader.get(reader)
        yield {
            "reader": reader, "groups": groups[reader], "today": of_today[reader], "undone": undone[reader],
            "median": seconds and seconds.median, "p90": seconds and seconds.p90, "browsers": under[reader],
        }  # fmt: skip


def _agreement(found: ReaderAgreement) -> dict[str, Any]:
    """Of two readers only their table: there may be many pairs of readers, and each interval takes milliseconds."""
    tables = [{"readers": list(names), "table": part.table.tolist()} for names, part in found.readers.items()]
    return {
        "random_share": found.drawn.to_dict(), "chosen": found.chosen.to_dict(), "draws": DRAWS,
        "pooled_table": found.pooled.table.tolist(), "readers": tables, "not_blind": found.not_blind,
    }  # fmt: skip


def _disputes(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Groups that wait for a third reader or for the lead, in the order of their latest answers."""
    waiting = [
        (answers[-1].id, group, answers)
        for group in snapshot.groups.values()
        if group.queued and (answers := snapshot.of_group.get(group.id)) and group.need in ("third", "lead")
    ]
    for _, group, answers in sorted(waiting, key=lambda each: each[0]):
        yield {
            "id": group.id, "mission": group.key.mission, "step": group.need, "answers": said(answers),
        }  # fmt: skip


def _decided(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The final answers that count, in the order in which they were stored."""
    latest = {answer.group: answer for answer in snapshot.answers if answer.role == "lead"}
    for answer in sorted(latest.values(), key=lambda answer: answer.id):
        yield {
            "id": answer.group, "mission": snapshot.groups[answer.group].key.mission, "label": answer.label,
            "reason": answer.reason or "", "reader": answer.reader, "at": answer.at,
        }  # fmt: skip


def _audit(snapshot: Snapshot, audit: Audit) -> dict[str, Any]:
    """How many groups of the sample are settled; when all are, what `audit estimate` says of the labels file."""
    sample = [group for group in snapshot.groups.values() if group.rule.audit]
    settled = sum(group.need == "done" for group in sample)
    of = len(audit.groups)
    if settled < of:
        return {"settled": settled, "of": of, "early": 0, "bad": None}
    found = estimate(audit, _labels(export(snapshot).labelled), CONFIDENCE)
    return {"settled": settled, "of": of, "early": found.early, "bad": found.bad and found.bad.to_dict()}


def _labels(labelled: Sequence[Labelled]) -> Labels:
    """The rows that the labels file would have."""
    return Labels({each.key: PlacedRow("", LabelRow.model_validate(each.cells)) for each in labelled})
