"""From the model's raw text to a summary line.

    raw text      ```json⏎{"图片_1": "BBU设备/华为,显示完整,无需安装×1，⏎标签/无法识别×1"}⏎```<|im_end|>
    clean text    BBU设备/华为,显示完整,无需安装×1， 标签/无法识别×1

`clean_text` removes what surrounds a summary: reasoning in front (`yanshou.thinking`), special tokens, the JSON wrapper
that some checkpoints write, line breaks, invisible characters at the ends. It changes no word, and raises an error
instead of guessing. The grammar (`yanshou.schema.summary`) decides whether the words make sense.
"""

import json
import re
from typing import Any

from yanshou.errors import SummaryError
from yanshou.schema.records import EMPTY
from yanshou.text import excerpt, trimmed
from yanshou.thinking import answer, without_special_tokens

WRAPPER_BEGINS = re.compile(r"(```\w*\s*)?(\{\s*[\"'}]|\[\s*[\"'{\[\]])")  # no summary begins like that
FENCED = re.compile(r"```(?:json)?\s*([{\[].*[}\]])\s*```", re.DOTALL | re.IGNORECASE)
MAX_DEPTH = 16  # of special tokens and wrappers inside each other; each level takes a pass over the text

ONE_LINE = 'Expected is one line of text, or the JSON {"图片_1": "…"} with one key and one text.'


def clean_text(raw: str) -> str:
    """The summary in one line.

    Raises SummaryError for an empty text, and for JSON that is not one text; GenerationError for a think block that is
    not closed, or not in front.
    """
    text = raw
    for _ in range(MAX_DEPTH):  # a wrapper may contain a token, and without its tokens a text may be a wrapper
        before = text
        text = without_special_tokens(text)
        if not WRAPPER_BEGINS.match(text):
            text = answer(text)
        text = _unwrap(_one_line(text), raw)
        if not text:
            raise SummaryError(f"the summary is empty: the model wrote {excerpt(raw)}", EMPTY)
        if text == before:
            return text
    raise SummaryError(f"tokens and wrappers more than {MAX_DEPTH} deep: the model wrote {excerpt(raw)}", ONE_LINE)


def _unwrap(text: str, raw: str) -> str:
    """The text inside a JSON wrapper, or the text itself where there is none."""
    if not WRAPPER_BEGINS.match(text):
        return text
    fenced = FENCED.fullmatch(text)
    try:
        pairs: Any = json.loads(fenced[1] if fenced else text, object_pairs_hook=tuple, strict=False)
    except (ValueError, RecursionError) as error:
        raise SummaryError(f"a JSON wrapper that cannot be parsed: the model wrote {excerpt(raw)}", ONE_LINE) from error
    match pairs:  # pairs, because a dict would silently drop the first value of a repeated key
        case list():
            raise SummaryError(f"a JSON list: the model wrote {excerpt(raw)}", ONE_LINE)
        case ((_, str(inner)),):
            return inner
        case (_,):
            raise SummaryError(f"a JSON wrapper without a text: the model wrote {excerpt(raw)}", ONE_LINE)
        case _:
            raise SummaryError(f"a JSON wrapper with {len(pairs)} keys: the model wrote {excerpt(raw)}", ONE_LINE)


def _one_line(text: str) -> str:
    return " ".join(line for line in map(trimmed, text.splitlines()) if line)
