"""From what the model wrote to a summary line, and whether a group's lines are complete.

    raw text      ```json⏎{"图片_1": "BBU设备/华为,显示完整,无需安装×1，⏎标签/无法识别×1"}⏎```<|im_end|>
    clean text    BBU设备/华为,显示完整,无需安装×1， 标签/无法识别×1

`clean_text` takes off what stands around a summary: special tokens, the JSON wrapper that some checkpoints write, line
breaks, invisible characters at the ends. It changes no word, and where it would have to guess it raises. Whether the
words are sensible is for the grammar (`yanshou.schema.summary`) to say.
"""

import json
import re
from typing import Any

from yanshou.errors import SummaryError
from yanshou.schema.records import EMPTY
from yanshou.text import SPECIAL_TOKEN, excerpt, trimmed

WRAPPER_BEGINS = re.compile(r"(```\w*\s*)?(\{\s*[\"'}]|\[\s*[\"'{\[\]])")  # no summary begins like this
FENCED = re.compile(r"```(?:json)?\s*([{\[].*[}\]])\s*```", re.DOTALL | re.IGNORECASE)
DEEPEST = 16  # special tokens and wrappers inside one another; each takes a pass over the text

WRAPPED = 'One line of text is expected; of JSON only {"图片_1": "…"}, one key with one text, is opened.'


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
    return " ".join(line for line in map(trimmed, text.splitlines()) if line)
