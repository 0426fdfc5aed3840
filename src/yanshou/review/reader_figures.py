"""What a store's answers say about its readers: how far they agree, and how long a group takes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yanshou.review.agreement import Pair, ReaderAgreement, Seconds
from yanshou.review.store.readings import Answer, readings
from yanshou.review.store.snapshot import Snapshot, StoredAnswer


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """The figures of all readers."""

    agreement: ReaderAgreement
    seconds: Seconds | None  # of all readers; None: no reading has a time
    of_reader: dict[str, Seconds | None]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "ReaderFigures":
        by_reader = _seconds(snapshot)
        every = [seconds for found in by_reader.values() for seconds in found]
        return cls(
            agreement=_agreement(snapshot),
            seconds=Seconds.of(every),
            of_reader={reader: Seconds.of(by_reader[reader]) for reader in sorted(by_reader)},
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "agreement": self.agreement.to_dict(),
            "seconds_per_group": {
                "all": self.seconds and self.seconds.to_dict(),
                "readers": {reader: found and found.to_dict() for reader, found in self.of_reader.items()},
            },
        }


def _agreement(snapshot: Snapshot) -> ReaderAgreement:
    """Of the first two readings of every group that has two."""
    pairs: list[Pair] = []
    not_blind = 0
    for group, answers in snapshot.of_group.items():
        match readings(answers):
            case [one, other, *_] if one.blind and other.blind:
                pairs.append(_pair(one, other, snapshot.groups[group].rule.sampled))
            case [_, _, *_]:
                not_blind += 1
    return ReaderAgreement.of(pairs, not_blind)


def _pair(one: Answer, other: Answer, drawn: bool) -> Pair:
    assert one.label is not None
    assert other.label is not None
    return Pair((one.reader, other.reader), (one.label, other.label), drawn)


def _seconds(snapshot: Snapshot) -> dict[str, list[float]]:
    """Reader → seconds of each group with a reading of theirs: of all their answers about it, taken back or not."""
    found: dict[str, list[float]] = {}
    for answers in snapshot.of_group.values():
        for reading in readings(answers):
            found.setdefault(reading.reader, []).extend(_sum(answers, reading.reader))
    return found


def _sum(answers: Sequence[StoredAnswer], reader: str) -> Iterator[float]:
    """Their sum. Nothing where no answer has a time."""
    times = [answer.seconds for answer in answers if answer.reader == reader and answer.role == "reader"]
    known = [seconds for seconds in times if seconds is not None]
    if known:
        yield sum(known)
