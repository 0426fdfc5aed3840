"""Small disks and read-only folders: real file systems, in a process that mounts them for itself alone."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.processes import in_child

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000  # of Linux: own mounts; own users, where this one is not root


def in_own_mounts(work: Callable[[], Any]) -> Any:
    """What `work` returns in a forked process that may mount. Skips the test where no process may."""
    if not may_mount():
        pytest.skip("no process can mount a file system here")
    return in_child(lambda: (_own_mounts(), work())[1])


@cache
def may_mount() -> bool:
    """Whether a process of this machine can mount file systems for itself."""

    def tried() -> bool:
        try:
            _own_mounts()
            mount("-t", "tmpfs", "tmpfs", "/mnt")
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    return bool(in_child(tried))


def small_disk(folder: Path, size: int) -> None:
    """A disk with room for so many bytes, in place of an empty folder."""
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))


def read_only(folder: Path) -> None:
    """Makes the folder read-only, for root, too."""
    mount("--bind", str(folder), str(folder))
    mount("-o", "remount,ro,bind", str(folder))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _own_mounts() -> None:
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    if flags & CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    mount("--make-rprivate", "/")
