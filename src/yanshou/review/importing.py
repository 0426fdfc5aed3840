"""From files to the store: which groups enter it, which of them people read, and what is said about it.

    read       verdicts or decisions, Stage-A, errors files      nothing is written before all of it is read
    store      one transaction: groups, photos' paths, the audit
    said       per mission: queued, by why; not queued; without a photo to show

No photo is opened. Whether it is there is looked up, because a folder that was moved would only show when people read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from yanshou.audit.draw import read_audit
from yanshou.errors import InputError, UsageError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.sources import exists
from yanshou.missions import Missions
from yanshou.review.doubt import QueueRule
from yanshou.review.judged_files import FilesRead
from yanshou.review.store.imported_groups import Added, ImportedGroup, ImportedPhoto, Why
from yanshou.review.store.store import Store
from yanshou.schema.audit import Audit
from yanshou.schema.records import OTHER_SUMMARIES, GroupKey
from yanshou.settings import ReviewSettings
from yanshou.text import printable

MAX_NAMED = 3  # groups that a message names


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The groups of one mission in the files."""

    false_release: int = 0
    doubt: int = 0
    audit: int = 0  # queued by the audit alone
    all: int = 0  # queued by --all-groups alone
    not_queued: int = 0
    without_line: int = 0  # not in the store: there is no photo to show

    def __str__(self) -> str:
        """`12 possible false releases, 180 doubtful; 405 not queued; 2 without a line of Stage-A`"""
        queued = [f"{self.false_release} possible false releases", f"{self.doubt} doubtful"]
        queued += [f"{self.audit} of the audit alone"] if self.audit else []
        queued += [f"{self.all} others"] if self.all else []
        missing = f"; {self.without_line} without a line of Stage-A" if self.without_line else ""
        return f"{', '.join(queued)}; {self.not_queued} not queued{missing}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    missions: Mapping[str, QueueCounts]
    added: Added
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What the terminal says."""
        for mission, counts in self.missions.items():
            yield f"{mission}: {counts}"
        one = self.added
        gone = f"; {one.unqueued} of them are no longer queued" if one.unqueued else ""
        yield (
            f"groups: {one.added} new, {one.replaced} replaced, {one.same} as before, {len(one.kept)} kept as they "
            f"were read{gone}"
        )


def import_files(store: Store, read: FilesRead, settings: ReviewSettings) -> Imported:
    """Adds the groups of the files, and the audit. Raises InputError, DamagedFileError, OutputError."""
    given = read_audit(settings.audit) if settings.audit else None
    audited = _keys(given or store.audit)
    why = QueueRule(settings.near, settings.all_groups).why(read.groups)
    counts = _counts(read, why, audited)
    added = store.add_groups(
        [_imported(group, why[group.key]) for group in read.groups],
        audit=given,
        files=[str(path.absolute()) for path in settings.files],
        counts={mission: asdict(found) for mission, found in counts.items()},
    )
    warnings = (*read.warnings, *_gaps(read), *missing_photos(read.groups), *_kept(added.kept))
    return Imported(counts, added, warnings)


def add_audit(store: Store, path: Path) -> None:
    """Adds an audit to a store that has its groups. The same again changes nothing.

    Raises InputError, DamagedFileError.
    """
    audit = read_audit(path)
    if store.audit != audit:
        store.add_groups([], audit=audit, files=[str(path.absolute())])


def check_queue(store: Store, missions: Missions) -> None:
    """Raises UsageError where groups are of a mission that this start does not know, InputError for an empty queue."""
    if not store.missions():
        raise InputError(
            "no group is queued: none of the files is a possible false release or doubtful. Give the files with "
            "--all-groups to read all of them."
        )
    unknown = sorted(mission for mission in store.missions() if mission not in missions)
    if unknown:
        raise UsageError(
            f"the store has groups of {', '.join(map(printable, unknown))}, which is not one of yanshou's missions. "
            "Give its file with --mission-file, as at the first start."
        )


def missing_photos(groups: Sequence[JudgedGroup]) -> Iterator[str]:
    """A warning about photos that are not where Stage-A found them."""
    photos = [(path, group.key) for group in groups for path in group.images if not exists(Path(path))]
    if photos:
        of = sum(len(group.images) for group in groups)
        yield (
            f"{len(photos)} of {of} photos, of {len({key for _, key in photos})} groups, are missing, first "
            f"{printable(photos[0][0])}. Readers see that they are. Put them back or mount their disk: nothing has to "
            "be imported again"
        )


def _imported(group: JudgedGroup, why: Why | None) -> ImportedGroup:
    photos = zip(group.images, group.summaries, strict=True)
    return ImportedGroup(
        key=group.key,
        photos=tuple(ImportedPhoto(path, summary) for path, summary in photos),
        why=why,
        verdict=group.verdict,
        decision=group.decision,
        p_pass=group.p_pass,
        reason=group.reason,
        rules_verdict=group.rules_verdict,
        rules_reason=group.rules.reason if group.rules else None,
        fault=group.fault,
    )


def _counts(
    read: FilesRead, why: Mapping[GroupKey, Why | None], audited: frozenset[GroupKey]
) -> dict[str, QueueCounts]:
    cells: Counter[tuple[str, str]] = Counter()
    for key, reason in why.items():
        cells[key.mission, reason or ("audit" if key in audited else "not_queued")] += 1
    for key in read.without_line:
        cells[key.mission, "without_line"] += 1
    missions = dict.fromkeys(mission for mission, _ in cells)
    names = QueueCounts.__dataclass_fields__
    return {mission: QueueCounts(**{name: cells[mission, name] for name in names}) for mission in missions}


def _keys(audit: Audit | None) -> frozenset[GroupKey]:
    return frozenset(group.key for group in audit.groups) if audit else frozenset()


def _gaps(read: FilesRead) -> Iterator[str]:
    """Warnings about groups that are not shown, or not judged from what is shown."""
    if read.without_line:
        why = [f"{key}: {reason}" for key, reason in read.without_line.items()]
        yield f"{len(why)} groups have no line of Stage-A, so they are not queued: {_first(why)}"
    outdated = [str(group.key) for group in read.groups if group.fault == OTHER_SUMMARIES]
    if outdated:
        yield (
            f"{len(outdated)} verdicts are about other summaries than those there are now, so they do not count and "
            f"their groups are doubtful: {_first(outdated)}. Run `yanshou judge` again for newer ones"
        )


def _kept(keys: Sequence[GroupKey]) -> Iterator[str]:
    if keys:
        yield (
            f"{len(keys)} groups have answers and are kept as they were read, though the files say something else now: "
            f"{_first(map(str, keys))}"
        )


def _first(names: Iterable[str]) -> str:
    names = list(names)
    more = f"; and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return "; ".join(map(printable, names[:MAX_NAMED])) + more
