"""A training's checkpoint → a folder that `--checkpoint` takes: whole weights, tokenizer, processor.

swift/checkpoint-150 (adapter) ── swift export --merge_lora ── .final.tmp ── checked ── final
swift/checkpoint-150 (whole)   ── copied ───────────────────── .final.tmp ── checked ── final
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from yanshou.engines import checkpoint
from yanshou.storage.atomic import write_error
from yanshou.train.command import merge_words
from yanshou.train.folder import TrainFolder

TRAINERS_OWN = ("args.json", "trainer_state.json", "additional_config.json")  # paths of this machine; no model reads it


def merge(trained: Path, source: Path, folder: TrainFolder, swift: Callable[[list[str]], bool]) -> Path | None:
    """Makes `final` from a checkpoint that was trained from `source`. None where it was interrupted.

    `swift` runs swift with the words it is given, and says whether it came to its end. Raises CheckpointError where
    the result would not load, OutputError where it cannot be written.
    """
    draft = folder.merging
    try:
        shutil.rmtree(draft, ignore_errors=True)
        if not (trained / "adapter_config.json").exists():
            _copy(trained, draft)
        elif not swift(merge_words(trained, draft)):
            return None
        _complete(draft, source)
        checkpoint.inherit_permissions(draft)
        checkpoint.check(draft)
        draft.replace(folder.final)
    except OSError as error:
        raise write_error(folder.final, error) from error
    return folder.final


def _copy(trained: Path, draft: Path) -> None:
    draft.mkdir(parents=True)
    for path in {path for pattern in checkpoint.LOADED_FILES for path in trained.glob(pattern)}:
        shutil.copy2(path, draft)


def _complete(draft: Path, source: Path) -> None:
    """Drops what only the trainer reads, and adds what reading text and photos needs where a trainer left it out."""
    for name in TRAINERS_OWN:
        (draft / name).unlink(missing_ok=True)
    for pattern in ("*.json", "*.jinja", "*.txt"):
        for path in source.glob(pattern):
            if not (draft / path.name).exists() and not path.name.endswith(".index.json"):
                shutil.copy2(path, draft)
