"""Reading a checkpoint's files: whatever goes wrong is a CheckpointError that names the file and the cure."""

import errno
import json
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from yanshou.errors import CheckpointError

LFS_POINTER = b"version https://git-lfs"  # how a file begins that was cloned without git-lfs

CAUSES = {
    errno.EIO: "the disk or the network file system cannot read it (EIO). Copy the checkpoint to another disk.",
    errno.ESTALE: "the network file system has lost it (ESTALE). Run the same command again.",
    errno.EISDIR: "this is a folder, not a file. Copy the checkpoint again.",
    errno.ELOOP: "its symbolic links lead in a circle. Copy the checkpoint again.",
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns every error of the file system into a CheckpointError about `path`."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: {_cause(path, error)}") from error


@contextmanager
def reading_weights(path: Path) -> Iterator[None]:
    """`reading` for a file of weights: damage is a CheckpointError, too."""
    try:
        with reading(path):
            yield
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}). Copy it again.") from error


def read_start(path: Path) -> bytes:
    """The first bytes of a file. Raises CheckpointError where it cannot be read, is empty or is a Git LFS pointer."""
    with reading(path), path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise CheckpointError(f"{path}: the file is empty. Copy the checkpoint again.")
    if start.startswith(LFS_POINTER):
        raise CheckpointError(
            f"{path}: this is a Git LFS pointer, not the file itself. Run `git lfs pull` in the repository it was "
            "cloned to, or copy the checkpoint again."
        )
    return start


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError."""
    read_start(path)
    try:
        with reading(path):
            content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error}). Copy the checkpoint again.") from error
    return content if isinstance(content, dict) else {}


def check_syntax(path: Path, largest: int | None = None) -> None:
    """Raises CheckpointError where a .json file is no JSON, or a template no UTF-8; also as `read_start` does.

    `largest`: files of more bytes are not read to their end, which would cost every start some time.
    """
    read_start(path)
    with reading(path):
        if largest is not None and path.stat().st_size > largest:
            return
    if path.suffix == ".json":
        read_json(path)
    elif path.suffix == ".jinja":
        try:
            with reading(path):
                path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(
                f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Copy the checkpoint again."
            ) from error


def _cause(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return f"it links to {path.readlink()}, which is not there. Copy or download the checkpoint again."
        return "there is no such file. Copy the checkpoint again."
    if isinstance(error, PermissionError):
        return _forbidden(path)
    return CAUSES.get(error.errno or 0) or f"it cannot be read ({error.strerror or error}). Copy the checkpoint again."


def _forbidden(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return f"this user may not enter {path.parent} or a folder above it. Make them accessible: chmod a+x"
    rights = "rx" if stat.S_ISDIR(mode) else "r"
    command = f"chmod a+{rights} {shlex.quote(str(path))}"
    return f"this user may not read it ({stat.filemode(mode)}). Make it readable: {command}"
