"""Verdicts under a threshold: pass exactly when `p_pass` reaches it. Without one, the answer's first line decides.

A run with another threshold rewrites the verdicts on disk, all at once. It first writes the threshold into its run
file, with the status "running": where it is killed in between, the verdicts follow another threshold than the run file
says, which `evaluate` refuses and the next run repairs.
"""

import logging

from yanshou.errors import ResumeError
from yanshou.schema.records import Label, VerdictRecord
from yanshou.stage_b.verdict import read_verdict
from yanshou.storage.lines_file import LinesFile

NO_P_PASS = "the model reasoned before its verdict, which was not the first line that p_pass is computed for"
NONE_ON_DISK = "the model reasoned before its verdict, or a server gave no likelihoods"
NO_THRESHOLD = "Leave --threshold out, or take a checkpoint and a chat template that answer without reasoning"

logger = logging.getLogger(__name__)


def rewrite_verdicts(lines: LinesFile[VerdictRecord], threshold: float | None) -> int:
    """Brings the verdicts on disk to the threshold; None: to the answer's first line. Returns how many changed."""
    before = list(lines.records())
    after = [under_threshold(record, threshold) for record in before]
    changed = sum(one != other for one, other in zip(before, after, strict=True))
    if changed:
        lines.replace(after)
        logger.info("%s: threshold %s changed %d verdicts", lines.path, threshold, changed)
    return changed


def follows(record: VerdictRecord, threshold: float | None) -> bool:
    """Whether the verdict is the one that the threshold gives."""
    if record.raw_text is None:
        return True
    return record.verdict == label_of(passes(record.p_pass, bool(read_verdict(record.raw_text).passed), threshold))


def under_threshold(record: VerdictRecord, threshold: float | None) -> VerdictRecord:
    """The record with the verdict that the threshold gives. Raises ResumeError where there is no p_pass for it."""
    if record.raw_text is None:
        return record
    if record.p_pass is None and threshold is not None:
        raise ResumeError(f"--threshold: group {record.key} has no p_pass: {NONE_ON_DISK}. {NO_THRESHOLD}.")
    passed = passes(record.p_pass, bool(read_verdict(record.raw_text).passed), threshold)
    return record.model_copy(update={"verdict": label_of(passed)})


def passes(p_pass: float | None, first_line: bool, threshold: float | None) -> bool:
    return first_line if threshold is None or p_pass is None else p_pass >= threshold


def label_of(passed: bool) -> Label:
    return "pass" if passed else "fail"
