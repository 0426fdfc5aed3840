"""One `yanshou evaluate` as a function: figures, and the files of a report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from yanshou.evaluate import policy
from yanshou.evaluate.evaluation import Evaluation, evaluate
from yanshou.evaluate.sources import exists
from yanshou.missions import load_missions
from yanshou.report import csv_export
from yanshou.report.packed import Packed
from yanshou.report.page import packed_page, write_report
from yanshou.report.portable import NAME, portable
from yanshou.report.thumbnails import Progress
from yanshou.report.without_paths import without_paths
from yanshou.settings import EvaluateSettings
from yanshou.storage.lock import Lock

LOCK = ".evaluate.lock"


def evaluate_files(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compares verdicts with human labels; writes report.html, its thumbnails, groups.csv, policy.json and report.zip.

    `progress` gets the number of photos that are done (those of report.zip, then thumbnails), and of all of them.
    Raises UsageError, InputError and DamagedFileError; OutputError; LockedError where another evaluation is writing.
    """
    evaluation = evaluate(
        settings.verdicts, settings.stage_a or None, load_missions(settings.mission_files), settings,
        only=settings.only, labels=settings.labels, allow_shared_photos=settings.allow_shared_photos,
    )  # fmt: skip
    evaluation = _warned(evaluation, settings)
    with (
        Lock(settings.output_dir / LOCK, settings.output_dir),  # a second run would delete thumbnails of this one
        _archive(evaluation, settings, progress) as shown,
    ):
        table = {csv_export.NAME: csv_export.to_csv(evaluation.groups)}
        if evaluation.policy:
            table[policy.NAME] = policy.to_json(evaluation.policy)
        write_report(evaluation, settings.output_dir, settings.lang, progress=shown, beside=table)
    return evaluation


def _warned(evaluation: Evaluation, settings: EvaluateSettings) -> Evaluation:
    """With a warning where an archive of an earlier evaluation would lie beside the new report."""
    archive = settings.output_dir / NAME
    if settings.portable or not exists(archive):
        return evaluation
    warning = (
        f"{archive} is of an earlier evaluation and stays as it is. Delete it, or give --portable to write it again"
    )
    return replace(evaluation, warnings=(*evaluation.warnings, warning))


@contextmanager
def _archive(
    evaluation: Evaluation, settings: EvaluateSettings, progress: Progress | None
) -> Iterator[Progress | None]:
    """Writes report.zip if it is asked for. Gives the progress of the thumbnails that follow its photos."""
    if not settings.portable:
        yield progress
        return
    cleaned = without_paths(evaluation)
    packed = Packed.of(cleaned, all_groups=settings.groups == "all")
    before = len(packed.photos)
    total = before + len({photo for group in evaluation.groups for photo in group.images})

    def counted(skipped: int) -> Progress | None:
        return progress and (lambda done, _: progress(skipped + done, total))

    with portable(packed, settings.output_dir, packed_page(cleaned, settings.lang), counted(0)):
        yield counted(before)
