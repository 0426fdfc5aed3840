"""The start of `yanshou review`: the store is opened, and the groups of the files are added to it.

new store        the files are read first: where they cannot be, no store is left behind
there already    the store is opened first: where another program has it, that is said at once
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from yanshou.errors import UsageError
from yanshou.evaluate.sources import exists
from yanshou.missions import Missions
from yanshou.review.importing import Imported, add_audit, check_queue, import_files
from yanshou.review.judged_files import FilesRead, read_files
from yanshou.review.store.store import Store
from yanshou.settings import ReviewSettings
from yanshou.text import printable

GIVE_FILES = "Give files of verdicts (<mission>_verdicts.jsonl) or of decisions (<mission>_decisions.jsonl)."


@dataclass(frozen=True, slots=True)
class Started:
    """A store that can be served."""

    store: Store
    imported: Imported | None  # None: no files were given

    def lines(self) -> Iterator[str]:
        """What the terminal says."""
        if self.imported:
            yield from self.imported.lines()
        if audit := self.store.audit:
            where = "in a queue of their own" if self.store.open_mode else "among the others"
            yield f"audit: {len(audit.groups)} groups, {where}"


@contextmanager
def started(settings: ReviewSettings, missions: Missions) -> Iterator[Started]:
    """Opens the store and adds the groups; it is closed when the context ends.

    Raises UsageError for a start without anything to read; InputError, DamagedFileError, LockedError, OutputError.
    """
    read = None
    if not exists(settings.store):
        read = _read(settings, missions)
    with _opened(settings) as store:
        if read is None and settings.files:
            read = _read(settings, missions)
        imported = import_files(store, read, settings) if read else None
        if settings.audit and not read:
            add_audit(store, settings.audit)
        check_queue(store, missions)
        if settings.new_links:
            store.new_keys()
        yield Started(store, imported)


def _opened(settings: ReviewSettings) -> Store:
    return Store.open(settings.store, seed=settings.seed, second_share=settings.second_share, open_mode=settings.open)


def _read(settings: ReviewSettings, missions: Missions) -> FilesRead:
    if not settings.files:
        raise UsageError(f"{printable(settings.store)}: there is no store yet. {GIVE_FILES}")
    return read_files(settings.files, settings.stage_a, missions)
