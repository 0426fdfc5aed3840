"""Guarantees of `yanshou.stage_b.rewards`: one signature for ms-swift and TRL, 0 for a malformed answer."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lines import SHIELD
from support.training_rows import rows

from yanshou.missions import load_missions
from yanshou.missions.rules import decide
from yanshou.schema.summary import parse
from yanshou.stage_b.rewards import REWARDS, format_, grounded, grounded_under, label
from yanshou.stage_b.verdict import write_verdict

GOOD, BAD = "通过\n理由: 齐全", "不通过\n理由: 缺少挡风板"
SHIELDED = "BBU设备/华为,显示完整,无需安装×1"
SHOWN = f"通过\n理由: 有图片_1 {SHIELDED}"


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


def test_a_message_is_read_whatever_its_content() -> None:
    parts = [{"type": "text", "text": "通过\n"}, {"type": "image"}, {"type": "text", "text": "理由: 齐全"}]
    conversations = [[{"role": "assistant", "content": parts}], [{"role": "assistant", "content": None}], [{}], []]
    assert label(conversations, ["通过"] * 4) == [1.0, 0.0, 0.0, 0.0]
    assert format_(conversations) == [1.0, 0.0, 0.0, 0.0]


def test_columns_of_the_dataset_and_of_the_trainer_are_ignored() -> None:
    columns = {"group_id": ["a"], "prompts": [[]], "trainer_state": None, "completion_ids": [[1]], "messages": [[]]}
    for reward, _ in REWARDS.values():
        assert reward([SHOWN], solution=["通过"], mission=[SHIELD], summaries=[[SHIELDED]], **columns) == [1.0]


def test_a_row_without_a_label_has_no_label_reward() -> None:
    assert label([GOOD, GOOD], [None, "不通过"]) == [None, 0.0]


@pytest.mark.parametrize("solution", ["pass", "审核通过", "", "通过 "])
def test_an_unknown_solution_is_an_error(solution: str) -> None:
    with pytest.raises(ValueError, match=r"not 通过 or 不通过. Build the dataset"):
        label([GOOD], [solution])
    with pytest.raises(ValueError, match="zip"):
        label([GOOD, GOOD], ["通过"])


def test_the_label_weighs_five_times_the_format() -> None:
    weights = {name: weight for name, (_, weight) in REWARDS.items()}
    assert weights == {"label": 1.0, "format": 0.2, "grounded": 0.0}


@given(st.lists(st.text(), max_size=5), st.sampled_from(["通过", "不通过"]))
def test_any_text_earns_0_or_1(completions: list[str], solution: str) -> None:
    columns = {"mission": [SHIELD] * len(completions), "summaries": [[SHIELDED]] * len(completions)}
    for reward, _ in REWARDS.values():
        scores = reward(completions, solution=[solution] * len(completions), **columns)
        assert len(scores) == len(completions)
        assert set(scores) <= {0.0, 1.0, None}


def test_a_true_and_complete_reason_earns_the_grounded_reward() -> None:
    for row in rows(40, 6):
        rule = load_missions().get(row["mission"]).rule
        decision = decide(rule, map(parse, row["summaries"]))
        completions = [
            write_verdict(decision.passed, decision.reason),
            write_verdict(not decision.passed, decision.reason),
            write_verdict(decision.passed, f"{decision.reason}；有图片_99 {SHIELDED}"),
            write_verdict(decision.passed, "证据见摘要"),
            decision.reason,
        ]
        assert scored(completions, row["solution"], row["mission"], row["summaries"]) == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_pass_earns_the_share_of_requirements_that_its_reason_shows() -> None:
    entries = [f"螺丝、光纤插头/{place}接地螺丝,符合要求×1" for place in ("机柜处", "地排处")] + ["电线/捆扎整齐×1"]
    completions = [write_verdict(True, "；".join(f"有图片_1 {entry}" for entry in entries[:n])) for n in (1, 2, 3)]
    scores = scored(completions, "通过", "BBU接地线检查", ["，".join(entries)])
    assert scores == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


def test_where_the_rule_contradicts_the_label_there_is_no_grounded_reward() -> None:
    assert scored([SHOWN, BAD], "不通过", SHIELD, [SHIELDED]) == [None, None]
    assert scored([SHOWN], None, SHIELD, [SHIELDED]) == [None]


def test_the_grounded_reward_knows_missions_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "我的"\nfocus = "看电线"\n[rule]\ntext = "有电线"\nrequire = [["电线"]]\n', encoding="utf-8"
    )
    given = {"solution": ["通过"], "mission": ["我的"], "summaries": [["电线/捆扎整齐×2"]]}
    completions = ["通过\n理由: 有图片_1 电线/捆扎整齐×2"]
    assert grounded_under(load_missions([file]))(completions, **given) == [1.0]
    with pytest.raises(ValueError, match="unknown mission '我的'"):
        grounded(completions, **given)


@pytest.mark.parametrize(
    "columns",
    [{}, {"mission": [SHIELD]}, {"mission": [None], "summaries": [["x"]]}, {"mission": [SHIELD], "summaries": [[]]}],
)
def test_rows_without_what_the_grounded_reward_needs_are_an_error(columns: dict[str, list[object]]) -> None:
    with pytest.raises(ValueError, match="build the dataset with `yanshou dataset`"):
        grounded([GOOD], solution=["通过"], **columns)


def scored(completions: list[str], solution: str | None, mission: str, summaries: list[str]) -> list[float | None]:
    """The grounded reward of several completions about one group."""
    number = len(completions)
    return grounded(
        completions, solution=[solution] * number, mission=[mission] * number, summaries=[summaries] * number
    )
