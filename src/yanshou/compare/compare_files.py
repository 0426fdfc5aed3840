"""One `yanshou compare` as a function: figures, and the files that show what changed.

DIR/compare.html        figures, settings that differ, and the worst changes
DIR/compare/thumbnails  of its photos; a folder of its own, so a report in DIR keeps its thumbnails
DIR/changes.jsonl       every change, worst first: a photo whose line differs, or a group whose verdict flipped
"""

from yanshou.compare.comparison import Comparison, compare
from yanshou.compare.page import NAME as PAGE
from yanshou.compare.page import page
from yanshou.compare.page_photos import page_photos, remove_unused
from yanshou.compare.translations import translation
from yanshou.missions import load_missions
from yanshou.report.thumbnails import Progress
from yanshou.settings import CompareSettings
from yanshou.storage.file_set import replace_together
from yanshou.storage.jsonl import dump_line
from yanshou.storage.lock import Lock

CHANGES = "changes.jsonl"
LOCK = ".compare.lock"


def compare_files(settings: CompareSettings, progress: Progress | None = None) -> Comparison:
    """Compares two files, and writes compare.html, its thumbnails and changes.jsonl.

    `progress` gets the number of photos whose thumbnails are done, and of all that the page shows. Raises UsageError,
    InputError and DamagedFileError; OutputError; LockedError where another comparison is writing.
    """
    a, b = settings.files
    texts = translation(settings.lang)
    comparison = compare(a, b, load_missions(settings.mission_files), settings.labels)
    folder = settings.output_dir
    with Lock(folder / LOCK, folder):  # a second run would delete thumbnails of this one
        shown = comparison.changes[: settings.max_shown]
        photos = page_photos(shown, folder, progress)
        html = page(comparison, shown, photos, texts)
        lines = b"".join(dump_line(change.to_dict()) for change in comparison.changes)
        replace_together({folder / CHANGES: lines, folder / PAGE: html.encode("utf-8", errors="backslashreplace")})
        remove_unused(folder, photos)
    return comparison
