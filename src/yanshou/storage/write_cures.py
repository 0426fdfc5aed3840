"""What to do about a file that cannot be written, by the operating system's error number."""

import errno
import os
from pathlib import Path

AGAIN = "then run again: what is already written is kept."
ELSEWHERE = "choose another folder, "
ON_ANOTHER = "Choose a folder on another file system, "

FOREIGN = f"The account that runs this may not write there. Change the owner or the permissions, or {ELSEWHERE}"
FAULTY = f"The disk or its network reports a fault (see dmesg). {ON_ANOTHER}"
NO_SERVER = "The file system lost its server or was unmounted. Mount it again, "
UNSUPPORTED = f"This file system cannot do that; object storage and some network mounts cannot. {ON_ANOTHER}"
TOO_MANY_OPEN = "Raise the limit (ulimit -n), "
IN_USE = "Another program uses it. Close that, "

CURES = {
    errno.EACCES: FOREIGN,
    errno.EPERM: f"The account may not write there, or the file is protected (see lsattr). Lift that, or {ELSEWHERE}",
    errno.EROFS: f"The file system is mounted read-only, perhaps after a fault (see dmesg). {ON_ANOTHER}",
    errno.EIO: FAULTY,
    errno.ENXIO: FAULTY,
    errno.ENODEV: FAULTY,
    errno.EFBIG: f"The file system or ulimit -f allows no larger file. Raise the limit or {ELSEWHERE}",
    errno.ENAMETOOLONG: "The name or the path is too long. Choose a folder with a shorter path, ",
    errno.EMFILE: TOO_MANY_OPEN,
    errno.ENFILE: TOO_MANY_OPEN,
    errno.ELOOP: "It is a symbolic link where none may be, or its links lead in a circle. Remove the link, ",
    errno.ENOTDIR: f"A part of the path is a file. Give the path of a folder or {ELSEWHERE}",
    errno.EEXIST: f"A file has the folder's name. Move it away or {ELSEWHERE}",
    errno.EISDIR: f"A folder has the file's name. Move it away or {ELSEWHERE}",
    errno.ENOENT: f"Its folder is missing. Make it or {ELSEWHERE}",
    errno.EBUSY: IN_USE,
    errno.ETXTBSY: IN_USE,
    errno.ESTALE: NO_SERVER,
    errno.ENOTCONN: NO_SERVER,
    errno.EHOSTDOWN: NO_SERVER,
    errno.EHOSTUNREACH: NO_SERVER,
    errno.ECONNRESET: NO_SERVER,
    errno.ECONNABORTED: NO_SERVER,
    errno.ETIMEDOUT: NO_SERVER,
    errno.EINVAL: f"The file system refuses the call or the name (some take no : ? * in names). {ON_ANOTHER}",
    errno.EILSEQ: f"The file system takes no such name. {ON_ANOTHER}",
    errno.ENOSYS: UNSUPPORTED,
    errno.EOPNOTSUPP: UNSUPPORTED,
    errno.ENOLCK: f"The file system has no locks to give. {ON_ANOTHER}",
}


def cure(path: Path, error: OSError) -> str:
    """One or two sentences that say what to do about the error, which `path` met."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _make_room(path, error) + AGAIN
    return CURES.get(error.errno or 0, "Check the disk and the path, ") + AGAIN


def _make_room(path: Path, error: OSError) -> str:
    if error.errno == errno.EDQUOT:
        return "Your quota there is used up. Make room or choose another folder, "
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return "Make room or choose another folder, "
    if disk.f_files and not disk.f_favail:
        return "The disk takes no further files (df -i). Delete some or choose another folder, "
    free = disk.f_bavail * disk.f_frsize / 2**30
    return f"{free:.1f} GiB are free there. Make room or choose another folder, "
