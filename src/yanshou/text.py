"""Text as messages show it: shortened, printable, quoted; and which characters cannot be seen."""

import re
import unicodedata

SPECIAL_TOKEN = re.compile(r"<\|[^<>|\s]+\|>")  # <|im_end|>, <|endoftext|>, <|vision_start|>
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode: control, zero width and byte-order mark, spaces


def excerpt(value: object, longest: int = 60) -> str:
    """The value as an error message shows it: quoted, not longer than `longest` characters."""
    return truncate(repr(value), longest)


def truncate(text: str, longest: int = 60) -> str:
    """The text as an error message shows it where no quotes are wanted: one line that leaves the terminal alone."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short if short.isprintable() else repr(short)[1:-1]


def escape_surrogates(text: str) -> str:
    """Lone surrogates (names that are not UTF-8) as escapes: Arrow, tokenizers and pydantic refuse them."""
    return text.encode(errors="backslashreplace").decode()


def trimmed(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and _is_invisible(text[begin]):
        begin += 1
    while begin < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE
