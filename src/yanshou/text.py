"""Text for messages: shortened, printable, quoted. And which characters are invisible.

Names of files and folders, answers of a model, contents of files and messages of libraries come from outside. What
is printed of them goes through `printable`, because a terminal obeys control characters: an escape sequence in a
folder's name writes to the clipboard, moves the cursor, or rewrites lines above it.
"""

import os
import re
from unicodedata import category, normalize

SPECIAL_TOKEN = re.compile(r"<\|[^<>|\s]+\|>")  # <|im_end|>, <|endoftext|>, <|vision_start|>
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode categories: control, format (zero width, byte-order mark), spaces
UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (bidirectional, zero width), surrogates, line breaks


def printable(text: object) -> str:
    r"""The text in one line, with every character that a terminal would obey or hide shown as its escape.

    Escaped are control characters (`\n`, `\x1b`, `\x9b`), bytes that are not UTF-8 in a file's name (`\xb2`), lone
    surrogates, and marks of direction and of zero width (`\u202e`, `\u200b`). All else stays as it is: Chinese, spaces
    of every width, emoji, backslashes. Escaping twice changes nothing.
    """
    text = str(text)
    return text if text.isprintable() else "".join(map(_printable, text))


def excerpt(value: object, longest: int = 60) -> str:
    """The value as an error message shows it: quoted, not longer than `longest` characters."""
    return truncate(repr(value), longest)


def truncate(text: str, longest: int = 60) -> str:
    """The text as an error message shows it without quotes: one line, shortened, without control characters."""
    return printable(text if len(text) <= longest else text[: longest - 1] + "…")


def printable_lines(text: str) -> str:
    """The text with its line breaks (`\\n`) kept, and every line printable."""
    return "\n".join(map(printable, text.split("\n")))


def escape_surrogates(text: str) -> str:
    """Escapes lone surrogates (of names that are not UTF-8), which Arrow, tokenizers and pydantic refuse."""
    return text.encode(errors="backslashreplace").decode()


def as_utf8(name: str) -> str:
    r"""The name in valid UTF-8: bytes that are not UTF-8 (from an unpacked GBK archive) become `\xb2` and the like."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def nfc(name: str) -> str:
    """The name in Unicode NFC, in which names are compared: a Mac stores Ü and が as two characters."""
    return normalize("NFC", name)


def trimmed(text: str) -> str:
    """The text without invisible characters at both ends."""
    begin, end = 0, len(text)
    while begin < end and _is_invisible(text[begin]):
        begin += 1
    while begin < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[begin:end]


def _printable(character: str) -> str:
    if category(character) not in UNPRINTABLE:
        return character
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _is_invisible(character: str) -> bool:
    return category(character) in INVISIBLE
