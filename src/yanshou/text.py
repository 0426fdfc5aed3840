"""Text for messages: shortened, printable, quoted. And which characters are invisible."""

import re
import unicodedata

SPECIAL_TOKEN = re.compile(r"<\|[^<>|\s]+\|>")  # <|im_end|>, <|endoftext|>, <|vision_start|>
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode categories: control, format (zero width, byte-order mark), spaces


def excerpt(value: object, longest: int = 60) -> str:
    """The value as an error message shows it: quoted, not longer than `longest` characters."""
    return truncate(repr(value), longest)


def truncate(text: str, longest: int = 60) -> str:
    """The text as an error message shows it without quotes: one line, shortened, without control characters."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short if short.isprintable() else repr(short)[1:-1]


def escape_surrogates(text: str) -> str:
    """Escapes lone surrogates (of names that are not UTF-8), which Arrow, tokenizers and pydantic refuse."""
    return text.encode(errors="backslashreplace").decode()


def trimmed(text: str) -> str:
    """The text without invisible characters at both ends."""
    begin, end = 0, len(text)
    while begin < end and _is_invisible(text[begin]):
        begin += 1
    while begin < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE
