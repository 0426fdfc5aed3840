"""Where a checkpoint is: the folder of a name, a path or a hub id."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from yanshou.engines.checkpoint.reading import reading
from yanshou.errors import CheckpointError

DEMO = "demo"  # names the checkpoint that is shipped with yanshou
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
LOADED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt")  # read by loading, and downloaded for a hub id


def locate(checkpoint: str, weights: bool = True) -> Path:
    """The folder of a checkpoint given as "demo", a path or a hub id, which is downloaded unless it is cached.

    `weights`: whether a download includes them.
    """
    if checkpoint == DEMO:
        return Path(str(resources.files("yanshou.world") / "checkpoint"))
    folder = Path(os.path.expanduser(checkpoint))  # noqa: PTH111 - leaves the ~ of an unknown user where it is
    with reading(folder):
        is_folder, exists = folder.is_dir(), folder.exists()
    if checkpoint and is_folder:
        return folder.resolve()
    if checkpoint and exists:
        raise CheckpointError(f"checkpoint {checkpoint} is a file. Give the folder that holds config.json.")
    if not HUB_ID.fullmatch(checkpoint) or checkpoint.startswith("."):
        raise CheckpointError(f"checkpoint {checkpoint}: no such folder. Give a folder, a hub id (org/name) or {DEMO}.")
    return _from_hub(checkpoint, LOADED_FILES if weights else LOADED_FILES[1:])


def _from_hub(checkpoint: str, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(checkpoint, allow_patterns=list(files)))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"checkpoint {checkpoint}: there is no such folder, and it cannot be downloaded as a hub id: {reason} "
            "Check the spelling and the network, or give a folder."
        ) from error


def inherit_permissions(folder: Path) -> None:
    """Lets all who may enter the folder read its files: safetensors writes files that only their owner may read."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            with suppress(OSError):  # a file system without permissions
                path.chmod(mode)
