"""What a file means, computed without yanshou: the oracle of the fuzz test.

The meanings of two files are equal where they say the same. `DamageError` is raised for content that no run writes,
with the first line that shows it. A change inside a text (a summary, a reason, a path) leaves a valid file that says
something else: nobody can see that from this file alone, so it is not damage here.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

Line = dict[str, Any]


class DamageError(Exception):
    """Content that no run writes. `line`: the first one that shows it; None: the file as a whole."""

    def __init__(self, line: int | None = None) -> None:
        super().__init__(line)
        self.line = line


def strict(text: bytes) -> Any:
    """JSON without repeated keys, NaN, infinities, a byte-order mark or numbers beyond a double."""

    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) < len(found):
            raise ValueError("repeated key")
        return dict(found)

    def number(digits: str) -> float:
        if not math.isfinite(value := float(digits)):
            raise ValueError("infinite")
        return value

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(
        text.decode("utf-8"), object_pairs_hook=pairs, parse_constant=refuse, parse_float=number
    )  # fmt: skip


def of_lines(data: bytes, is_valid: Callable[[Line], bool], unique: bool = True) -> list[Line]:
    """The meaning of a file of lines."""
    found: list[Line] = []
    for number, text in enumerate(data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n"), 1):
        if not data:
            break
        try:
            line = strict(text)
            valid = isinstance(line, dict) and is_valid(line)
        except (ValueError, RecursionError) as error:
            raise DamageError(number) from error
        if not valid or (unique and any(identity(line) == identity(other) for other in found)):
            raise DamageError(number)
        found.append(line)
    return found


def of_object(data: bytes, is_valid: Callable[[Line], bool]) -> Line:
    """The meaning of a JSON file."""
    try:
        value = strict(data)
    except (ValueError, RecursionError) as error:
        raise DamageError from error
    if not isinstance(value, dict) or not is_valid(value):
        raise DamageError
    return value


def identity(line: Line) -> tuple[Any, ...]:
    return tuple(str(line.get(key)) for key in ("mission", "label", "group_id"))


# ---- the lines of each file ----


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_filled(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_label(value: Any) -> bool:
    return value is None or value in ("pass", "fail")


def are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_share(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 1)


def is_optional_text(value: Any) -> bool:
    return value is None or is_text(value)


def is_numbered(per_image: Any) -> bool:
    """图片_1, 图片_2, … in any order, with a line of text each."""
    return (
        isinstance(per_image, dict) and per_image.keys() == {f"图片_{i}" for i in range(1, len(per_image) + 1)}
        and all(isinstance(text, str) and is_one_line(text) for text in per_image.values())
    )  # fmt: skip


def is_one_line(text: str) -> bool:
    return len(text.splitlines()) == 1 and re.sub(r"\W", "", text) != ""


KEY = {"group_id": is_filled, "mission": is_filled, "label": is_label}
STAGE_A = {**KEY, "images": are_texts, "per_image": is_numbered, "raw_texts": are_texts, "clean_texts": are_texts,
           "timestamp": is_text}  # fmt: skip
VERDICT = {**KEY, "verdict": lambda value: value in ("pass", "fail"), "reason": is_filled, "p_pass": is_share,
           "raw_text": is_optional_text, "timestamp": is_text}  # fmt: skip
FAULT = {**KEY, "photo": is_optional_text, **dict.fromkeys(["step", "message", "advice", "timestamp"], is_text)}


def has(line: Line, keys: dict[str, Callable[[Any], bool]], optional: Sequence[str] = ()) -> bool:
    present = line.keys() - set(optional)
    return present == keys.keys() and all(check(line[key]) for key, check in keys.items())


def is_stage_a(line: Line) -> bool:
    if not has(line, STAGE_A) or not line["images"]:
        return False
    texts = [line["per_image"][f"图片_{number}"] for number in range(1, len(line["per_image"]) + 1)]
    return texts == line["clean_texts"] and len(texts) == len(line["images"]) == len(line["raw_texts"])


def is_verdict(line: Line) -> bool:
    bound = line.get("summaries_sha256")
    return has(line, VERDICT, ["summaries_sha256"]) and (
        bound is None or (isinstance(bound, str) and re.fullmatch(r"[0-9a-f]{64}", bound) is not None)
    )


def is_fault(line: Line) -> bool:
    return has(line, FAULT)


def is_truth(line: Line) -> bool:
    keys = {**KEY, "label": lambda value: value in ("pass", "fail"), "per_image": is_numbered}
    return has(line, keys) and bool(line["per_image"])
