"""Guarantees of `yanshou.stage_b.verdict`: two lines are read, nothing is guessed, nothing raises."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yanshou.stage_b.verdict import VerdictText, read_verdict, write_verdict
from yanshou.thinking import TAG


def _is_plain(text: str) -> bool:
    """Whether a reason may be this text: tokens are dropped, and a tag of reasoning makes a text no verdict."""
    return bool(text) and "<|" not in text and not TAG.search(text)


REASON = st.text(min_size=1).map(lambda text: " ".join(text.split())).filter(_is_plain)


@example(False, "<THINK").via("one character from a tag")
@given(st.booleans(), REASON)
def test_a_written_verdict_reads_as_itself(passed: bool, reason: str) -> None:
    if len(reason.splitlines()) == 1:
        assert read_verdict(write_verdict(passed, reason)) == VerdictText(passed, reason)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    verdict = read_verdict(text)
    if verdict.complete:
        lines = text.split("<|")[0].strip().splitlines() or [""]
        assert lines[0].strip() in ("通过", "不通过")


@pytest.mark.parametrize(
    "text",
    [
        "通过\n理由: 齐全",
        "通过\n理由:齐全",
        "通过\n理由：齐全",
        "通过\r\n理由：  齐全  ",
        "  通过 \n 理由: 齐全\n",
        "通过\n理由: 齐全<|im_end|>",
        "通过\n理由: 齐全<|im_end|><|endoftext|>\n",
        "<think>\n\n</think>\n\n通过\n理由: 齐全<|im_end|>",
        "<think>不通过？\n不，通过。</think>\n<answer>通过\n理由: 齐全</answer>",
    ],
)
def test_both_colons_and_white_space_are_accepted(text: str) -> None:
    assert read_verdict(text) == VerdictText(True, "齐全")


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("", None),
        ("\n", None),
        ("通过", True),
        ("不通过", False),
        ("通过。\n理由: 齐全", None),
        ("审核通过\n理由: 齐全", None),
        ("未通过\n理由: 齐全", None),
        ("需复核\n理由: 看不清", None),
        ("通过 理由: 齐全", None),
        ("**通过**\n理由: 齐全", None),
        ("理由: 齐全\n通过", None),
        ("pass\n理由: 齐全", None),
        ("通过\n理由:", True),
        ("通过\n理由:   ", True),
        ("通过\n理由 齐全", True),
        ("通过\n\n理由: 齐全", True),
        ("通过\n理由: 齐全\n补充", True),
        ("通过\n理由; 齐全", True),
        ("不通过\n原因: 缺少", False),
        ("通过\n理由: 一\u2028二", True),
        ("<think>齐全\n通过\n理由: 齐全", None),
        ("齐全</think>\n\n通过\n理由: 齐全", None),
        ("通过\n理由: <think>齐全</think>", None),
        ("通过\n理由: <th<|x|>ink>齐全", None),
    ],
)
def test_anything_else_is_incomplete(text: str, passed: bool | None) -> None:
    verdict = read_verdict(text)
    assert verdict.passed is passed
    assert verdict.reason is None or verdict.passed is None
    assert not verdict.complete
