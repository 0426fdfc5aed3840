"""How much memory the photos that are being decoded may take together, over all threads.

    thread 1   reserve 2.4 GB ──── decode, scale down ──── give back
    thread 2   reserve 0.03 GB ─ … ─ give back
    thread 3   reserve 2.4 GB …… waits …………………………………… decode

The limit is half of the memory that was available at the first photo. Threads get their memory in the order in which
they ask. A photo that is larger than the limit is decoded alone, and refused if even then it does not fit.
"""

import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import _imaging

from yanshou.errors import PhotoError
from yanshou.inputs import jpeg, jpeg_structure, png
from yanshou.inputs.limits import check_size

GB = 10**9
SHARE = 0.5  # of the available memory

# Measured: Pillow's picture, its copy in RGB, its upright copy, and what scaling down takes, of which some overlap.
BYTES_PER_PIXEL = 16
FILE_COPIES = 3  # of the file's content, that a decoder holds at a time

# Pillow stores a picture in blocks. Blocks above 32 MiB go back to the machine as soon as they are freed. Smaller ones
# would stay with the thread that freed them: six threads kept six photos, one after the other.
PICTURE_BLOCK = 64 * 2**20  # bytes

MEMINFO, OWN_GROUPS, GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# Control groups of version 2 and of version 1, by their controllers: names of the limit, of the usage, and in
# memory.stat of what can be dropped.
GROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


class DecodingMemory:
    """The memory that all photos in work share."""

    def __init__(self, available: Callable[[], int | None]) -> None:
        self._available = available
        self._limit: int | None = None  # bytes; unknown before the first photo
        self._used = 0
        self._waiting: deque[object] = deque()  # in the order in which they asked
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, needed: int) -> Iterator[None]:
        """Waits until the photo fits beside the others. Raises PhotoError if it does not even fit alone."""
        with self._changed:
            self._wait(needed)
            self._used += needed
        try:
            yield
        finally:
            with self._changed:
                self._used -= needed
                self._changed.notify_all()

    def _wait(self, needed: int) -> None:
        ticket = object()
        self._waiting.append(ticket)
        try:
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(needed))
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()

    def _fits(self, needed: int) -> bool:
        if self._limit is None:
            self._limit = _share(self._available())
        if self._used + needed <= self._limit:
            return True
        if self._used:
            return False
        available = self._available()
        if available is not None and needed > available:
            cause = f"decoding it takes {needed / GB:.1f} GB of memory, and {available / GB:.1f} GB are free"
            raise PhotoError(cause, "Scale it down or give the run more memory, then run again.")
        return True


def decoding_bytes(head: bytes, file_bytes: int) -> int:
    """What a photo takes at most until it is scaled down. Raises PhotoError for a photo of too many pixels."""
    size = None
    if head.startswith(png.MAGIC):
        size = png.size(head)
    elif head.startswith(jpeg.MAGIC) and (frame := jpeg_structure.frame(head)):
        size = frame.width, frame.height
    width, height = size or (0, 0)
    check_size(width, height)
    return FILE_COPIES * file_bytes + BYTES_PER_PIXEL * width * height


def available_bytes() -> int | None:
    """Memory that this process may still take, by the machine and by its container; None where nothing tells it."""
    return min((*_machine(), *_containers()), default=None)


def _share(available: int | None) -> int:
    return sys.maxsize if available is None else int(SHARE * available)


def _machine() -> Iterator[int]:
    try:
        found = re.search(r"MemAvailable: *(\d+) kB", MEMINFO.read_text())
    except OSError:  # not Linux
        return
    if found:
        yield int(found[1]) * 1024


def _containers() -> Iterator[int]:
    """What each control group above this process leaves. Pages of files that can be dropped count as free."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in GROUP_FILES:
            folder, names = GROUPS / controllers / path.lstrip("/"), GROUP_FILES[controllers]
            while folder.is_relative_to(GROUPS / controllers):
                yield from _room(folder, *names)
                folder = folder.parent


def _room(group: Path, limit: str, usage: str, droppable: str) -> Iterator[int]:
    try:
        most, used = int((group / limit).read_text()), int((group / usage).read_text())
        pages = re.search(rf"^{droppable} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # not this container's file, or the word "max"
        return
    yield max(0, most - used + int(pages[1] if pages else 0))


_imaging.set_block_size(PICTURE_BLOCK)
DECODING = DecodingMemory(available_bytes)
