"""Whether a file is on a network drive, by the kernel's list of mounts.

SQLite's write-ahead log is memory that the processes of one machine share. Over a network file system two machines
would each have their own, and answers would be lost: https://sqlite.org/wal.html.
"""

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # missing on other systems than Linux: nothing is known there

NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs", "wekafs",
}  # fmt: skip
LOCAL_FUSE = {
    "fuse.bindfs", "fuse.encfs", "fuse.exfat", "fuse.ext2", "fuse.gocryptfs", "fuse.mergerfs", "fuse.ntfs-3g",
    "fuse.unionfs", "fuse.unionfs-fuse", "fuse.fuse-overlayfs",
}  # fmt: skip
OCTAL = re.compile(r"\\([0-7]{3})")  # how the kernel writes spaces of a path


def network_drive(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the network file system that holds the path: `nfs4`. None: a local one, or unknown."""
    try:
        text = mounts.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    kind = _kind(path.resolve(), text.splitlines())
    return kind if kind in NETWORK or (kind.startswith("fuse.") and kind not in LOCAL_FUSE) else None


def _kind(path: Path, lines: list[str]) -> str:
    """The type of the deepest mount above the path; of two at one place the later one covers the earlier."""
    deepest, kind = -1, ""
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = Path(OCTAL.sub(lambda match: chr(int(match[1], 8)), mount.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, kind = len(point.parts), source.split()[0]
    return kind
