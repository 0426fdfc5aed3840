"""The files in the output folder of a training.

out/ train.run.json     the settings of the training
     start/             where an adapter is trained on: its base with the adapter merged
     swift/             written by ms-swift: checkpoint-50 · checkpoint-100 · logging.jsonl · args.json
     swift.log          ms-swift's output
     .swift_cache/      ms-swift's copies of the rows, while it runs
     sft_train.jsonl    with --sft: the rows with their answers; also sft_val.jsonl
     curves.png         drawn at the end
     damaged-<moment>/  checkpoints of which a file was cut
     final/             the result, which --checkpoint takes; complete or missing, never partial
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from yanshou.engines.checkpoint import read_headers
from yanshou.errors import CheckpointError

STATE = "trainer_state.json"  # the last file that a trainer writes into a checkpoint
NUMBERED = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class TrainFolder:
    """The paths, and the complete checkpoints."""

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
    def start(self) -> Path:
        return self.root / "start"

    @property
    def cache(self) -> Path:
        """ms-swift's copies of the rows, while it runs."""
        return self.root / ".swift_cache"

    @property
    def starting(self) -> Path:
        return self.root / ".start.tmp"

    @property
    def merging(self) -> Path:
        return self.root / ".final.tmp"

    @property
    def final(self) -> Path:
        return self.root / "final"

    def rows(self, name: str) -> Path:
        """`name`: train or val."""
        return self.root / f"sft_{name}.jsonl"

    def written(self) -> list[Path]:
        """What a training has written here. Anything else in the folder belongs to the user."""
        files = (self.run, self.swift, self.log, self.rows("train"), self.rows("val"), self.curves)
        folders = (self.cache, self.start, self.starting, self.merging, self.final)
        return [path for path in (*files, *folders) if path.exists() or path.is_symlink()]

    def begun(self) -> bool:
        """Whether a resume would build on what is here. Before its first step a training has made nothing."""
        return any(path.exists() for path in (self.logging, self.start, self.final)) or any(self._checkpoints())

    def newest(self) -> Path | None:
        """The newest complete checkpoint. A trainer that is killed while it saves leaves an incomplete one."""
        whole = [folder for folder in self._checkpoints() if _complete(folder) and not _damaged(folder)]
        return max(whole, key=step_of, default=None)

    def incomplete(self) -> list[Path]:
        """The checkpoints that their trainer was writing when it was killed."""
        return [folder for folder in self._checkpoints() if not _complete(folder)]

    def damaged(self) -> dict[Path, Path]:
        """The checkpoints of which a power failure or a copy has cut a file; by checkpoint, the file."""
        return {folder: file for folder in self._checkpoints() if _complete(folder) and (file := _damaged(folder))}

    def _checkpoints(self) -> Iterator[Path]:
        for folder in self.swift.glob("checkpoint-*"):
            if NUMBERED.fullmatch(folder.name) and folder.is_dir():
                yield folder


def step_of(checkpoint: Path) -> int:
    """The step of `checkpoint-150`."""
    return int(checkpoint.name.rpartition("-")[2])


def _complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _damaged(checkpoint: Path) -> Path | None:
    """A file of the checkpoint that is not whole. One that may not be read is left to the trainer, which says so."""
    kinds = {".safetensors": _has_header, ".pt": zipfile.is_zipfile, ".pth": zipfile.is_zipfile}
    files = [path for path in sorted(checkpoint.iterdir()) if path.suffix in kinds and os.access(path, os.R_OK)]
    return next((path for path in files if not kinds[path.suffix](path)), None)


def _has_header(weights: Path) -> bool:
    """Whether the header is there, and the file as long as it says."""
    try:
        read_headers([weights])
    except CheckpointError:
        return False
    return True
