"""The two lines of a verdict, read strictly: rewards, judge and tests all ask this module.

    通过                                          passed  True
    理由: 有图片_1 挡风板/华为,安装方向正确×1      reason  有图片_1 挡风板/华为,安装方向正确×1

The colon is full-width or half-width. Nothing else is guessed: 「通过。」 is no verdict, a third line is one too many.
White space around a line and the stop token behind the text don't count.
"""

from dataclasses import dataclass

from yanshou.text import SPECIAL_TOKEN

PASS, FAIL = "通过", "不通过"
VERDICT_WORDS = {PASS: True, FAIL: False}
REASONS = ("理由:", "理由：")


@dataclass(frozen=True, slots=True)
class VerdictText:
    """What could be read; None where it could not."""

    passed: bool | None  # the first line
    reason: str | None  # the second, where there are exactly two

    @property
    def complete(self) -> bool:
        """Whether both lines are as they should be."""
        return self.passed is not None and self.reason is not None


def read_verdict(text: str) -> VerdictText:
    """Reads any text; never raises."""
    lines = [line.strip() for line in SPECIAL_TOKEN.sub("", text).strip().splitlines()] or [""]
    return VerdictText(VERDICT_WORDS.get(lines[0]), _reason(lines[1]) if len(lines) == 2 else None)


def write_verdict(passed: bool, reason: str) -> str:
    """The two lines."""
    return f"{PASS if passed else FAIL}\n理由: {reason}"


def _reason(line: str) -> str | None:
    for begin in REASONS:
        if line.startswith(begin):
            return line.removeprefix(begin).strip() or None
    return None
