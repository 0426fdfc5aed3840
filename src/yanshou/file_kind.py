"""What the bytes of a file are where they are no text in UTF-8: another encoding, an archive, a workbook.

GBK of an editor on Windows · UTF-16 of PowerShell · gzip · xlsx      ──►   a name, and what turns them back
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

MAX_LINES = 1_000  # lines that are decoded to tell an encoding

DECODE = "convert it back with iconv -f {0} -t UTF-8"
UNPACK = "unpack it with {0}"
OTHER_FILE = "give the text file itself"

SIGNATURES = {  # the first bytes → what the file is, what to do
    b"\x1f\x8b": ("gzip data", UNPACK.format("gunzip")),
    b"BZh": ("bzip2 data", UNPACK.format("bunzip2")),
    b"\xfd7zXZ\0": ("xz data", UNPACK.format("unxz")),
    b"\x28\xb5\x2f\xfd": ("zstd data", UNPACK.format("unzstd")),
    b"\x04\x22\x4d\x18": ("lz4 data", UNPACK.format("unlz4")),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK.format("7z x")),
    b"Rar!": ("a RAR archive", UNPACK.format("unrar x")),
    b"PK\x03\x04": ("a zip archive or a workbook of Excel", UNPACK.format("unzip, or restore the text")),
    b"\xd0\xcf\x11\xe0": ("an old workbook of Excel or another Office document", OTHER_FILE),
    b"PAR1": ("a Parquet file", OTHER_FILE),
    b"ARROW1": ("an Arrow file", OTHER_FILE),
    b"SQLite format 3\0": ("an SQLite database", OTHER_FILE),
    b"%PDF-": ("a PDF document", OTHER_FILE),
    b"\x80\x04\x95": ("a pickle of Python", OTHER_FILE),
    b"\x80\x05\x95": ("a pickle of Python", OTHER_FILE),
    b"\xff\xd8\xff": ("a JPEG photo", OTHER_FILE),
    b"\x89PNG": ("a PNG picture", OTHER_FILE),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file with git lfs pull"),
}
ENCODED = {  # the first bytes → the encoding
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"{\0\0\0": "UTF-32LE",
    b"\0\0\0{": "UTF-32BE",
}
CHINESE = ("GBK", "GB18030")  # in this order: GB18030 holds GBK and would name it


class FileKind(NamedTuple):
    """What a file is, and what makes it again what it should be."""

    what: str
    cure: str


def find_kind(head: bytes, *, whole: bool = True) -> FileKind | None:
    """What the bytes are; None for text in UTF-8, and for text with a few foreign bytes.

    `whole`: the bytes are the whole file, not only its beginning.
    """
    return _binary(head) or _encoding(head, whole)


def _binary(head: bytes) -> FileKind | None:
    if head and not head.strip(b"\0"):
        return FileKind("zeros, as a power cut or a full disk leaves them", "start that run over")
    for signature, (what, cure) in SIGNATURES.items():
        if head.startswith(signature):
            return FileKind(what, cure)
    return None


def _encoding(head: bytes, whole: bool) -> FileKind | None:
    if head.startswith(codecs.BOM_UTF8):
        return FileKind("UTF-8 with a byte-order mark", "save it as UTF-8 without one (sed -i '1s/^\\xEF\\xBB\\xBF//')")
    for signature, encoding in ENCODED.items():
        if head.startswith(signature):
            return FileKind(f"{encoding}, not UTF-8", DECODE.format(encoding))
    if encoding := _wide(head[:4096]):
        return FileKind(f"{encoding}, not UTF-8", DECODE.format(encoding))
    foreign = [line for line in _whole_lines(head, whole) if not line.isascii()]
    for encoding in CHINESE if foreign else ():
        if all(_is(line, encoding) and not _is(line, "utf-8") for line in foreign):
            return FileKind(f"{encoding}, not UTF-8", DECODE.format(encoding))
    return None


def _wide(head: bytes) -> str:
    """UTF-16 without a mark, which shows in the zeros of its ASCII characters; "" for anything else."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    most, least = max(even, odd), min(even, odd)
    if most <= len(head) / 20 or least > most / 4:  # a few at the other place: 一 is U+4E00
        return ""
    return "UTF-16LE" if odd > even else "UTF-16BE"


def _whole_lines(head: bytes, whole: bool) -> Iterator[bytes]:
    """The first lines. A last one that `head` may cut in the middle of a character is left out."""
    lines = head.splitlines()[:MAX_LINES]
    yield from lines if whole or len(lines) == 1 else lines[:-1]


def _is(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
