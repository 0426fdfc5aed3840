"""Faults that concern a whole file: another program rewrote it, in another encoding or another format.

    pandas, PowerShell, Excel, jq, gzip, an editor   ──►   "the whole file is GBK, not UTF-8: convert it back with …"

A reader that fails on the first line asks here first. Deleting that line, or any line, would cure nothing.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEAD = 1_048_576  # bytes of the file that are looked at
MAX_LINES = 1_000  # lines that are decoded to tell an encoding

DECODE = "convert it back with iconv -f {0} -t UTF-8"
LINES = "write one object per line again with jq -c"
UNPACK = "unpack it with {0}"
NOT_LINES = "give the file of lines itself"

SIGNATURES = {  # the first bytes → what the file is, what to do
    b"\x1f\x8b": ("gzip data", UNPACK.format("gunzip")),
    b"BZh": ("bzip2 data", UNPACK.format("bunzip2")),
    b"\xfd7zXZ\0": ("xz data", UNPACK.format("unxz")),
    b"\x28\xb5\x2f\xfd": ("zstd data", UNPACK.format("unzstd")),
    b"\x04\x22\x4d\x18": ("lz4 data", UNPACK.format("unlz4")),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK.format("7z x")),
    b"Rar!": ("a RAR archive", UNPACK.format("unrar x")),
    b"PK\x03\x04": ("a zip archive or a workbook of Excel", UNPACK.format("unzip, or restore the text")),
    b"\xd0\xcf\x11\xe0": ("an old workbook of Excel or another Office document", NOT_LINES),
    b"PAR1": ("a Parquet file", NOT_LINES),
    b"ARROW1": ("an Arrow file", NOT_LINES),
    b"SQLite format 3\0": ("an SQLite database", NOT_LINES),
    b"%PDF-": ("a PDF document", NOT_LINES),
    b"\x80\x04\x95": ("a pickle of Python", NOT_LINES),
    b"\x80\x05\x95": ("a pickle of Python", NOT_LINES),
    b"\xff\xd8\xff": ("a JPEG photo", NOT_LINES),
    b"\x89PNG": ("a PNG picture", NOT_LINES),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file with git lfs pull"),
}
ENCODED = {  # the first bytes → the encoding
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"{\0\0\0": "UTF-32LE",
    b"\0\0\0{": "UTF-32BE",
    b"{\0": "UTF-16LE",
    b"\0{": "UTF-16BE",
    b"[\0": "UTF-16LE",
    b"\0[": "UTF-16BE",
}
CELLS = re.compile(r'["\s]*[,;\t]["\s]*')
CHINESE = ("GBK", "GB18030", "Big5")  # in this order: GB18030 holds GBK and would name it


class Conversion(NamedTuple):
    """What a whole file is, and what makes it a file of lines again."""

    what: str
    cure: str

    def __str__(self) -> str:
        return f"the whole file is {self.what}: {self.cure}, or restore the file as yanshou wrote it"


def find_conversion(path: Path, *, lines: bool = True) -> Conversion | None:
    """What another program made of the file; None where it is text in UTF-8 that only has a fault in a line.

    `lines`: the file should hold one object per line; otherwise one object as a whole. Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    return _binary(head) or _encoding(head) or (_format(head) if lines else None)


def _binary(head: bytes) -> Conversion | None:
    if head and not head.strip(b"\0"):
        return Conversion("zeros, as a power cut or a full disk leaves them", "start that run over")
    for signature, (what, cure) in SIGNATURES.items():
        if head.startswith(signature):
            return Conversion(what, cure)
    return None


def _encoding(head: bytes) -> Conversion | None:
    if head.startswith(codecs.BOM_UTF8):
        return Conversion(
            "UTF-8 with a byte-order mark", "save it as UTF-8 without one (sed -i '1s/^\\xEF\\xBB\\xBF//')"
        )
    for signature, encoding in ENCODED.items():
        if head.startswith(signature):
            return Conversion(f"{encoding}, not UTF-8", DECODE.format(encoding))
    foreign = [line for line in _whole_lines(head) if not line.isascii()]
    for encoding in CHINESE if foreign else ():
        if all(_is(line, encoding) and not _is(line, "utf-8") for line in foreign):
            return Conversion(f"{encoding}, not UTF-8", DECODE.format(encoding))
    return None


def _whole_lines(head: bytes) -> Iterator[bytes]:
    """The first lines. A last one that `head` may cut in the middle of a character is left out."""
    lines = head.splitlines()[:MAX_LINES]
    yield from lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines


def _is(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _format(head: bytes) -> Conversion | None:
    text = head.decode("utf-8", errors="ignore").lstrip()
    first = text.split("\n", 1)[0]
    if text[:1] == "[" and text[1:].lstrip()[:1] == "{":
        return Conversion("one JSON array", f"{LINES} '.[]'")
    if text.startswith("{'"):
        return Conversion("written as Python prints objects, not as JSON", "write it with json.dumps")
    if text[:1] == "<":
        return Conversion("HTML or XML", "give the file of lines itself")
    if "group_id" in CELLS.split(first.strip('"')):
        return Conversion("a table (CSV)", "give the file of lines itself")
    return _object_format(text)


def _object_format(text: str) -> Conversion | None:
    """What is odd about a text that begins with a whole object."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if "\n" in text[:end]:
        return Conversion("JSON with one object over several lines", f"{LINES} .")
    rest = text[end:].split("\n", 1)[0]
    if rest[:1] == "\r" and rest.strip():
        return Conversion("text whose lines end with CR alone", "turn them into line feeds with tr '\\r' '\\n'")
    if rest.strip() and rest.lstrip(" ,;\t\x1e\u2028\u2029\x85\x0b\x0c")[:1] == "{":
        return Conversion("on one line, its line breaks are lost", f"{LINES} .")
    return None
