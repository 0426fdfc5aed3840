"""Copies Stage-A files with the true lines: what would the verdicts be if every summary were right?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from yanshou.errors import InputError
from yanshou.schema.records import GroupKey, StageARecord, TruthRecord
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import dump_line, read_records


def write_true_lines(truth: Path, stage_a: Sequence[Path], output_dir: Path) -> None:
    """Writes a file of the same name for each Stage-A file, with the same groups in the same order.

    Raises InputError for a group whose truth is missing.
    """
    known = {record.key: record for _, record in read_records(truth, TruthRecord)}
    output_dir.mkdir(parents=True, exist_ok=True)
    for path in stage_a:
        replace_file(output_dir / path.name, b"".join(map(dump_line, _true_records(path, truth, known))))


def _true_records(path: Path, truth: Path, known: dict[GroupKey, TruthRecord]) -> Iterator[StageARecord]:
    for number, record in read_records(path, StageARecord):
        true = known.get(record.key)
        if true is None or set(true.per_image) != set(record.per_image):
            raise InputError(f"{path}:{number}: group {record.group_id}: {truth} does not hold its truth.")
        lines = {key: true.per_image[key] for key in record.per_image}
        texts = list(lines.values())
        yield record.model_copy(update={"per_image": lines, "raw_texts": texts, "clean_texts": texts})
