"""What stands where in the output folder of a training.

out/ train.run.json     the settings it was begun with
     swift/             ms-swift's own: checkpoint-50 · checkpoint-100 · logging.jsonl · args.json
     swift.log          what it said
     sft_train.jsonl    with --sft: the rows with their answers; also sft_val.jsonl
     curves.png         drawn at the end
     final/             the result, which --checkpoint takes; there or not, never half
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STATE = "trainer_state.json"  # the last file that a trainer writes into a checkpoint
NUMBERED = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class TrainFolder:
    """The paths, and the checkpoints that are whole."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "train.run.json"

    @property
    def lock(self) -> Path:
        return self.root / ".train.lock"

    @property
    def swift(self) -> Path:
        return self.root / "swift"

    @property
    def log(self) -> Path:
        return self.root / "swift.log"

    @property
    def logging(self) -> Path:
        return self.swift / "logging.jsonl"

    @property
    def curves(self) -> Path:
        return self.root / "curves.png"

    @property
    def merging(self) -> Path:
        return self.root / ".final.tmp"

    @property
    def final(self) -> Path:
        return self.root / "final"

    def rows(self, name: str) -> Path:
        return self.root / f"sft_{name}.jsonl"

    def own(self) -> list[Path]:
        """What a training has written here; whatever else stands beside it is not its own."""
        files = (self.run, self.swift, self.log, self.rows("train"), self.rows("val"), self.curves, self.merging)
        return [path for path in (*files, self.final) if path.exists() or path.is_symlink()]

    def newest(self) -> Path | None:
        """The newest checkpoint that is whole: a trainer that is killed while it saves leaves half of one."""
        whole = [folder for folder in self._checkpoints() if _whole(folder)]
        return max(whole, key=step_of, default=None)

    def torn(self) -> list[Path]:
        """Checkpoints that were being written when their trainer was killed."""
        return [folder for folder in self._checkpoints() if not _whole(folder)]

    def _checkpoints(self) -> Iterator[Path]:
        for folder in self.swift.glob("checkpoint-*"):
            if NUMBERED.fullmatch(folder.name) and folder.is_dir():
                yield folder


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True
