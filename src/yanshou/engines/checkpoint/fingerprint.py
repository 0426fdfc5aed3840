"""The fingerprint of a checkpoint: equal fingerprints, equal answers."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from yanshou.engines.checkpoint.reading import reading
from yanshou.engines.checkpoint.weight_files import weight_files

PROCESSOR_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json"),
    *("special_tokens_map.json", "chat_template.jinja", "chat_template.json", "preprocessor_config.json"),
    *("video_preprocessor_config.json", "processor_config.json"),
)
TEXT_FILES = ("*.json", "*.jinja", "*.txt")


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of all files that loading reads. Raises CheckpointError."""
    with reading(folder):
        texts = [path for pattern in TEXT_FILES for path in folder.glob(pattern) if path.is_file()]
    return digest([*texts, *weight_files(folder)])


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files, in the order of their names."""
    ordered = sorted(set(files))
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, ordered))
    lines = "".join(f"{path.name} {digest}\n" for path, digest in zip(ordered, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest(path: Path) -> str:
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
