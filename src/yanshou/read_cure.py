"""What to do about a file or a folder that cannot be read, by the operating system's error number."""

import errno

FORBIDDEN = "The account that runs this may not read it: change the owner or the permissions."
FAULTY = "The disk or its network reports a fault (see dmesg): copy what is readable to another one."
NO_SERVER = "The file system lost its server or was unmounted: mount it again."
TOO_MANY_OPEN = "Raise the limit of open files (ulimit -n)."

CURES = {
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EIO: FAULTY,
    errno.ENXIO: FAULTY,
    errno.ENODEV: FAULTY,
    errno.ESTALE: NO_SERVER,
    errno.ENOTCONN: NO_SERVER,
    errno.EHOSTDOWN: NO_SERVER,
    errno.EHOSTUNREACH: NO_SERVER,
    errno.ETIMEDOUT: NO_SERVER,
    errno.ELOOP: "Its links lead in a circle: remove one.",
    errno.EMFILE: TOO_MANY_OPEN,
    errno.ENFILE: TOO_MANY_OPEN,
}


def read_cure(error: OSError, otherwise: str = "Check the path.") -> str:
    """A sentence that says what to do; `otherwise` where the path itself is the likely cause."""
    return CURES.get(error.errno or 0, otherwise)
