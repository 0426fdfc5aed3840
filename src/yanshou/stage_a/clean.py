"""From what the model wrote to a summary line, and whether a group's lines are complete.

    raw text      ```json⏎{"图片_1": "BBU设备/华为,显示完整,无需安装×1，⏎标签/无法识别×1"}⏎```<|im_end|>
    clean text    BBU设备/华为,显示完整,无需安装×1， 标签/无法识别×1

`clean_text` takes off what stands around a summary: special tokens, the JSON wrapper that some checkpoints write, line
breaks, invisible characters at the ends. It changes no word, and where it would have to guess it raises. Whether the
words are sensible is for the grammar (`yanshou.schema.summary`) to say.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from yanshou.errors import SummaryError
from yanshou.schema.records import image_key
from yanshou.storage.jsonl import cut, excerpt

SPECIAL_TOKEN = re.compile(r"<\|[^<>|\s]+\|>")  # <|im_end|>, <|endoftext|>, <|vision_start|>
WRAPPER_BEGINS = re.compile(r"(```\w*\s*)?(\{\s*[\"'}]|\[\s*[\"'{\[\]])")  # no summary begins like this
FENCED = re.compile(r"```(?:json)?\s*([{\[].*[}\]])\s*```", re.DOTALL | re.IGNORECASE)
DEEPEST = 16  # special tokens and wrappers inside one another; each takes a pass over the text
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode: control, zero width and byte-order mark, spaces

EMPTY = "Look at the photo; if it shows something, another prompt or checkpoint may name it."
WRAPPED = 'One line of text is expected; of JSON only {"图片_1": "…"}, one key with one text, is opened.'
INCOMPLETE = "Every photo needs its line, under 图片_1, 图片_2, … in the photos' order."


def clean_text(raw: str) -> str:
    """The summary in one line, never empty. Raises SummaryError for an empty one and for JSON that is not one text."""
    text = raw
    for _ in range(
        DEEPEST
    ):  # what comes out of a wrapper may hold a token, and what lay around a token may be a wrapper
        before = text
        text = _unwrap(_one_line(SPECIAL_TOKEN.sub("", text)), raw)
        if not text:
            raise SummaryError(f"the summary is empty: the model wrote {excerpt(raw)}", EMPTY)
        if text == before:
            return text
    raise SummaryError(f"tokens and wrappers more than {DEEPEST} deep: the model wrote {excerpt(raw)}", WRAPPED)


def check_group(
    images: Sequence[str], per_image: Mapping[str, str], raw_texts: Sequence[str], clean_texts: Sequence[str]
) -> None:
    """Raises SummaryError naming the first thing that is not as a written group has to be."""
    _check_keys(per_image, [image_key(number) for number in range(1, len(images) + 1)])
    for key, text in per_image.items():
        if not _trimmed(text):
            raise SummaryError(f"{key} is empty: {text!r}", EMPTY)
        if len(text.splitlines()) > 1:
            raise SummaryError(f"{key} has several lines: {excerpt(text)}", INCOMPLETE)
    for name, texts in (("raw_texts", raw_texts), ("clean_texts", clean_texts)):
        if len(texts) != len(images):
            raise SummaryError(f"{name} has {len(texts)} texts for {len(images)} photos", INCOMPLETE)
    for (key, text), clean in zip(per_image.items(), clean_texts, strict=True):
        if text != clean:
            raise SummaryError(f"{key} is {excerpt(text)} in per_image and {excerpt(clean)} in clean_texts", INCOMPLETE)


def _check_keys(per_image: Mapping[str, str], wanted: Sequence[str]) -> None:
    for key in wanted:
        if key not in per_image:
            raise SummaryError(f"key {key} is missing", INCOMPLETE)
    for key in per_image:
        if key not in wanted:
            raise SummaryError(f"key {excerpt(key)} is one too many", INCOMPLETE)
    if list(per_image) != wanted:
        raise SummaryError(f"keys are out of order: {cut(', '.join(per_image))}", INCOMPLETE)


def _unwrap(text: str, raw: str) -> str:
    """The text inside a JSON wrapper; a text without one as it is."""
    if not WRAPPER_BEGINS.match(text):
        return text
    fenced = FENCED.fullmatch(text)
    try:
        pairs: Any = json.loads(fenced[1] if fenced else text, object_pairs_hook=tuple, strict=False)
    except (ValueError, RecursionError) as error:
        raise SummaryError(f"a JSON wrapper that cannot be opened: the model wrote {excerpt(raw)}", WRAPPED) from error
    match pairs:  # pairs, not a dict: of a key that is there twice, a dict would silently take the last
        case list():
            raise SummaryError(f"a JSON list: the model wrote {excerpt(raw)}", WRAPPED)
        case ((_, str(inner)),):
            return inner
        case (_,):
            raise SummaryError(f"a JSON wrapper without a text: the model wrote {excerpt(raw)}", WRAPPED)
        case _:
            raise SummaryError(f"a JSON wrapper with {len(pairs)} keys: the model wrote {excerpt(raw)}", WRAPPED)


def _one_line(text: str) -> str:
    return " ".join(line for line in map(_trimmed, text.splitlines()) if line)


def _trimmed(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and _is_invisible(text[begin]):
        begin += 1
    while begin < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE
