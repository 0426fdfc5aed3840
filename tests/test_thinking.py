"""Guarantees of `yanshou.thinking`: closed blocks in front are taken off, and no other tag gets through."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.errors import GenerationError
from yanshou.thinking import TAG, answer, unfinished

LINE = "BBU设备/华为,显示完整,无需安装×1，标签/5G-BBU-(-48V)×1"


@pytest.mark.parametrize(
    "raw",
    [
        f"<think>\n\n</think>\n\n{LINE}",
        f"<think>\n有两个设备，\n1 < 2。\n</think>{LINE}<|im_end|>",
        f"<|im_start|>\ufeff <think>看图</think>\n{LINE}",
        f"<THINK>a</Think>{LINE}",
        f"< think >a</ think >{LINE}",
        f"<think id=1>a</think>{LINE}",
        f"<thinking>a</thinking>\n{LINE}",
        f"<reasoning>a</reasoning>\n{LINE}",
        f"<|begin_of_thought|>a<|end_of_thought|>{LINE}",
        f"<|think|>a<|/think|>{LINE}",
        f"[THINK]a[/THINK]{LINE}",
        f"◁think▷a◁/think▷{LINE}",
        f"＜think＞a＜/think＞{LINE}",
        f"&lt;think&gt;a&lt;/think&gt;{LINE}",
        f"<think>\n<think>\nthe template's and the model's own</think>{LINE}",
        f"<think>with <answer>an answer</answer> inside</think>{LINE}",
        f"<think>a</think>\n<think>b</think>\n<reflection>c</reflection>\n{LINE}",
        f"<think>a</think>\n<answer>\n{LINE}\n</answer><|im_end|>",
        f"<answer>{LINE}</answer>",
    ],
)
def test_closed_blocks_in_front_are_taken_off(raw: str) -> None:
    assert answer(raw) == LINE
    assert not unfinished(raw)


@pytest.mark.parametrize("text", [LINE, f" {LINE}<|im_end|>", "标签/<5G|BBU>×1", "弯曲半径<4cm×1", "[图]×1", ""])
def test_a_text_without_tags_is_returned_as_it_is(text: str) -> None:
    assert answer(text) == text


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (f"<think>\n看图，{LINE}", "the think block is not closed"),
        (f"<think>a</thinking>{LINE}", "the think block is not closed"),
        (f"<think>a</think><think>b {LINE}", "the think block is not closed"),
        (f"<think/>{LINE}", "the think block is not closed"),
        (f"看图。</think>\n{LINE}", "'</think>' closes a block that nothing opened"),
        (f"{LINE}</think>", "'</think>' closes a block that nothing opened"),
        (f"<think>a<think>b</think>c</think>{LINE}", "'</think>' closes a block that nothing opened"),
        (f"{LINE}<think>a</think>", "'<think>' is not in front of the answer"),
        (f"BBU设备<thinking>a</thinking>{LINE}", "'<thinking>' is not in front of the answer"),
        (f"<think>a</think>答：<answer>{LINE}</answer>", "'<answer>' is not in front of the answer"),
        (f"<answer>{LINE}</answer> 完成", "'<answer>' is not in front of the answer"),
        (f"</answer>{LINE}<answer>", "'</answer>' closes a block that nothing opened"),
        (f"{LINE}<|end_of_thought|>", "'<|end_of_thought|>' closes a block that nothing opened"),
    ],
)
def test_any_other_tag_is_an_error_with_a_cure(raw: str, fault: str) -> None:
    with pytest.raises(GenerationError) as error:
        answer(raw)
    assert str(error.value).startswith(f"{fault}: the model wrote ")
    assert error.value.advice.startswith("Take the Instruct checkpoint")


def test_an_open_block_is_unfinished() -> None:
    assert unfinished("<think>\n看图")
    assert unfinished("<think>a</think>\n<think>b")
    assert not any(map(unfinished, ("看图", "看图<think>", "</think>", "<answer>看图")))


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<|im_end|>", "<|", "th", "电线×1", "\n"])
    )
)
def test_no_tag_gets_through(pieces: list[str]) -> None:
    try:
        rest = answer("".join(pieces))
    except GenerationError:
        return
    assert not TAG.search(rest)


@pytest.mark.parametrize(
    "text", ["<" * 200_000, "< " * 200_000, "<think " * 50_000, "<think>x</think>" * 50_000, "<think><|a" * 20_000]
)
def test_hostile_texts_take_no_time(text: str) -> None:
    began = time.monotonic()
    with suppress(GenerationError):
        answer(text)
    assert time.monotonic() - began < 5
