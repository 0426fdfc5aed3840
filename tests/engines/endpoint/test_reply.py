"""`yanshou.engines.endpoint.reply`: what a reply says, and words for one that says nothing."""

import json
from typing import Any

import pytest

from yanshou.engines.endpoint.reply import Reply
from yanshou.errors import GenerationError


def reply(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> Reply:
    return Reply.read(json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields}).encode())


def test_unknown_fields_are_ignored_and_missing_ones_are_none() -> None:
    read = reply({"content": "一", "role": "assistant", "refusal": None}, id="x", usage={"prompt_tokens": 3})
    assert (read.text, read.finish_reason, read.prompt_tokens, read.completion_tokens) == ("一", "stop", 3, None)
    assert reply({"content": "一"}).prompt_tokens is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "一", "reasoning": "想"}, "<think>\n想\n</think>\n\n一"),
        ({"content": None, "reasoning_content": "想"}, "<think>\n想"),
        ({"content": "一<|im_end|>"}, "一<|im_end|>"),
    ],
)
def test_the_text_is_complete(message: dict[str, Any], text: str) -> None:
    assert reply(message).text == text


@pytest.mark.parametrize("finish", ["content_filter", "tool_calls", "abort", "", None])
def test_an_end_that_is_neither_stop_nor_length_is_an_error(finish: str | None) -> None:
    with pytest.raises(GenerationError, match="ended the answer with"):
        _ = reply({"content": "一"}, finish).finish_reason


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b"<html>", b'{"choices": null}', b'{"choices": [{}]}', b"\xff", b"[" * 100_000]
)
def test_anything_else_is_an_error_in_one_short_line(body: bytes) -> None:
    with pytest.raises(GenerationError) as caught:
        Reply.read(body)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
    assert caught.value.__cause__ is None


def test_an_unusable_reply_is_shown_without_secrets() -> None:
    with pytest.raises(GenerationError) as caught:
        Reply.read(b'{"authorization": "Bearer sk-secret"}', lambda text: text.replace("sk-secret", "…"))
    assert "Bearer …" in str(caught.value)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"content": ""}, "no text; it ended with 'stop'"),
        ({"content": None, "tool_calls": []}, "no text; it ended with 'stop'"),
        ({"content": None, "refusal": "I cannot help"}, "no text: 'I cannot help'"),
    ],
)
def test_an_answer_without_text_is_an_error(message: dict[str, Any], words: str) -> None:
    with pytest.raises(GenerationError, match=words):
        _ = reply(message).text
