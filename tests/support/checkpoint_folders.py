"""Folders that look like a checkpoint to everything that does not load it: small files, a weight of two bytes."""

import json
from pathlib import Path


def weights(*names: str, data: str = "~") -> str:
    """The content of a safetensors file with a weight of two bytes by each name. All ASCII."""
    header = {
        name: {"dtype": "U8", "shape": [2], "data_offsets": [at, at + 2]}
        for name, at in zip(names, range(0, 2 * len(names), 2), strict=True)
    }
    text = json.dumps(header, separators=(",", ":"))
    length = 64 if len(text) <= 64 else 320  # its bytes are ASCII
    return chr(length % 256) + chr(length // 256) + "\0" * 6 + text.ljust(length) + data * 2 * len(names)


INDEX = "model.safetensors.index.json"
WHOLE: dict[str, str] = {
    "config.json": '{"model_type": "qwen3_vl"}',
    "model.safetensors": weights("a"),
    "tokenizer.json": "{}",
    "preprocessor_config.json": "{}",
    "chat_template.jinja": "{{ messages }}",
}


def index(**files: str) -> str:
    """The content of a weight index: the file of each tensor."""
    return json.dumps({"metadata": {}, "weight_map": files})


def folder(path: Path, *without: str, **files: str) -> Path:
    """A folder that would load, without some files and with others (`__` in a name is a dot)."""
    path.mkdir(parents=True)
    for name, content in (WHOLE | {name.replace("__", "."): content for name, content in files.items()}).items():
        if name not in without:
            (path / name).write_text(content)
    return path


def sharded(path: Path, *without: str) -> Path:
    """A folder with its weights in two files, without some of the files."""
    files = {
        INDEX: index(a="m-1.safetensors", b="m-2.safetensors"),
        "m-1.safetensors": weights("a"), "m-2.safetensors": weights("b"),
    }  # fmt: skip
    return folder(path, "model.safetensors", *without, **files)
