"""What one host has and sees: versions, a checkpoint, a folder of photos. Plain Python; `hosts.py` runs it on each."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yanshou.engines.checkpoint import find
from yanshou.engines.workers.worker import versions
from yanshou.errors import YanshouError
from yanshou.inputs.listing import is_hidden, is_photo_name, natural_key

MAX_DEPTH = 6  # of a photo below the input folder


@dataclass(frozen=True, slots=True)
class HostView:
    """A host as a worker on it would find it."""

    host: str
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # of checkpoint, adapter; {} where there is a fault
    first_photo: str = ""  # its path and size; "" where none was asked for, or there is a fault
    faults: tuple[str, ...] = ()  # each with its cure


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a cluster: what Ray says about it, and what a worker there would find."""

    address: str
    cpus: int
    gpus: int
    gpu: str  # its kind, as Ray names it; "" without one
    view: HostView


def view(checkpoint: str | None, base_checkpoint: str | None, input_dir: Path | None) -> HostView:
    """This host. Reads the whole checkpoint for its fingerprint, but loads nothing."""
    faults: list[str] = []
    fingerprints = _fingerprints(checkpoint, base_checkpoint, faults) if checkpoint is not None else {}
    photo = _photo(input_dir, faults) if input_dir is not None else ""
    return HostView(socket.gethostname(), versions(), fingerprints, photo, tuple(faults))


def _fingerprints(checkpoint: str, base_checkpoint: str | None, faults: list[str]) -> dict[str, str]:
    """Those of a checkpoint; {} where it has a fault, which is added."""
    try:
        source = find(checkpoint, base_checkpoint)
        found = list(source.faults())
        faults += found
        return {} if found else source.fingerprints()
    except YanshouError as error:
        faults.append(str(error))
        return {}


def _photo(input_dir: Path, faults: list[str]) -> str:
    """Path and size of the first photo; "" where none can be read, which is added as a fault."""
    try:
        photo = _first_photo(input_dir)
    except OSError as error:
        faults.append(f"{error.filename}: cannot be read ({error.strerror}). Mount the photos there under this path.")
        return ""
    if not photo:
        faults.append(f"{input_dir}: no photo in it. Mount the photos there under this path.")
    return photo


def _first_photo(folder: Path) -> str:
    """Path and size of the first photo; "" where there is none. Raises OSError."""
    for path in _photos(folder, MAX_DEPTH):
        with path.open("rb") as file:
            file.read(1)
        return f"{path.relative_to(folder)}, {path.stat().st_size:,} bytes"
    return ""


def _photos(folder: Path, depth: int) -> Iterator[Path]:
    """The photos of a folder, then those of its sub-folders, in natural order. Raises OSError."""
    inside = sorted((path for path in folder.iterdir() if not is_hidden(path.name)), key=lambda p: natural_key(p.name))
    folders = [path for path in inside if path.is_dir()]
    yield from (path for path in inside if path not in folders and is_photo_name(path.name))
    for path in folders if depth else []:
        yield from _photos(path, depth - 1)
