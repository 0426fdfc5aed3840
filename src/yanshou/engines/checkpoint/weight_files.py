"""Which weight files of a folder are read, and what their headers say. No weights are loaded.

Chosen as by transformers 5: the file that config.json names as transformers_weights; else model.safetensors, even where
an index lies beside it; else all files that model.safetensors.index.json names.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from yanshou.engines.checkpoint.reading import read_json, read_start, reading, reading_weights
from yanshou.errors import CheckpointError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class TensorHeader(NamedTuple):
    """One tensor as the header of its file describes it."""

    dtype: str  # as safetensors writes it: BF16, F32, F8_E4M3
    shape: tuple[int, ...]
    file: Path


def weight_files(folder: Path) -> list[Path]:
    """The files in which loading looks for weights. They may be missing. Raises CheckpointError where none is named."""
    with reading(folder):
        name = _named_by_config(folder) or WHOLE
        if name == WHOLE and not os.path.lexists(folder / WHOLE) and (folder / INDEX).exists():
            name = INDEX
    if not isinstance(name, str) or not name.endswith((".safetensors", ".safetensors.index.json")):
        raise CheckpointError(f"{folder / 'config.json'}: transformers_weights is {name!r}. Delete that key.")
    names = sorted(set(read_index(folder / name).values())) if name.endswith(".json") else [name]
    return [_inside(folder, name) for name in names]


def read_index(path: Path) -> dict[str, str]:
    """The file of each tensor, by an index. Raises CheckpointError."""
    index = read_json(path)
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{path}: not a weight index: weight_map is missing or odd. Copy the checkpoint again.")
    if not isinstance(index.get("metadata"), dict):
        raise CheckpointError(f'{path}: metadata is missing, and transformers asks for it. Add "metadata": {{}}.')
    return names


def read_headers(files: Sequence[Path]) -> dict[str, TensorHeader]:
    """Every tensor in the files, by name. Raises CheckpointError for a file that cannot be read or is not whole."""
    tensors: dict[str, TensorHeader] = {}
    for path in files:
        for name, tensor in _read_header(path).items():
            if name in tensors:
                raise CheckpointError(
                    f"{path}: {name} is also in {tensors[name].file.name}: the files belong to two saves. Copy the "
                    "checkpoint again into an empty folder."
                )
            tensors[name] = tensor
    return tensors


def _read_header(path: Path) -> dict[str, TensorHeader]:
    read_start(path)
    with reading_weights(path), safe_open(path, "np") as file:  # torch takes seconds to import
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return {name: TensorHeader(one.get_dtype(), (*one.get_shape(),), path) for name, one in slices.items()}


def _named_by_config(folder: Path) -> Any:
    try:
        return read_json(folder / "config.json").get("transformers_weights")
    except CheckpointError:  # a fault of its own
        return None


def _inside(folder: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise CheckpointError(f"{folder}: its index names {name}, outside the folder. Copy the checkpoint again.")
    return folder / name
