"""The two lines of a verdict, read strictly. Rewards and judge both use this module.

    通过                                          passed  True
    理由: 有图片_1 挡风板/华为,安装方向正确×1      reason  有图片_1 挡风板/华为,安装方向正确×1

The colon is full-width or half-width. Nothing else is tolerated: 「通过。」 is not a verdict, nor are three lines.
White space around a line, the stop token after the text and closed think blocks in front (`yanshou.thinking`) are
ignored. With a think block that is not closed, or a tag of one anywhere else, a text is no verdict: the judge fails the
group, and rewards give 0.
"""

from dataclasses import dataclass

from yanshou.errors import GenerationError
from yanshou.text import SPECIAL_TOKEN
from yanshou.thinking import answer

PASS, FAIL = "通过", "不通过"
VERDICT_WORDS = {PASS: True, FAIL: False}
REASONS = ("理由:", "理由：")


@dataclass(frozen=True, slots=True)
class VerdictText:
    """The parts of an answer; None for a part that is not well-formed."""

    passed: bool | None  # the first line: 通过 or 不通过
    reason: str | None  # the second line, where there are exactly two

    @property
    def complete(self) -> bool:
        """Whether both lines are well-formed."""
        return self.passed is not None and self.reason is not None


def read_verdict(text: str) -> VerdictText:
    """The parts of any text. Never raises."""
    try:
        plain = answer(SPECIAL_TOKEN.sub("", answer(text)))  # twice: a token may lie inside a tag
    except GenerationError:
        return VerdictText(None, None)
    lines = [line.strip() for line in plain.strip().splitlines()] or [""]
    return VerdictText(VERDICT_WORDS.get(lines[0]), _reason(lines[1]) if len(lines) == 2 else None)


def write_verdict(passed: bool, reason: str) -> str:
    """The two lines of a verdict."""
    return f"{PASS if passed else FAIL}\n理由: {reason}"


def _reason(line: str) -> str | None:
    for begin in REASONS:
        if line.startswith(begin):
            return line.removeprefix(begin).strip() or None
    return None
