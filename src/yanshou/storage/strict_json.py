"""One JSON object, read strictly from its bytes, and what is wrong with bytes that are none.

Refused are bytes that are not UTF-8, a byte-order mark, blank bytes, anything but an object, a repeated key in an
object, NaN and infinities.
"""

import codecs
import json
import math
from collections import Counter
from typing import Any, Never

from pydantic_core import from_json

from yanshou.text import excerpt, truncate


def parse(line: bytes) -> dict[str, Any]:
    """The object that the bytes are. Raises ValueError and RecursionError."""
    if not line.strip():
        raise ValueError("blank")
    if line.startswith(codecs.BOM_UTF8):
        raise ValueError("begins with a byte-order mark")
    value = json.loads(
        line.decode("utf-8"),
        object_pairs_hook=_object,
        parse_constant=_no_constant,
        parse_float=_finite,
    )
    if not isinstance(value, dict):
        raise ValueError(f"not an object but {excerpt(value)}")  # noqa: TRY004 - damage like the others
    return value


def is_cut(text: bytes) -> bool:
    """Whether the bytes are the beginning of a JSON value without a mistake, but not a whole one."""
    if not text.strip():
        return False
    try:
        from_json(text)
    except ValueError as error:
        return str(error).startswith("EOF while parsing")
    return False


def describe_parse_error(error: Exception, line: bytes) -> str:
    """What is wrong with the line, of which `parse` raised the error."""
    if not line.endswith(b"\n") and is_cut(line):
        return f"incomplete, because the run that wrote it was killed: {excerpt(_beginning(line))}"
    match error:
        case json.JSONDecodeError():
            near = error.doc[max(error.pos - 15, 0) : error.pos + 15]
            return f"not JSON at character {error.pos + 1}, {error.msg[:1].lower()}{error.msg[1:]}: {excerpt(near)}"
        case UnicodeDecodeError():
            return f"not UTF-8 at byte {error.start + 1}: {excerpt(line[max(error.start - 15, 0) : error.start + 15])}"
        case RecursionError():
            return f"nested too deeply: {excerpt(_beginning(line))}"
        case _:
            return str(error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {truncate(twice)} occurs twice")
    return value


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{truncate(digits)} is too large a number")
    return number


def _beginning(line: bytes) -> str:
    return line[:200].decode("utf-8", errors="replace")
