"""Faults that concern a whole file of lines: another program rewrote it, in another encoding or another format.

    pandas, PowerShell, Excel, jq, gzip, an editor   ──►   "the whole file is GBK, not UTF-8: convert it back with …"

A reader that fails on the first line asks here first. Deleting that line, or any line, would cure nothing.
"""

import json
import re
from pathlib import Path

from yanshou.file_kind import FileKind, find_kind

HEAD = 1_048_576  # bytes of the file that are looked at
LINES = "write one object per line again with jq -c"
CELLS = re.compile(r'["\s]*[,;\t]["\s]*')


def find_conversion(path: Path, *, lines: bool = True) -> str:
    """What another program made of the file and the cure; "" where it is UTF-8 that only has a fault in a line.

    `lines`: the file should hold one object per line; otherwise one object as a whole. Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind = find_kind(head, whole=len(head) < HEAD) or (_format(head) if lines else None)
    return f"the whole file is {kind.what}: {kind.cure}, or restore the file as yanshou wrote it" if kind else ""


def _format(head: bytes) -> FileKind | None:
    text = head.decode("utf-8", errors="ignore").lstrip()
    first = text.split("\n", 1)[0]
    if text[:1] == "[" and text[1:].lstrip()[:1] == "{":
        return FileKind("one JSON array", f"{LINES} '.[]'")
    if text.startswith("{'"):
        return FileKind("written as Python prints objects, not as JSON", "write it with json.dumps")
    if text[:1] == "<":
        return FileKind("HTML or XML", "give the file of lines itself")
    if "group_id" in CELLS.split(first.strip('"')):
        return FileKind("a table (CSV)", "give the file of lines itself")
    return _object_format(text)


def _object_format(text: str) -> FileKind | None:
    """What is odd about a text that begins with a whole object."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if "\n" in text[:end]:
        return FileKind("JSON with one object over several lines", f"{LINES} .")
    rest = text[end:].split("\n", 1)[0]
    if rest[:1] == "\r" and rest.strip():
        return FileKind("text whose lines end with CR alone", "turn them into line feeds with tr '\\r' '\\n'")
    if rest.strip() and rest.lstrip(" ,;\t\x1e\u2028\u2029\x85\x0b\x0c")[:1] == "{":
        return FileKind("on one line, its line breaks are lost", f"{LINES} .")
    return None
