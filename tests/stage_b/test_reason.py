"""A reason is grounded exactly where the summaries and the rule bear it out."""

import time
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training_rows import rows

from yanshou.missions import Mission, load_missions
from yanshou.missions.rules import Rule, decide
from yanshou.schema.summary import Summary, parse
from yanshou.stage_b.dataset_rows import ReasonedRow
from yanshou.stage_b.reason import LONGEST, GroupReasons, ReasonCheck
from yanshou.stage_b.reason_words import WORDS, explain
from yanshou.stage_b.verdict import read_verdict
from yanshou.train.sft import answer
from yanshou.world.jobs import random_job

INSTALLATION, GROUNDING, SHIELD = "BBU安装方式检查（正装）", "BBU接地线检查", "挡风板安装检查"
DEVICE = "BBU设备/华为,显示完整,无需安装×1"
WANTS = "BBU设备/华为,只显示部分,机柜空间充足需要安装/这个BBU设备未按要求配备挡风板×1"
SHIELDED = "挡风板/华为,只显示部分,安装方向正确×1"
SCREW, RUST = "螺丝、光纤插头/BBU安装螺丝,符合要求×2", "螺丝、光纤插头/BBU安装螺丝,不符合要求/生锈×1"
CABINET, BAR = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1", "螺丝、光纤插头/地排处接地螺丝,符合要求×1"
WIRES, LOOSE = "电线/捆扎整齐×10", "电线/分布散乱×1"
MISSIONS = list(load_missions())


def group(mission: str, *lines: str) -> GroupReasons:
    return GroupReasons(load_missions().get(mission).rule, map(parse, lines))


def check(mission: str, lines: list[str], passed: bool, reason: str) -> tuple[str, list[str]]:
    """Outcome and kinds of problems."""
    found = group(mission, *lines).check(passed, reason)
    return found.outcome, [problem.kind for problem in found.problems]


def drawn(seed: int, mission: Mission) -> list[Summary]:
    """A drawn group, some of whose entries are doubled, doubtful, without a count, of another photo or gone."""
    rng = Random(seed)
    lines = [line.split("，") for line in random_job(rng, mission).lines()]
    for photo in lines:
        for number, entry in enumerate(photo):
            path = entry.split("×")[0]
            other = [
                *(entry, entry, entry, f"{entry}，{entry}", path, f"{path}×0", entry.replace("×", "备注:看不清×")),
                *(entry.replace("/", "/需复核,", 1), entry.replace("符合", "不符合"), rng.choice(rng.choice(lines))),
                *("标签/图片_1；没有看到电线×1", "螺母/不符合要求×1", "无关图片×1"),
            ]
            photo[number] = rng.choice(other)
    return [parse("，".join(photo)) for photo in lines]


# ---- by construction ----


@given(st.integers(0, 10**9), st.sampled_from(MISSIONS))
def test_the_rules_reason_is_grounded_when_it_is_read(seed: int, mission: Mission) -> None:
    reasons = GroupReasons(mission.rule, drawn(seed, mission))
    found = reasons.check_claims(reasons.rules.passed, reasons.claims(reasons.rules.reason))
    assert found == ReasonCheck("grounded", 1.0), reasons.rules.reason


@settings(max_examples=40)
@given(
    st.lists(
        st.text() | st.lists(st.sampled_from([*DEVICE, "，", "图片_1 ", "；有", "×1", SCREW])).map("".join), max_size=4
    )
)
def test_the_rules_reason_is_grounded_whatever_the_lines_are(lines: list[str]) -> None:
    for mission in MISSIONS:
        rule = mission.rule.model_copy(update={"min_photos": 2})
        decision = decide(rule, map(parse, lines))
        assert GroupReasons(rule, map(parse, lines)).check(decision.passed, decision.reason).holds


def test_the_reasons_of_sft_are_grounded_where_rule_and_label_agree() -> None:
    known = load_missions()
    for row in rows(40, 5):
        reasoned = ReasonedRow.model_validate(row, strict=False)
        mission = known.get(reasoned.mission)
        read = read_verdict(answer(reasoned, mission))
        assert read.passed is not None
        assert group(mission.name, *reasoned.summaries).check(read.passed, read.reason or "").holds


@given(st.integers(0, 10**9), st.sampled_from(MISSIONS), st.booleans(), st.data())
def test_a_grounded_reason_has_the_verdict_of_the_rule(
    seed: int, mission: Mission, passed: bool, data: st.DataObject
) -> None:
    photos = drawn(seed, mission)
    reasons = GroupReasons(mission.rule, photos)
    pieces = [f"图片_{number} {entry}" for number, photo in enumerate(photos, 1) for entry in photo.entries]
    missing = [f"没有看到{pattern.text}" for wanted in mission.rule.require for pattern in wanted]
    said = data.draw(st.lists(st.sampled_from([*pieces, *missing, "，但", "；", "因此", "，属于不允许的*/不符合要求"])))
    found = reasons.check(passed, "".join(said))
    assert found.outcome != "grounded" or passed == reasons.rules.passed
    assert (found.score == 1) == found.holds
    assert 0 <= found.score <= 1
    assert found.holds or (found.problems and all(explain(found.problems, lang) for lang in WORDS))


@given(st.integers(0, 10**9), st.sampled_from(MISSIONS))
def test_one_wrong_thing_undoes_the_rules_reason(seed: int, mission: Mission) -> None:
    photos = drawn(seed, mission)
    reasons = GroupReasons(mission.rule, photos)
    passed, reason = reasons.rules.passed, reasons.rules.reason
    assert reasons.check(not passed, reason).outcome == "contradicting"
    assert reasons.check(passed, f"{reason}；有图片_{len(photos) + 1} {DEVICE}").outcome == "contradicting"
    assert reasons.check(passed, f"{reason}；有图片_1 挡风板/爱立信,安装方向正确×99").outcome == "contradicting"
    assert reasons.check(passed, f"{reason}；有图片_1 挡风板/爱立信,安装方").outcome == "unreadable"
    assert reasons.check(passed, f"{reason}；一切都看得清楚，图片_1很清楚").holds


@settings(max_examples=50)
@given(st.text(max_size=60), st.booleans())
def test_any_text_can_be_checked(text: str, passed: bool) -> None:
    for reason in (text, f"图片_1 {text}", f"没有看到{text}", f"图片_1 {DEVICE}{text}"):
        assert group(INSTALLATION, f"{DEVICE}，{SCREW}").check(passed, reason).outcome


# ---- 通过 ----


@pytest.mark.parametrize(
    "reason",
    [
        f"有图片_1 {DEVICE}；有图片_2 {SCREW}",
        f"图片_2 {SCREW}，图片_1 {DEVICE}",
        f"图片_1：{DEVICE}。图片_2 中的 {SCREW}，均符合要求",
        "图片_1 BBU设备/华为/显示完整/无需安装×1；图片_2 螺丝/BBU安装螺丝,符合要求×2",  # other spellings
        f"经核对，图片_1 {DEVICE}表明设备已安装；图片_2 {SCREW}拧紧",
    ],
)
def test_a_pass_is_grounded_where_each_requirement_has_an_entry(reason: str) -> None:
    assert check(INSTALLATION, [DEVICE, f"{SCREW}，标签/5G×1"], True, reason) == ("grounded", [])


@pytest.mark.parametrize(
    ("cited", "score"),
    [
        ((), 0.0),
        ((CABINET,), 1 / 3),
        ((CABINET, WIRES), 2 / 3),
        ((CABINET, CABINET), 1 / 3),
        ((CABINET, BAR, WIRES), 1),
    ],
)
def test_the_score_of_a_pass_is_the_share_of_requirements_with_an_entry(cited: tuple[str, ...], score: float) -> None:
    reason = "；".join(f"有图片_1 {entry}" for entry in cited)
    assert group(GROUNDING, "，".join((CABINET, BAR, WIRES))).check(True, reason).score == pytest.approx(score)


def test_a_condition_that_applies_is_one_more_requirement() -> None:
    lines = [WANTS, SHIELDED]
    assert check(SHIELD, lines, True, f"有图片_1 {WANTS}") == ("incomplete", ["not_shown"])
    assert group(SHIELD, *lines).check(True, f"有图片_1 {WANTS}").score == pytest.approx(2 / 3)
    assert check(SHIELD, lines, True, f"有图片_1 {WANTS}；有图片_2 {SHIELDED}") == ("grounded", [])
    assert check(SHIELD, [DEVICE], True, f"有图片_1 {DEVICE}") == ("grounded", [])


@pytest.mark.parametrize(
    ("reason", "outcome", "kinds"),
    [
        (f"有图片_1 {DEVICE}；有图片_1 {SCREW}", "contradicting", ["absent"]),  # of the other photo
        (f"有图片_1 {DEVICE}；有图片_3 {SCREW}", "contradicting", ["no_photo"]),
        (f"有图片_1 {DEVICE}；有图片_0 {SCREW}", "contradicting", ["no_photo"]),
        (f"有图片_1 {DEVICE}；有图片_2 {SCREW[:-1]}1", "contradicting", ["absent"]),  # another count
        (f"有图片_1 {DEVICE}；有图片_2 {SCREW}0", "contradicting", ["absent"]),
        (f"有图片_1 {DEVICE}，{SCREW}", "contradicting", ["absent"]),  # both of photo 1
        (f"有图片_1 {DEVICE}；有图片_2 {SCREW}；没有看到BBU设备", "contradicting", ["is_seen"]),
        (f"有图片_1 {DEVICE}；有图片_2 {SCREW}；没有看到电线/捆扎整齐", "contradicting", ["missing_for_pass"]),
        (f"有图片_1 {DEVICE}，属于不允许的*/不符合要求", "contradicting", ["not_forbidden"]),
        (f"有图片_1 {DEVICE}；照片只有2张，少于要求的3张", "contradicting", ["wrong_count"]),
        (f"有图片_1 {DEVICE}", "incomplete", ["not_shown"]),
        (f"有图片_1 {DEVICE}；有图片_2 螺丝、光纤插头/BBU安装螺丝,符合", "unreadable", ["broken", "not_shown"]),
        (f"有图片_1 {DEVICE}；有图片_2 螺丝、光纤插头/BBU安装螺丝,符合要求", "unreadable", ["broken", "not_shown"]),
        ("证据齐全", "unreadable", ["nothing"]),
        ("图片_1和图片_2都符合要求", "unreadable", ["nothing"]),
        (f"{DEVICE}；{SCREW}", "unreadable", ["nothing"]),  # of no photo
        ("", "unreadable", ["nothing"]),
    ],
)
def test_what_is_wrong_with_a_pass(reason: str, outcome: str, kinds: list[str]) -> None:
    assert check(INSTALLATION, [DEVICE, SCREW], True, reason) == (outcome, kinds)


def test_a_pass_that_the_rule_refuses_has_no_reason() -> None:
    lines = [DEVICE, f"{SCREW}，{RUST}"]
    assert check(INSTALLATION, lines, True, f"有图片_1 {DEVICE}；有图片_2 {SCREW}") == ("contradicting", ["rule"])
    assert check(INSTALLATION, lines, True, f"有图片_2 {RUST}") == ("contradicting", ["for_other", "rule"])
    assert check(INSTALLATION, lines, True, "齐全") == ("unreadable", ["nothing", "rule"])


@pytest.mark.parametrize(
    "doubtful", ["螺丝、光纤插头/需复核,BBU安装螺丝,符合要求×2", "螺丝、光纤插头/BBU安装螺丝,符合要求×0"]
)
def test_what_is_no_evidence_shows_nothing(doubtful: str) -> None:
    reason = f"有图片_1 {DEVICE}；有图片_1 {doubtful}"
    lines = [f"{DEVICE}，{doubtful}", SCREW]
    assert check(INSTALLATION, lines, True, reason) == ("incomplete", ["not_shown", "idle"])


def test_a_list_of_all_entries_is_no_reason() -> None:
    lines = [f"{DEVICE}，标签/5G×1", f"{SCREW}，电线/捆扎整齐×1"]
    reason = f"图片_1 {DEVICE}，标签/5G×1；图片_2 {SCREW}，电线/捆扎整齐×1"
    assert check(INSTALLATION, lines, True, reason) == ("incomplete", ["idle", "idle"])
    assert group(INSTALLATION, *lines).check(True, reason).score == 2 / (2 + 2)
    assert group(INSTALLATION, *lines, RUST).check(False, f"图片_3 {RUST}；图片_1 标签/5G×1").score == 1 / 2


# ---- 不通过 ----


@pytest.mark.parametrize(
    "reason",
    [
        f"图片_2 {LOOSE}，属于不允许的电线/分布散乱",
        f"图片_2 {LOOSE}",
        "没有看到螺丝、光纤插头/地排处接地螺丝,符合要求",
        "没有看到 螺丝/地排处接地螺丝,符合要求。",
        f"有图片_1 {CABINET}，但没有看到螺丝、光纤插头/地排处接地螺丝,符合要求",
        f"图片_2里电线 {LOOSE}，需整改",
        f"有图片_1 标签/5G×1，但图片_2 {LOOSE}",
    ],
)
def test_a_fail_is_grounded_by_one_ground(reason: str) -> None:
    assert check(GROUNDING, [f"{CABINET}，标签/5G×1", f"{WIRES}，{LOOSE}"], False, reason) == ("grounded", [])


@pytest.mark.parametrize(
    ("reason", "outcome", "kinds"),
    [
        (f"图片_1 {LOOSE}", "contradicting", ["absent"]),
        (f"图片_2 {LOOSE}，属于不允许的光纤/无保护措施", "contradicting", ["not_forbidden"]),
        (f"图片_2 {LOOSE}；没有看到螺丝、光纤插头/机柜处接地螺丝,符合要求", "contradicting", ["is_seen"]),
        (f"图片_2 {LOOSE}；有图片_1 {CABINET}", "contradicting", ["for_other"]),
        (f"有图片_1 {CABINET}，但证据不足", "incomplete", ["no_ground"]),
        ("没有看到BBU设备/华为", "incomplete", ["no_ground"]),  # true, but the rule does not ask for it
        ("图片_1 标签/5G×1", "incomplete", ["no_ground", "idle"]),
        (f"图片_2 {LOOSE}，图片_1 标签/5G×1", "incomplete", ["idle"]),
        ("证据不足", "unreadable", ["nothing"]),
        ("没有看到足够的照片", "unreadable", ["nothing"]),
        ("没有看到螺丝的照片", "unreadable", ["nothing"]),
    ],
)
def test_what_is_wrong_with_a_fail(reason: str, outcome: str, kinds: list[str]) -> None:
    assert check(GROUNDING, [f"{CABINET}，标签/5G×1", f"{WIRES}，{LOOSE}"], False, reason) == (outcome, kinds)


def test_a_requirement_is_missing_under_any_of_its_names_unless_one_of_them_is_seen() -> None:
    lines, one, other = [WANTS], "BBU设备/这个BBU设备按要求配备了挡风板", "挡风板/安装方向正确"
    for named in (f"{one} 或 {other}", f"{other}或{one}", one, other):
        assert check(SHIELD, lines, False, f"没有看到{named}") == ("grounded", [])
    assert check(SHIELD, lines, False, f"没有看到{one} 或 BBU设备/无需安装") == ("incomplete", ["no_ground"])
    assert check(SHIELD, lines, False, "没有看到BBU设备/无需安装") == ("contradicting", ["is_seen"])
    assert check(SHIELD, [DEVICE], False, f"没有看到{other}") == ("contradicting", ["rule"])  # not asked for here


def test_too_few_photos_are_a_ground_with_both_numbers_right() -> None:
    rule = Rule.model_validate({"text": "须有电线", "require": [["电线"]], "min_photos": 3})
    reasons = GroupReasons(rule, [parse(WIRES), parse(WIRES)])
    assert reasons.check(False, "照片只有2张，少于要求的3张").holds
    assert reasons.check(False, "这组照片只有2张, 少于要求的3张，请补拍").holds
    for wrong in ("照片只有1张，少于要求的3张", "照片只有2张，少于要求的4张"):
        assert reasons.check(False, wrong).outcome == "contradicting"
    assert reasons.check(True, f"有图片_1 {WIRES}").outcome == "contradicting"


# ---- words, speed ----


def test_what_is_wrong_is_said_in_both_languages() -> None:
    problems = group(INSTALLATION, DEVICE, SCREW).check(True, f"有图片_1 {SCREW}").problems
    assert explain(problems, "zh") == [f"图片_1的摘要中没有“{SCREW}”"]
    assert explain(problems, "en") == [f"the summary of 图片_1 does not contain “{SCREW}”"]
    assert WORDS["zh"].keys() == WORDS["en"].keys()


def test_a_reason_that_no_one_would_read_is_not_read() -> None:
    found = group(INSTALLATION, DEVICE, SCREW).check(True, f"图片_1 {DEVICE}" * (LONGEST // 20))
    assert (found.outcome, [problem.kind for problem in found.problems]) == ("unreadable", ["too_long"])


@pytest.mark.parametrize("piece", ["图片_1 ", f"{DEVICE}和", "图片_1 a/", "没有看到a/b 或 ", "×", "图片_1 备注:，"])
def test_the_longest_reasons_are_read_in_less_than_a_second(piece: str) -> None:
    reasons, text = group(INSTALLATION, *[f"{DEVICE}，{SCREW}"] * 30), "图片_1 " + piece * (LONGEST // len(piece) - 10)
    begin = time.process_time()
    reasons.check(False, text[:LONGEST])
    assert time.process_time() - begin < 1


def test_two_thousand_reasons_take_less_than_two_seconds() -> None:
    known: dict[str, Any] = {row["group_id"]: row for row in rows(200, 3)}
    begin = time.process_time()
    for row in known.values():
        reasons = group(row["mission"], *row["summaries"])
        for number in range(10):
            reasons.check(True, f"{reasons.rules.reason}；{number}")
    assert time.process_time() - begin < 2
