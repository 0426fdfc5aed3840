"""Guarantees of `yanshou.stage_b.rewards`: one signature for ms-swift and TRL, 0 for a malformed answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.stage_b.rewards import REWARDS, format_, label

GOOD, BAD = "通过\n理由: 齐全", "不通过\n理由: 缺少挡风板"


def test_the_first_line_earns_the_label_reward() -> None:
    completions = [GOOD, BAD, "通过", "通过。\n理由: 齐全", "", BAD]
    assert label(completions, ["通过", "通过", "通过", "通过", "不通过", "不通过"]) == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_the_two_lines_earn_the_format_reward() -> None:
    assert format_([GOOD, BAD, "通过", "通过\n理由:", "也许\n理由: 不清楚", GOOD + "\n还有"]) == [1, 1, 0, 0, 0, 0]


def test_a_completion_with_reasoning_is_rewarded_where_the_judge_would_accept_it() -> None:
    completions = [f"<think>\n齐全。\n</think>\n\n{GOOD}", f"<think>\n{GOOD}", f"齐全。</think>\n\n{GOOD}"]
    assert label(completions, ["通过"] * 3) == [1.0, 0.0, 0.0]
    assert format_(completions) == [1.0, 0.0, 0.0]


def test_the_last_message_earns_the_reward() -> None:
    conversation = [[{"role": "assistant", "content": GOOD}], [{"role": "assistant", "content": ""}]]
    assert label(conversation, ["通过", "通过"]) == [1.0, 0.0]
    assert format_(conversation) == [1.0, 0.0]


def test_columns_of_the_dataset_and_of_the_trainer_are_ignored() -> None:
    columns = {"group_id": ["a"], "prompts": [[]], "trainer_state": None, "completion_ids": [[1]], "mission": ["x"]}
    for reward, _ in REWARDS.values():
        assert reward([GOOD], solution=["通过"], **columns) == [1.0]


def test_a_row_without_a_label_has_no_label_reward() -> None:
    assert label([GOOD, GOOD], [None, "不通过"]) == [None, 0.0]


@pytest.mark.parametrize("solution", ["pass", "审核通过", "", "通过 "])
def test_an_unknown_solution_is_an_error(solution: str) -> None:
    with pytest.raises(ValueError, match=r"not 通过 or 不通过. Build the dataset"):
        label([GOOD], [solution])
    with pytest.raises(ValueError, match="zip"):
        label([GOOD, GOOD], ["通过"])


def test_the_label_weighs_five_times_the_format() -> None:
    assert {name: weight for name, (_, weight) in REWARDS.items()} == {"label": 1.0, "format": 0.2}


@given(st.lists(st.text(), max_size=5), st.sampled_from(["通过", "不通过"]))
def test_any_text_earns_0_or_1(completions: list[str], solution: str) -> None:
    for reward, _ in REWARDS.values():
        scores = reward(completions, solution=[solution] * len(completions))
        assert len(scores) == len(completions)
        assert set(scores) <= {0.0, 1.0}
