"""A checkpoint folder before it is loaded: where it is, what keeps it from loading, and its fingerprint.

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

DEMO = "demo"  # names the checkpoint that is shipped with yanshou
MODEL_TYPE = "qwen3_vl"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
LOADED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt")  # read by loading, and downloaded for a hub id
NUMERIC_KEYS = ("model_max_length", "rescale_factor", "image_mean", "image_std")  # the last two may be lists
MERGE_COMMAND = "swift export --adapters {folder} --merge_lora true --output_dir {folder}-merged"


def locate(checkpoint: str) -> Path:
    """The folder of a checkpoint given as "demo", a path or a hub id, which is downloaded unless it is cached."""
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
        return Path(snapshot_download(checkpoint, allow_patterns=list(LOADED_FILES)))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"checkpoint {checkpoint}: there is no such folder, and it cannot be downloaded as a hub id: {reason} "
            "Check the spelling and the network, or give a folder."
        ) from error


def check(folder: Path) -> None:
    """Raises CheckpointError for the first fault that keeps the folder from loading; the message says what to do."""
    for fault in faults(folder):
        raise CheckpointError(fault)


def faults(folder: Path) -> Iterator[str]:
    """Everything that keeps the folder from loading, as far as it shows without reading the weights."""
    if (folder / "adapter_config.json").exists():
        if not any(folder.glob("model*.safetensors")):
            command = MERGE_COMMAND.format(folder=folder)
            yield f"{folder} is an adapter, not a whole checkpoint; merge it first: {command}"
            return
        yield (
            f"{folder}: adapter_config.json lies beside whole weights; where peft is installed, loading would apply "
            "the adapter a second time. If it is merged already, delete the adapter_* files; otherwise merge it."
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
            yield f"{path}: model_type is {kind!r}, expected {MODEL_TYPE!r}: this is not a dense Qwen3-VL checkpoint."


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


def inherit_permissions(folder: Path) -> None:
    """Lets all who may enter the folder read its files: safetensors writes files that only their owner may read."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            with suppress(OSError):  # a file system without permissions
                path.chmod(mode)


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of all files that loading reads. Equal fingerprints: equal answers."""
    files = sorted({path for pattern in LOADED_FILES for path in folder.glob(pattern) if path.is_file()})
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, files))
    lines = "".join(f"{path.name} {digest}\n" for path, digest in zip(files, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
