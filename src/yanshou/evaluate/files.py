"""One `yanshou evaluate` as a function: figures, and the files of a report.

The report and groups.csv are true only together. So an old report is removed before groups.csv is replaced, and the
new one comes last: where there is a report, it belongs to the groups.csv beside it, also after a kill.
"""

from pathlib import Path

from yanshou.evaluate import csv_export, report
from yanshou.evaluate.evaluation import Evaluation, evaluate
from yanshou.evaluate.report import report_draft
from yanshou.evaluate.thumbnails import Progress
from yanshou.missions import load_missions
from yanshou.settings import EvaluateSettings
from yanshou.storage.atomic import replacing, write_draft, write_errors
from yanshou.storage.lock import Lock

LOCK = ".evaluate.lock"


def evaluate_files(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compares verdicts with human labels, and writes report.html, its thumbnails and groups.csv.

    `progress` gets the number of photos whose thumbnails are done, and of all photos. Raises UsageError, InputError and
    DamagedFileError; OutputError; LockedError where another evaluation is writing.
    """
    evaluation = evaluate(
        settings.verdicts, settings.stage_a or None, load_missions(settings.mission_files), only=settings.only,
        threshold=settings.threshold, max_false_release=settings.max_false_release, confidence=settings.confidence,
    )  # fmt: skip
    folder = settings.output_dir
    with (
        Lock(folder / LOCK, folder),  # a second run would delete thumbnails of this one
        report_draft(evaluation, folder, settings.lang, progress=progress),
    ):
        _replace_groups(evaluation, folder)
    return evaluation


def _replace_groups(evaluation: Evaluation, output_dir: Path) -> None:
    """All is on the disk before the old report goes, so that a full disk leaves the old files."""
    with replacing(output_dir / csv_export.NAME) as draft:
        write_draft(draft, csv_export.to_csv(evaluation.groups))
        with write_errors(output_dir / report.NAME):
            (output_dir / report.NAME).unlink(missing_ok=True)
