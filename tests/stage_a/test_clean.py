"""Guarantees of `yanshou.stage_a.clean`, and of the checks on a record's texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from yanshou.errors import GenerationError, SummaryError
from yanshou.schema.records import StageARecord, check_group
from yanshou.stage_a.clean import clean_text

LINE = "BBU设备/华为,显示完整,无需安装×1，标签/5G-BBU-(-48V)×1"


@pytest.mark.parametrize(
    "raw",
    [
        LINE,
        f"{LINE}<|im_end|>",
        f"<|im_start|>{LINE}<|im_end|>\n<|endoftext|>",
        f"\ufeff \u200b{LINE}\u200b\u3000\n",
        f'{{"图片_1": "{LINE}"}}<|im_end|>',
        f'{{"图片_1": "{LINE}<|im_end|>"}}',
        f'```json\n{{"图片_1": "{LINE}"}}\n```<|im_end|>',
        f'```\n{{ "summary" : "{LINE}" }}```',
        f'{{"图片_1":\n"{LINE}\n"}}',
        f"<think>\n\n</think>\n\n{LINE}<|im_end|>",
        f'<think>\n一张图\n</think>\n```json\n{{"图片_1": "{LINE}"}}\n```<|im_end|>',
        f'{{"图片_1": "<think>\\n看图</think>{LINE}"}}',
        f'{{"图片_1": "\\u003cthink\\u003e看图\\u003c/think\\u003e{LINE}"}}',
        f'{{"图片_1": "<|begin_of_thought|>看图<|end_of_thought|>{LINE}"}}',
        f"<|begin_of_thought|>看图<|end_of_thought|>\n\n<|begin_of_solution|>{LINE}<|end_of_solution|>",
    ],
)
def test_what_surrounds_a_summary_is_removed(raw: str) -> None:
    assert clean_text(raw) == LINE


@pytest.mark.parametrize(
    "raw",
    [
        f"<think>\n看图，{LINE}",
        f"看图。</think>\n\n{LINE}<|im_end|>",
        f'{{"图片_1": "{LINE}</think>"}}',
        f"{LINE}<th<|x|>ink>看图</think>",
    ],
)
def test_reasoning_that_cannot_be_told_from_the_summary_is_refused(raw: str) -> None:
    with pytest.raises(GenerationError, match=r"think.*: the model wrote ") as error:
        clean_text(raw)
    assert error.value.advice.startswith("Take the Instruct checkpoint")


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", " \n\n "])
def test_line_breaks_of_any_kind_become_one_space(line_break: str) -> None:
    assert clean_text(f"电线/捆扎整齐×1，{line_break}标签/无法识别×1") == "电线/捆扎整齐×1， 标签/无法识别×1"


@pytest.mark.parametrize("text", ['标签/{"a": "b"}×1', "标签/<5G|BBU>×1", "{电线×1}", "电线  两个空格×1"])
def test_text_without_a_wrapper_is_kept_unchanged(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    "raw", ["", " \n", "<|im_end|>", "\u200b\ufeff", '{"图片_1": ""}', '{"图片_1": " <|im_end|>"}']
)
def test_a_wrapper_around_an_empty_summary_is_refused(raw: str) -> None:
    with pytest.raises(SummaryError, match="the summary is empty: the model wrote ") as error:
        clean_text(raw)
    assert error.value.advice


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ('{"图片_1": "a", "图片_2": "b"}', "with 2 keys"),
        ('{"图片_1": "a", "图片_1": "b"}', "with 2 keys"),
        ("{}", "with 0 keys"),
        ('{"图片_1": 1}', "without a text"),
        ('{"图片_1": ["a"]}', "without a text"),
        ('{"图片_1": {"a": "b"}}', "without a text"),
        ('{"图片_1": "cut o', "cannot be parsed"),
        ('```json\n{"图片_1": "a"}', "cannot be parsed"),
        ('{"图片_1": "a"} and more', "cannot be parsed"),
        ('{"图片_1": ' + "[" * 100_000, "cannot be parsed"),
    ],
)
def test_a_wrapper_around_anything_but_one_text_is_refused(raw: str, what: str) -> None:
    with pytest.raises(SummaryError, match=what) as error:
        clean_text(raw)
    assert len(str(error.value)) < 150
    assert isinstance(error.value, ValueError)


PIECES = [
    "<|im_end|>",
    "<|",
    "|>",
    '{"图片_1": "',
    '"}',
    '"',
    "{",
    "}",
    "```json",
    "```",
    "\n",
    "\u2028",
    "\ufeff",
    " ",
    "<think>",
    "</think>",
    "电线×1",
    "\\n",
]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_clean_text_is_one_line_and_cleaning_it_again_changes_nothing(raw: str) -> None:
    try:
        text = clean_text(raw)
    except (SummaryError, GenerationError):
        return
    assert text.strip()
    assert text.splitlines() == [text]
    assert clean_text(text) == text


IMAGES = ["/p/a.jpg", "/p/b.jpg", "/p/c.jpg"]
TEXTS = ["a×1", "b×1", "c×1"]
PER_IMAGE = {"图片_1": "a×1", "图片_2": "b×1", "图片_3": "c×1"}


def test_a_complete_group_passes() -> None:
    check_group(IMAGES, PER_IMAGE, TEXTS, TEXTS)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"per_image": {"图片_1": "a×1", "图片_3": "c×1"}}, "key 图片_2 is missing"),
        ({"per_image": {**PER_IMAGE, "图片_4": "d×1"}}, "key '图片_4' does not belong to a photo"),
        ({"per_image": {**PER_IMAGE, "图片_01": "d×1"}}, "key '图片_01' does not belong to a photo"),
        ({"per_image": {**PER_IMAGE, "图片_2": " \u200b"}}, "图片_2 is empty: ' \\u200b'"),
        ({"per_image": {**PER_IMAGE, "图片_2": "b\nc"}}, "图片_2 has several lines: 'b\\nc'"),
        (
            {"per_image": {**PER_IMAGE, "图片_2": "<think></think>b×1"}},
            "图片_2 holds '<think>', a reasoning tag: '<think></think>b×1'",
        ),
        ({"raw_texts": TEXTS[:2]}, "raw_texts has 2 texts for 3 photos"),
        ({"clean_texts": [*TEXTS, "d×1"]}, "clean_texts has 4 texts for 3 photos"),
        ({"clean_texts": ["a×1", "x×1", "c×1"]}, "图片_2 is 'b×1' in per_image and 'x×1' in clean_texts"),
    ],
)
def test_check_and_record_name_the_first_error_of_a_group(change: dict[str, object], fault: str) -> None:
    fields = {"images": IMAGES, "per_image": PER_IMAGE, "raw_texts": TEXTS, "clean_texts": TEXTS, **change}
    with pytest.raises(SummaryError) as error:
        check_group(**fields)  # type: ignore[arg-type]
    assert str(error.value) == fault
    with pytest.raises(ValidationError) as refused:
        StageARecord(group_id="QC-1", mission="挡风板安装检查", label="pass", timestamp="2026-01-18", **fields)  # type: ignore[arg-type]
    assert fault in str(refused.value)


def test_deeply_nested_tokens_are_refused_quickly() -> None:
    nested = "<|a" * 4 + "|>" * 4
    assert clean_text(f"{nested}电线×1") == "电线×1"
    deep = "<|a" * 60_000 + "|>" * 60_000  # one pass over the text per level would take minutes
    with pytest.raises(SummaryError, match=r"more than 16 deep: the model wrote '<\|a<\|a.{,60}$"):
        clean_text(deep)


@pytest.mark.parametrize("text", ['["电线×1"]', '[{"图片_1": "电线×1"}]'])
def test_a_json_list_is_refused(text: str) -> None:
    with pytest.raises(SummaryError, match="a JSON list"):
        clean_text(text)
