"""Think blocks: the reasoning that some models write before their answer, and the tags around it.

    <think>⏎一张BBU照片…⏎</think>⏎⏎BBU设备/华为,显示完整,无需安装×1<|im_end|>       raw
    BBU设备/华为,显示完整,无需安装×1                                             answer

Closed blocks in front of the answer are taken off. A block that is not closed, a closing tag without its block, and a
tag anywhere else are errors: what is reasoning and what is answer would be a guess. Some chat templates open the block
at the end of the prompt; the engines then put the opening tag in front of what the model wrote, so that a raw text is
complete.
"""

import re

from yanshou.errors import GenerationError
from yanshou.text import SPECIAL_TOKEN, excerpt, trimmed

_NAMES = r"(?P<name>think|thinking|thoughts?|reason|reasoning|reflection|answer|solution)"
_BEGIN, _END = r"(?:[<＜◁\[]|&lt;)\s{0,4}\|?\s{0,4}", r"\s{0,4}/?\|?\s{0,4}(?:[>＞▷\]]|&gt;)"
# <think>, </think>, <THINKING >, <think id=1>, [THINK], ◁/think▷, ＜think＞, &lt;think&gt;, <|begin_of_thought|>
TAG = re.compile(
    rf"{_BEGIN}(?P<close>/\s{{0,4}}|end_of_)?(?:(?:begin|start)_of_)?{_NAMES}(?:\s[^<>\n]{{0,80}}?)?{_END}",
    re.IGNORECASE,
)
OPENED = re.compile(r"<think>\s*\Z")  # the end of a prompt whose template opens the block
ANSWERS = ("answer", "solution")  # tags around what follows the reasoning

MAX_BLOCKS = 16  # in front of one answer; each takes a pass over the text

TAKE_INSTRUCT = "Take the Instruct checkpoint, which writes no reasoning"
LONGER = f"raise --max-new-tokens (a resume allows it). {TAKE_INSTRUCT} if that takes too long"
MISPLACED = f"{TAKE_INSTRUCT}, or the chat template that the checkpoint was trained with"


def answer(text: str) -> str:
    """The text without the think blocks in front; a text without tags is returned as it is.

    Raises GenerationError for a tag that no closed block in front explains.
    """
    if not TAG.search(text):
        return text
    rest, is_open = _after_blocks(text)
    if is_open:
        raise GenerationError(f"the think block is not closed: the model wrote {excerpt(text)}", MISPLACED)
    rest = _unwrapped(rest)
    if tag := TAG.search(rest):
        where = "closes a block that nothing opened" if tag["close"] else "is not in front of the answer"
        raise GenerationError(f"{excerpt(tag[0])} {where}: the model wrote {excerpt(text)}", MISPLACED)
    return rest


def unfinished(text: str) -> bool:
    """Whether the text ends inside a think block."""
    return TAG.search(text) is not None and _after_blocks(text)[1]


def without_special_tokens(text: str) -> str:
    """The text without special tokens, save for tags of reasoning, and without invisible characters at both ends."""
    return trimmed(SPECIAL_TOKEN.sub(lambda token: token[0] if TAG.fullmatch(token[0]) else "", text))


def _after_blocks(text: str) -> tuple[str, bool]:
    """What follows the closed blocks in front, and whether it begins with one that is not closed."""
    rest = without_special_tokens(text)
    for _ in range(MAX_BLOCKS):
        opening = TAG.match(rest)
        if opening is None or opening["close"] or _kind(opening) in ANSWERS:
            break
        end = _end_of_block(rest, opening)
        if end is None:
            return rest, True
        rest = without_special_tokens(rest[end:])
    return rest, False


def _end_of_block(text: str, opening: re.Match[str]) -> int | None:
    """Behind the first closing tag of the same kind. Tags before it are reasoning: some models repeat `<think>`."""
    closing = (tag for tag in TAG.finditer(text, opening.end()) if tag["close"] and _kind(tag) == _kind(opening))
    return next((tag.end() for tag in closing), None)


def _unwrapped(text: str) -> str:
    """The text inside <answer>…</answer>, which some trainings add behind the reasoning, or the text itself."""
    tags = list(TAG.finditer(text))
    if len(tags) != 2 or _kind(tags[0]) not in ANSWERS or _kind(tags[0]) != _kind(tags[1]):
        return text
    first, last = tags
    around = first.start() == 0 and last.end() == len(text) and not first["close"] and last["close"]
    return without_special_tokens(text[first.end() : last.start()]) if around else text


def _kind(tag: re.Match[str]) -> str:
    return tag["name"].lower()
