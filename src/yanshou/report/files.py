"""One `yanshou evaluate` as a function: figures, and the files of a report."""

from yanshou.evaluate import policy
from yanshou.evaluate.evaluation import Evaluation, evaluate
from yanshou.missions import load_missions
from yanshou.report import csv_export
from yanshou.report.page import write_report
from yanshou.report.thumbnails import Progress
from yanshou.settings import EvaluateSettings
from yanshou.storage.lock import Lock

LOCK = ".evaluate.lock"


def evaluate_files(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compares verdicts with human labels, and writes report.html, its thumbnails, groups.csv and policy.json.

    `progress` gets the number of photos whose thumbnails are done, and of all photos. Raises UsageError, InputError and
    DamagedFileError; OutputError; LockedError where another evaluation is writing.
    """
    evaluation = evaluate(
        settings.verdicts, settings.stage_a or None, load_missions(settings.mission_files), only=settings.only,
        threshold=settings.threshold, max_false_release=settings.max_false_release,
        max_false_block=settings.max_false_block, pooled=settings.pooled, confidence=settings.confidence,
        labels=settings.labels, allow_shared_photos=settings.allow_shared_photos,
    )  # fmt: skip
    with Lock(settings.output_dir / LOCK, settings.output_dir):  # a second run would delete thumbnails of this one
        table = {csv_export.NAME: csv_export.to_csv(evaluation.groups)}
        if evaluation.policy:
            table[policy.NAME] = policy.to_json(evaluation.policy)
        write_report(evaluation, settings.output_dir, settings.lang, progress=progress, beside=table)
    return evaluation
