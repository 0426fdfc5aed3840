"""Guarantees of `yanshou.pipeline.outcome`: which answers are completions, and how a failure is reported."""

from pathlib import Path

import pytest

from yanshou.engines.base import Completion, Failure
from yanshou.errors import GenerationError, GroupError, PhotoError
from yanshou.pipeline.outcome import Outcome, completed
from yanshou.schema.records import GroupKey

KEY = GroupKey("挡风板安装检查", "pass", "QC-1")


def test_a_finished_answer_is_a_completion() -> None:
    answer = Completion(0, "无关图片×1", "stop")
    assert completed(answer) is answer


def test_an_answer_that_was_cut_off_fails_unless_it_is_accepted() -> None:
    answer = Completion(0, "a" * 50, "length", 9)
    assert completed(answer, allow_truncated=True) is answer
    with pytest.raises(GenerationError, match=f"cut off after 9 tokens: …'{'a' * 40}'") as error:
        completed(answer, advice="take another model")
    assert error.value.advice == "take another model"


def test_an_answer_that_was_cut_off_inside_its_reasoning_is_never_accepted() -> None:
    answer = Completion(0, "<think>\n这张图", "length", 256)
    for accepted in (False, True):
        with pytest.raises(GenerationError, match=r"^the model was still reasoning after 256 tokens: …") as error:
            completed(answer, allow_truncated=accepted)
        assert error.value.advice.startswith(
            "raise --max-new-tokens (a resume allows it). Take the Instruct checkpoint"
        )
    reasoned = Completion(0, "<think>\n这张图</think>电线×1", "length", 9)
    assert completed(reasoned, allow_truncated=True) is reasoned


def test_an_answer_that_repeats_itself_always_fails() -> None:
    repeating = Completion(0, "电线×1，" * 20, "repetition", 80)
    with pytest.raises(GenerationError, match="repeats itself, so it was stopped after 80 tokens") as error:
        completed(repeating, allow_truncated=True)
    assert "--repetition-penalty" in error.value.advice


def test_a_failure_raises_its_error() -> None:
    error = PhotoError("a.jpg: the file is empty", "copy it again")
    with pytest.raises(PhotoError) as raised:
        completed(Failure(0, error))
    assert raised.value is error


def test_a_fault_has_the_errors_step_message_and_advice() -> None:
    failed = Outcome(
        KEY, None, ((Path("/in/a.jpg"), PhotoError("unreadable", "copy it again")), (None, GroupError("b")))
    )
    assert [(fault.photo, fault.step, fault.message, fault.advice) for fault in failed.faults] == [
        ("a.jpg", "load", "unreadable", "copy it again"),
        (None, "group", "b", ""),
    ]
    assert failed.faults[0].key == KEY
