"""A checkpoint folder before any of it is loaded: where it is, whether it can be loaded, and its fingerprint.

4B/ config.json · model-00001-of-00002.safetensors · … · tokenizer.json · preprocessor_config.json · chat_template.jinja
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from pathlib import Path

from yanshou.errors import CheckpointError
from yanshou.text import excerpt

DEMO = "demo"  # the name of the checkpoint that ships with yanshou
MODEL_TYPE = "qwen3_vl"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt")  # what loading reads; also what a hub id downloads
NUMBERS = ("model_max_length", "rescale_factor", "image_mean", "image_std")  # the last two may be lists of numbers
MERGE = "swift export --adapters {folder} --merge_lora true --output_dir {folder}-merged"


def locate(checkpoint: str) -> Path:
    """The folder of a checkpoint: "demo", a folder, or a hub id, which is downloaded unless it is in the cache."""
    if checkpoint == DEMO:
        return Path(str(resources.files("yanshou.world") / "checkpoint"))
    folder = Path(os.path.expanduser(checkpoint))  # noqa: PTH111 - leaves the ~ of an unknown user where it is
    if checkpoint and folder.is_dir():
        return folder.resolve()
    if checkpoint and folder.exists():
        raise CheckpointError(f"checkpoint {checkpoint} is a file. Give the folder that holds config.json.")
    if not HUB_ID.fullmatch(checkpoint) or checkpoint.startswith("."):
        raise CheckpointError(f"checkpoint {checkpoint}: no such folder. Give a folder, a hub id (org/name) or {DEMO}.")
    return _from_hub(checkpoint)


def _from_hub(checkpoint: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(checkpoint, allow_patterns=list(WANTED)))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"checkpoint {checkpoint}: no such folder here, and as a hub id it cannot be had: {reason} "
            "Check the spelling and the network, or give a folder."
        ) from error


def check(folder: Path) -> None:
    """Raises CheckpointError, with what to do, for the first thing that keeps the folder from loading."""
    for fault in faults(folder):
        raise CheckpointError(fault)


def faults(folder: Path) -> Iterator[str]:
    """Everything that keeps the folder from loading, as far as its files tell without reading the weights."""
    if (folder / "adapter_config.json").exists():
        if not any(folder.glob("model*.safetensors")):
            yield f"{folder} is an adapter, not a whole checkpoint; merge it first: {MERGE.format(folder=folder)}"
            return
        yield (
            f"{folder}: adapter_config.json stands beside whole weights, and would be applied to them once more where "
            "peft is installed. If it is merged into them, delete the adapter_* files; else merge it."
        )
    yield from _config_faults(folder / "config.json")
    yield from _weight_faults(folder)
    if not (folder / "tokenizer.json").exists() and not (folder / "vocab.json").exists():
        yield f"{folder}: tokenizer.json is missing. Copy it from the checkpoint it was trained from."
    if not any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json")):
        yield f"{folder}: preprocessor_config.json is missing. Copy it from the checkpoint it was trained from."
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        yield from _number_faults(folder / name)


def _config_faults(path: Path) -> Iterator[str]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config.get("model_type") if isinstance(config, dict) else None
    except FileNotFoundError:
        yield f"{path.parent}: config.json is missing. Give the folder that holds it."
    except (OSError, ValueError, RecursionError) as error:
        yield f"{path}: cannot be read as JSON ({error}). Copy the checkpoint again."
    else:
        if kind != MODEL_TYPE:
            yield f"{path}: model_type is {kind!r}, wanted {MODEL_TYPE!r}: this is not a dense Qwen3-VL checkpoint."


def _number_faults(path: Path) -> Iterator[str]:
    """What loading takes as it is, and the first photo fails with. What cannot be read is for loading to tell."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    parts = [config, config.get("image_processor")] if isinstance(config, dict) else []
    for part in parts:
        if isinstance(part, dict):
            for key in NUMBERS:
                value = part.get(key)
                values = value if isinstance(value, list) and key.startswith("image_") else [value]
                if not all(isinstance(one, int | float | None) for one in values):
                    yield f"{path}: {key} is {excerpt(value)}, no number. Copy the file from the base checkpoint."


def _weight_faults(folder: Path) -> Iterator[str]:
    shards = {path.name for path in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            wanted = set(map(Path, json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield f"{index}: not a weight index ({error!r}). Copy the checkpoint again."
            return
        if missing := sorted({str(name) for name in wanted} - shards):
            yield f"{folder}: {len(missing)} of {len(wanted)} weight files are missing, first {missing[0]}. Copy them."
    elif "model.safetensors" not in shards:
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        advice = "it has pickled weights only; save it with safe_serialization" if pickled else "copy model.safetensors"
        yield f"{folder}: no safetensors weights: {advice}."


def share(folder: Path) -> None:
    """safetensors writes files that only their owner may read; these are read by whom the folder lets in."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            with suppress(OSError):  # a file system that knows no modes
                path.chmod(mode)


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of all that loading reads: two folders with the same one answer the same."""
    files = sorted({path for pattern in WANTED for path in folder.glob(pattern) if path.is_file()})
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, files))
    lines = "".join(f"{path.name} {digest}\n" for path, digest in zip(files, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
