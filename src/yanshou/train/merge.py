"""Folders of whole weights: the one that a training starts from, and its result, which `--checkpoint` takes.

adapter and its base                 ── merged by peft ────────────── .start.tmp ──────────── start
swift/checkpoint-150 (adapter)       ── swift export --merge_lora ── .final.tmp ── checked ── final
swift/checkpoint-150 (all weights)   ── copied ───────────────────── .final.tmp ── checked ── final
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from yanshou.engines import checkpoint
from yanshou.engines.checkpoint import Source
from yanshou.stage_b.training_groups import NAME, TrainingGroups
from yanshou.storage.atomic import write_errors
from yanshou.storage.jsonl import dump_line
from yanshou.train.command import merge_args
from yanshou.train.folder import TrainFolder

TRAINER_FILES = ("args.json", "trainer_state.json", "additional_config.json")  # with paths of this machine; not read


def merge(
    trained: Path,
    source: Path,
    folder: TrainFolder,
    swift: Callable[[list[str]], bool],
    groups_of: Callable[[str], TrainingGroups],
) -> Path | None:
    """Makes `final` from a checkpoint that was trained from `source`. None where it was interrupted.

    `swift` runs swift with the arguments it is given; False where it was interrupted. `groups_of`: what the checkpoint
    with this fingerprint was trained on. Raises CheckpointError where the
    result would not load, OutputError where it cannot be written.
    """
    draft = folder.merging
    with write_errors(folder.final):
        shutil.rmtree(draft, ignore_errors=True)
        if not (trained / "adapter_config.json").exists():
            _copy(trained, draft)
        elif not swift(merge_args(trained, source, draft)):
            return None
        _complete(draft, source)
        checkpoint.check(draft)
        (draft / NAME).write_bytes(dump_line(groups_of(checkpoint.fingerprint(draft))))
        checkpoint.inherit_permissions(draft)
        draft.replace(folder.final)
    return folder.final


def merge_start(source: Source, folder: TrainFolder) -> None:
    """Makes `start`, unless it is there. Raises CheckpointError, and OutputError where it cannot be written."""
    if folder.start.exists():
        return
    from yanshou.engines.loading import save_merged
    from yanshou.engines.saving import save_errors

    with save_errors(folder.start):
        shutil.rmtree(folder.starting, ignore_errors=True)
        save_merged(source, folder.starting)
        folder.starting.replace(folder.start)


def _copy(trained: Path, draft: Path) -> None:
    draft.mkdir(parents=True)
    for path in {path for pattern in checkpoint.LOADED_FILES for path in trained.glob(pattern)}:
        shutil.copy2(path, draft)


def _complete(draft: Path, source: Path) -> None:
    """Deletes the files that only the trainer reads, and copies from `source` what the trainer left out."""
    for name in TRAINER_FILES:
        (draft / name).unlink(missing_ok=True)
    for pattern in ("*.json", "*.jinja", "*.txt"):
        for path in source.glob(pattern):
            if not (draft / path.name).exists() and not path.name.endswith(".index.json"):
                shutil.copy2(path, draft)
