"""Draws the groups of an audit: a plain random sample of the released groups of all decisions files together.

The groups with the lowest SHA-256 of seed and identity are drawn, in this order. So the sample depends on the seed and
the released groups alone: not on the order of lines and files, the machine, or a library's random numbers.
"""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from yanshou.errors import DamagedFileError, InputError
from yanshou.missions import load_missions
from yanshou.schema.audit import FORMAT, Audit, AuditedGroup, MissionPopulation
from yanshou.schema.policy import DecisionRecord, FileDigest
from yanshou.schema.records import GroupKey, now
from yanshou.settings import AuditDrawSettings
from yanshou.stage_b.dataset_files import file_sha256
from yanshou.storage.atomic import replace_file, write_errors
from yanshou.storage.jsonl import dump_line, read_object
from yanshou.storage.line_place import LinePlace
from yanshou.storage.read_groups import JUDGE_AGAIN, read_groups, unique_paths
from yanshou.text import printable
from yanshou.validation import validation_message
from yanshou.version import __version__

RESTORE = "Restore the file as `yanshou audit draw` wrote it."


def draw_audit(settings: AuditDrawSettings) -> Audit:
    """Draws the sample and writes it; where the same audit is there already, nothing is written.

    Raises InputError where the decisions follow different policies, where fewer groups are released than are to be
    drawn, and where the output is another audit; DamagedFileError; OutputError.
    """
    decided = list(read_groups(settings.decisions, DecisionRecord, load_missions(settings.mission_files), JUDGE_AGAIN))
    policy = _one_policy(decided)
    released = [record.key for _, record in decided if record.decision == "release"]
    if settings.size > len(released):
        raise InputError(
            f"{_joined(settings.decisions)}: {len(released)} of {len(decided)} groups are released, fewer than --size "
            f"{settings.size}. " + (f"Draw at most {len(released)}." if released else "There is nothing to audit.")
        )
    sample = sorted(released, key=lambda key: _draw(settings.seed, key))[: settings.size]
    audit = Audit(
        format=FORMAT,
        yanshou=__version__,
        created=now(),
        seed=settings.seed,
        policy=policy,
        decisions=[FileDigest(file=path.name, sha256=file_sha256(path)) for path in unique_paths(settings.decisions)],
        missions=_populations([record for _, record in decided], sample),
        groups=[AuditedGroup(group_id=key.group_id, mission=key.mission, label_given=key.label) for key in sample],
    )
    return _write(audit, settings.output)


def read_audit(path: Path) -> Audit:
    """Raises InputError and DamagedFileError."""
    content = read_object(path, RESTORE)
    if content.get("format") != FORMAT:
        raise DamagedFileError(f"{path}: this is not an audit (key format is not {FORMAT}). {RESTORE}")
    try:
        return Audit.model_validate(content)
    except ValidationError as error:
        raise DamagedFileError(f"{path}: {validation_message(error)}. {RESTORE}") from error


def _write(audit: Audit, path: Path) -> Audit:
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return _same_as(_read_output(path), audit, path)
    replace_file(path, dump_line(audit, indent=1))
    return audit


def _read_output(path: Path) -> Audit:
    """The audit in the place of the output. Raises DamagedFileError where something else is there."""
    try:
        return read_audit(path)
    except DamagedFileError as error:
        raise DamagedFileError(f"{error} Where it was never an audit, give another --output.") from error


def _same_as(known: Audit, audit: Audit, path: Path) -> Audit:
    """The audit that is there. An audit is drawn once: who could draw until the sample pleases would prove nothing."""
    of_the_run = {"created": known.created, "yanshou": known.yanshou}
    if known != audit.model_copy(update=of_the_run):
        raise InputError(
            f"{printable(path)}: another audit is there, drawn {known.created} with seed {known.seed}: "
            f"{len(known.groups)} of {known.released} released groups. An audit is not drawn again. Give another name."
        )
    return known


def _one_policy(decided: Sequence[tuple[LinePlace, DecisionRecord]]) -> str:
    first: dict[str, LinePlace] = {}  # policy → where it is first
    for place, record in decided:
        first.setdefault(record.policy, place)
    if len(first) > 1:
        (one, place), (other, there) = list(first.items())[:2]
        raise InputError(
            f"{there}: decided by policy {other[:12]}…, but by policy {one[:12]}… at {place}. An audit is about one "
            "policy: give the decisions of one."
        )
    return next(iter(first), "")


def _populations(records: Sequence[DecisionRecord], sample: Sequence[GroupKey]) -> dict[str, MissionPopulation]:
    counts = Counter((record.mission, record.decision) for record in records)
    sampled = Counter(key.mission for key in sample)
    return {
        name: MissionPopulation(
            released=counts[name, "release"],
            blocked=counts[name, "block"],
            review=counts[name, "review"],
            sampled=sampled[name],
        )
        for name in dict.fromkeys(record.mission for record in records)
    }


def _draw(seed: int, key: GroupKey) -> bytes:
    """Where the group is in the order of the draw."""
    return sha256(json.dumps([seed, *key]).encode()).digest()


def _joined(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
