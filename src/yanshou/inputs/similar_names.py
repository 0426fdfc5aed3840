r"""Which known name a folder was probably meant to have.

    "BBU接地线检查 "             BBU接地线检查     a blank at the end
    "ＢＢＵ线缆布放_补传"         BBU线缆布放       full-width letters, more words
    "BBU╜╙╡╪╧▀╝∞▓Θ"             BBU接地线检查     GBK of a zip archive, read as another encoding
    "BBU#U63a5#U5730#U7ebf…"     BBU接地线检查     written by unzip in a locale without Chinese
    "RRU接地线检查"              none              other equipment

A guess is for a message only: nothing is read by it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple
from unicodedata import category, normalize
from urllib.parse import unquote

from yanshou.text import INVISIBLE

NEAR = 0.72  # of difflib's ratio; below it lie 挡风板安装检查 and RRU安装检查
SAME_EQUIPMENT = 0.6  # of the ratio of two names' letters; below it lie BBU and RRU
# Chinese archives on a system that expects another encoding: what the bytes were read as, what they are.
MISREADINGS = [
    *((seen, "gb18030") for seen in ("cp437", "cp850", "cp866", "latin-1", "cp1252", "big5", "cp932", "cp949")),
    *((seen, "utf-8") for seen in ("cp437", "latin-1", "cp1252", "mac-roman", "gbk")),
]
BYTES = ("gb18030", "big5")  # of a name that is not UTF-8
ESCAPE = re.compile(r"#U([0-9A-Fa-f]{4})|\\u([0-9A-Fa-f]{4})")
LETTERS = re.compile(r"[a-z]+")


class Guess(NamedTuple):
    """The known name, and whether the folder's name is that one in a wrong encoding."""

    name: str
    garbled: bool


def guess(name: str, known: Iterable[str]) -> Guess | None:
    """The known name that is nearest; None where none is near."""
    forms = {plain(reading): garbled for reading, garbled in reversed(list(readings(name)))}  # as it is comes last
    rated = [
        (nearness, not garbled, other) for other in known for garbled, nearness in _near_forms(forms, plain(other))
    ]
    if not rated:
        return None
    _, as_it_is, other = max(rated)
    return Guess(other, not as_it_is)


def readings(name: str) -> Iterator[tuple[str, bool]]:
    """The name as it is, and as it may have been before somebody read its bytes in a wrong encoding."""
    yield name, False
    if not name.isascii():
        stored = os.fsencode(name)
        yield from ((stored.decode(encoding, "ignore"), True) for encoding in BYTES)
        yield from ((name.encode(seen, "ignore").decode(stored, "ignore"), True) for seen, stored in MISREADINGS)
    unescaped = unquote(ESCAPE.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), name), errors="ignore")
    if unescaped != name:
        yield unescaped, True


def _near_forms(forms: Mapping[str, bool], known: str) -> Iterator[tuple[bool, float]]:
    """The forms of a name that are near the known one: whether they are garbled, and how near, up to 1."""
    matcher = SequenceMatcher(b=known, autojunk=False)
    for form, garbled in forms.items():
        if known in form:
            nearness = 0.9 + 0.1 * len(known) / len(form)
        elif 2 * min(len(form), len(known)) < NEAR * (len(form) + len(known)):  # the most that the ratio can be
            continue
        else:
            matcher.set_seq1(form)
            nearness = matcher.ratio() if matcher.quick_ratio() >= NEAR else 0.0
        if nearness >= NEAR and not _other_equipment(form, known):
            yield garbled, nearness


def _other_equipment(name: str, known: str) -> bool:
    """Whether the letters are others: an RRU is no BBU."""
    letters, known_letters = "".join(LETTERS.findall(name)), "".join(LETTERS.findall(known))
    if not letters or not known_letters or known_letters in letters:
        return False
    return SequenceMatcher(None, letters, known_letters).ratio() < SAME_EQUIPMENT


def plain(name: str) -> str:
    """Without case, width, invisible characters, and a dot at the end."""
    folded = normalize("NFKC", name).casefold()
    if folded.isalnum():
        return folded
    return "".join(character for character in folded if category(character) not in INVISIBLE).rstrip(".")
