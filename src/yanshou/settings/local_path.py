"""Paths are on this machine: an address of a store or a server is refused as it was typed.

`Path("s3://bucket/photos")` is `s3:/bucket/photos`, so an address is looked for before there is a Path.
"""

import re
from pathlib import Path

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
COLLAPSED = re.compile(
    r"(s3[an]?|oss|cosn?|obs|tos|ks3|gcs|gs|hdfs|wasbs?|abfss?|az|minio|https?|ftps?|sftp|scp|ssh|smb|nfs|file):/(.*)",
    re.DOTALL | re.IGNORECASE,
)


def refuse_address(value: object) -> None:
    """Raises ValueError, with what to do, for an address in place of a path."""
    address = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Path):
        address = COLLAPSED.fullmatch(str(value))
    if address is None:
        return
    if address[1].lower() == "file":
        raise ValueError(f"this is an address. Give the path alone: /{address[2].lstrip('/')}")
    raise ValueError(
        "this is an address, and yanshou reads and writes only files of this machine. Download it or mount it first, "
        "and give the local path"
    )
