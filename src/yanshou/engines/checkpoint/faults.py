"""What keeps a folder from loading, as far as it shows without loading weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint.architecture import check_architecture, check_expert_names
from yanshou.engines.checkpoint.files import read_json, read_start, reading
from yanshou.engines.checkpoint.quantization import check_quantization, fp8_scales
from yanshou.engines.checkpoint.weight_files import INDEX, WHOLE, read_headers, read_index, weight_files
from yanshou.errors import CheckpointError
from yanshou.text import excerpt

NUMERIC_KEYS = ("model_max_length", "rescale_factor", "image_mean", "image_std")  # the last two may be lists
MERGE_COMMAND = "swift export --adapters {folder} --merge_lora true --output_dir {folder}-merged"


def check(folder: Path) -> None:
    """Raises CheckpointError for the first fault that keeps the folder from loading; the message says what to do."""
    for fault in faults(folder):
        raise CheckpointError(fault)


def faults(folder: Path) -> Iterator[str]:
    """Everything that keeps the folder from loading, as far as it shows without reading the weights."""
    try:
        with reading(folder):
            yield from _faults(folder)
    except CheckpointError as error:
        yield str(error)


def _faults(folder: Path) -> Iterator[str]:
    if (folder / "adapter_config.json").exists():
        if not any(folder.glob("model*.safetensors")):
            command = MERGE_COMMAND.format(folder=folder)
            yield f"{folder} is an adapter, not a whole checkpoint; merge it first: {command}"
            return
        yield (
            f"{folder}: adapter_config.json lies beside whole weights; where peft is installed, loading would apply "
            "the adapter a second time. If it is merged already, delete the adapter_* files; otherwise merge it."
        )
    found = [*_config_faults(folder), *_weight_faults(folder)]
    yield from found or _caught(fp8_scales, folder)
    yield from processor_faults(folder)


def _config_faults(folder: Path) -> Iterator[str]:
    if not (folder / "config.json").exists():
        yield f"{folder}: config.json is missing. Give the folder that holds it."
    else:
        yield from _caught(_check_config, folder)


def processor_faults(folder: Path) -> Iterator[str]:
    """What keeps tokenizer and image processor from loading."""
    yield from _tokenizer_faults(folder)
    if not any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json")):
        yield f"{folder}: preprocessor_config.json is missing. Copy it from the checkpoint it was trained from."
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        yield from _number_faults(folder / name)


def _caught(step: Any, *values: Any) -> Iterator[str]:
    try:
        step(*values)
    except CheckpointError as error:
        yield str(error)


def _check_config(folder: Path) -> None:
    config = read_json(folder / "config.json")
    check_architecture(folder, config)
    check_quantization(folder, config)


def _tokenizer_faults(folder: Path) -> Iterator[str]:
    present = [folder / name for name in ("tokenizer.json", "vocab.json") if (folder / name).exists()]
    if not present:
        yield f"{folder}: tokenizer.json is missing. Copy it from the checkpoint it was trained from."
    for path in present:
        yield from _caught(read_start, path)


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
