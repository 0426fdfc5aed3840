"""Stage-A files with the truth in the lines' place: how would a verdict be if every summary were right?

    python benchmarks/true_lines.py world/truth.jsonl out/*_stage_a.jsonl --output-dir true

Groups, photos and order are those of the Stage-A files; a group that Stage-A did not write is not there. Every group
needs its truth.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from yanshou.errors import InputError
from yanshou.schema.records import StageARecord, TruthRecord
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import dump_line, read_records


def write_true_lines(truth: Path, stage_a: Sequence[Path], output_dir: Path) -> list[Path]:
    """Writes a file of the same name for each. Raises InputError for a group without its truth."""
    known = {record.key: record for _, record in read_records(truth, TruthRecord)}
    output_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for path in stage_a:
        lines = []
        for number, record in read_records(path, StageARecord):
            true = known.get(record.key)
            if true is None or set(true.per_image) != set(record.per_image):
                raise InputError(f"{path}:{number}: group {record.group_id}: {truth} does not hold its truth.")
            lines.append(dump_line(_with(record, [true.per_image[key] for key in record.per_image])))
        replace_file(output_dir / path.name, b"".join(lines))
        written.append(output_dir / path.name)
    return written


def _with(record: StageARecord, texts: list[str]) -> StageARecord:
    lines = dict(zip(record.per_image, texts, strict=True))
    return record.model_copy(update={"per_image": lines, "raw_texts": texts, "clean_texts": texts})


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    parser = argparse.ArgumentParser(description="Stage-A files with true lines.")
    parser.add_argument("truth", type=Path)
    parser.add_argument("stage_a", type=Path, nargs="+")
    parser.add_argument("--output-dir", type=Path, required=True)
    given = parser.parse_args(arguments)
    return write_true_lines(given.truth, given.stage_a, given.output_dir)


if __name__ == "__main__":
    sys.exit(not main())
