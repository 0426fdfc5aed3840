"""What keeps a folder from loading, as far as it shows without loading weights."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint.adapter import CONFIG as ADAPTER_CONFIG
from yanshou.engines.checkpoint.adapter import is_adapter, merge_command
from yanshou.engines.checkpoint.architecture import check_architecture, check_expert_names
from yanshou.engines.checkpoint.fingerprint import PROCESSOR_FILES
from yanshou.engines.checkpoint.quantization import check_quantization, fp8_scales
from yanshou.engines.checkpoint.reading import check_syntax, read_json, reading
from yanshou.engines.checkpoint.weight_files import INDEX, WHOLE, read_headers, read_index, weight_files
from yanshou.errors import CheckpointError
from yanshou.text import excerpt

NUMERIC_KEYS = ("model_max_length", "rescale_factor", "image_mean", "image_std")  # the last two may be lists
STEP = re.compile(r"checkpoint-(\d+)")  # the folders that trainers save
SMALL = 1_000_000  # bytes: a tokenizer.json of 11 MB is only read whole where it does not load


def check(folder: Path) -> None:
    """Raises CheckpointError for the first fault that keeps the folder from loading; the message says what to do."""
    if fault := next(faults(folder), None):
        raise CheckpointError(fault)


def faults(folder: Path) -> Iterator[str]:
    """Everything that keeps the folder from loading, as far as it shows without reading the weights."""
    try:
        with reading(folder):
            yield from _faults(folder)
    except CheckpointError as error:
        yield str(error)


def _faults(folder: Path) -> Iterator[str]:
    if is_adapter(folder):
        yield f"{folder} is an adapter, not a whole checkpoint; merge it first: {merge_command(folder)}"
        return
    if (folder / ADAPTER_CONFIG).exists():
        yield (
            f"{folder}: {ADAPTER_CONFIG} lies beside whole weights, so it is unclear whether they are merged. If they "
            "are, delete the adapter_* files; if not, move the adapter to a folder of its own."
        )
    if not (folder / "config.json").exists() and (inside := _checkpoint_inside(folder)):
        yield f"{folder} holds no checkpoint, but {inside} does: give that one."
        return
    found = [*_config_faults(folder), *_weight_faults(folder)]
    yield from found or _caught(fp8_scales, folder)
    yield from processor_faults(folder)


def _config_faults(folder: Path) -> Iterator[str]:
    if not (folder / "config.json").exists():
        yield f"{folder}: config.json is missing. Give the folder that holds it."
    else:
        yield from _caught(_check_config, folder)


def processor_faults(folder: Path, largest: int | None = SMALL) -> Iterator[str]:
    """What keeps tokenizer and image processor from loading. `largest`: the bytes of a file that is read whole."""
    if not any((folder / name).exists() for name in ("tokenizer.json", "vocab.json")):
        yield f"{folder}: tokenizer.json is missing. Copy it from the checkpoint it was trained from."
    if not any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json")):
        yield f"{folder}: preprocessor_config.json is missing. Copy it from the checkpoint it was trained from."
    for name in (*PROCESSOR_FILES, "generation_config.json"):
        if os.path.lexists(folder / name):
            yield from _caught(check_syntax, folder / name, largest)
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        yield from _number_faults(folder / name)


def _checkpoint_inside(folder: Path) -> Path | None:
    """The checkpoint that is meant where a trainer's output folder is given: its result, or the newest saved one."""
    places = ("*", "*/checkpoint-*", "*/final")
    kinds = [f"{place}/{name}" for place in places for name in ("config.json", ADAPTER_CONFIG)]
    found = [path.parent for kind in kinds for path in folder.glob(kind)]
    return max(found, key=_newest, default=None)


def _newest(folder: Path) -> tuple[bool, float, int]:
    """Orders checkpoints: `final` is the last, then those of the run that was written last, by step."""
    step = STEP.fullmatch(folder.name)
    return folder.name == "final", folder.parent.stat().st_mtime, int(step[1]) if step else -1


def is_tied(folder: Path) -> bool:
    """Whether the embeddings are also the output matrix."""
    return bool(read_json(folder / "config.json").get("tie_word_embeddings"))


def _caught(step: Any, *values: Any) -> Iterator[str]:
    try:
        step(*values)
    except CheckpointError as error:
        yield str(error)


def _check_config(folder: Path) -> None:
    config = read_json(folder / "config.json")
    check_architecture(folder, config)
    check_quantization(folder, config)


def _number_faults(path: Path) -> Iterator[str]:
    """Values that load but make the first photo fail. Files that cannot be read are left to loading."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    parts = [config, config.get("image_processor")] if isinstance(config, dict) else []
    for part in parts:
        if isinstance(part, dict):
            for key in NUMERIC_KEYS:
                value = part.get(key)
                values = value if isinstance(value, list) and key.startswith("image_") else [value]
                if not all(isinstance(one, int | float | None) for one in values):
                    yield f"{path}: {key} is {excerpt(value)}, not a number. Copy the file from the base checkpoint."


def _weight_faults(folder: Path) -> Iterator[str]:
    try:
        wanted = weight_files(folder)
    except CheckpointError as error:
        yield str(error)
        return
    missing = [path for path in wanted if not path.exists() and not path.is_symlink()]
    if missing and [path.name for path in wanted] == [WHOLE]:
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        advice = "it has pickled weights only; save it with safe_serialization" if pickled else "copy model.safetensors"
        yield f"{folder}: no safetensors weights: {advice}."
    elif missing:
        yield f"{folder}: {len(missing)} of {len(wanted)} weight files are missing, first {missing[0].name}. Copy them."
    elif unread := _second_set(folder, wanted):
        yield (
            f"{folder}: two sets of weights: {_names(wanted)} would be read, and {_names(unread)} would not. Move the "
            "older set to another folder."
        )
    else:
        yield from _caught(_check_headers, folder, wanted)


def _second_set(folder: Path, read: list[Path]) -> list[Path]:
    """Weight files of another save, which loading would pass over in silence."""
    named = {folder / WHOLE, *folder.glob("model-*-of-*.safetensors")}
    if (folder / INDEX).exists() and read == [folder / WHOLE]:
        named |= {folder / name for name in read_index(folder / INDEX).values()}
    return sorted(path for path in named - set(read) if path.exists())


def _check_headers(folder: Path, files: list[Path]) -> None:
    """The tensors of the files, against the index where one was read."""
    tensors = read_headers(files)
    check_expert_names(folder, tensors)
    if files != [folder / WHOLE] and (folder / INDEX).exists():
        for name, file in read_index(folder / INDEX).items():
            if name not in tensors or tensors[name].file.name != Path(file).name:
                raise CheckpointError(
                    f"{folder / INDEX}: {name} should be in {file}, and it is not: index and files belong to two "
                    "saves. Copy the checkpoint again into an empty folder."
                )


def _names(paths: list[Path]) -> str:
    first, *others = (path.name for path in paths)
    return f"{first} and {len(others)} more" if others else first
