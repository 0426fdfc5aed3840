"""Mutations of files: what disks, editors, converters and people do to them. Each is a function of bytes and a seed.

Byte mutations fit every file. Line mutations fit files of lines. Value mutations fit JSON: they change one value of one
line, and leave all else as it was.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

CONTROLS = [b"\0", b"\x1b[2J", b"\x07", "\u202e".encode(), b"\x85", b"\x1a"]
CODECS = ["gbk", "utf-16", "utf-8-sig", "utf-32", "big5hkscs"]
HUGE = ["1e999", "9" * 400, "-1e-999", "1" + "0" * 5000, "NaN", "Infinity", "-0.0", "0x10", "1_000"]
STRANGE: list[Any] = [None, True, 0, -1, 1.5, "", "\0", "x" * 5000, [], {}, [[]], {"": {}}, "通过", "\ud800", 2**64]
DEEP = 3000  # levels: more than a recursive parser follows


def truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))]


def flip_bit(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def swap_bytes(data: bytes, rng: Random) -> bytes:
    first, second = sorted(rng.sample(range(len(data)), 2))
    one, other = data[first : first + 1], data[second : second + 1]
    return data[:first] + other + data[first + 1 : second] + one + data[second + 1 :]


def zero_block(data: bytes, rng: Random) -> bytes:
    """What a crash leaves of a block that was never written."""
    place, length = rng.randrange(len(data)), rng.randint(1, 512)
    return data[:place] + bytes(len(data[place : place + length])) + data[place + length :]


def cut_out(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randint(1, 200) :]


def insert_control(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(CONTROLS) + data[place:]


def insert_bom(data: bytes, rng: Random) -> bytes:
    return b"\xef\xbb\xbf" + data


def crlf(data: bytes, rng: Random) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n"]))


def empty(data: bytes, rng: Random) -> bytes:
    return rng.choice([b"", b"\n", b" ", b"\0", b"null\n", b"{}\n", b"[]\n"])


def other_encoding(data: bytes, rng: Random) -> bytes:
    return data.decode("utf-8").encode(rng.choice(CODECS), errors="replace")


def append_garbage(data: bytes, rng: Random) -> bytes:
    return data + rng.choice([b"}", b"x", b"\0" * 100, b"{", rng.randbytes(20), b"{}\n", b"\n"])


def duplicate_line(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def drop_line_break(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place] = lines[place].rstrip(b"\n")
    return b"".join(lines)


def tear_line(data: bytes, rng: Random) -> bytes:
    """Half of a line, and the whole lines behind it."""
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place] = lines[place][: rng.randrange(len(lines[place]))]
    return b"".join(lines)


def delete_key(data: bytes, rng: Random) -> bytes:
    def delete(holder: Any, key: Any) -> None:
        del holder[key]

    return _in_one_value(data, rng, delete)


def rename_key(data: bytes, rng: Random) -> bytes:
    def rename(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[rng.choice([f"{key} ", str(key).upper() + "_", "", "键"])] = holder.pop(key)
        else:
            holder.reverse()

    return _in_one_value(data, rng, rename)


def change_type(data: bytes, rng: Random) -> bytes:
    def change(holder: Any, key: Any) -> None:
        holder[key] = rng.choice(STRANGE)

    return _in_one_value(data, rng, change)


def nest(data: bytes, rng: Random) -> bytes:
    def wrap(holder: Any, key: Any) -> None:
        holder[key] = rng.choice([[holder[key]], {"": holder[key]}, {str(key): holder[key]}])

    if rng.random() < 0.3:
        return _with_text(data, rng, "[" * DEEP + "]" * DEEP)
    return _in_one_value(data, rng, wrap)


def huge_number(data: bytes, rng: Random) -> bytes:
    return _with_text(data, rng, rng.choice(HUGE))


def repeat_key(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True) if _is_lines(data) else [data]
    place = rng.randrange(len(lines))
    value = json.loads(lines[place])
    if not isinstance(value, dict) or not value:
        return data
    key = rng.choice(list(value))
    again = f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(rng.choice(STRANGE))}"
    lines[place] = b"{" + again.encode() + b", " + lines[place].lstrip().removeprefix(b"{")
    return b"".join(lines)


BYTES: list[Mutation] = [
    truncate, flip_bit, swap_bytes, zero_block, cut_out, insert_control, insert_bom, crlf, empty, append_garbage,
]  # fmt: skip
TEXT: list[Mutation] = [*BYTES, other_encoding, duplicate_line, drop_line_break, tear_line]
VALUES: list[Mutation] = [delete_key, rename_key, change_type, nest, huge_number, repeat_key]


def _is_lines(data: bytes) -> bool:
    return data.count(b"\n") > 1 and data.split(b"\n", 1)[0].rstrip().endswith(b"}")


def _in_one_value(data: bytes, rng: Random, change: Callable[[Any, Any], None]) -> bytes:
    """Changes one value, at any depth, of one line (of the whole file where it is no file of lines)."""
    lines = data.splitlines(keepends=True) if _is_lines(data) else [data]
    place = rng.randrange(len(lines))
    value = json.loads(lines[place])
    holders = _holders(value)
    if not holders:
        return data
    change(*rng.choice(holders))
    lines[place] = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    return b"".join(lines)


def _holders(value: Any) -> list[tuple[Any, Any]]:
    """Every object and list with every key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, inner in items for pair in [(value, key), *_holders(inner)]]


def _with_text(data: bytes, rng: Random, text: str) -> bytes:
    """Puts JSON text, which need not be JSON, in the place of a value."""

    def mark(holder: Any, key: Any) -> None:
        holder[key] = "\1"

    return _in_one_value(data, rng, mark).replace(b'"\\u0001"', text.encode(), 1)
