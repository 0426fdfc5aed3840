"""Promises and decisions of whole evaluations: per mission and side, pooled, crossing, without p_pass, all at once."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.judged_files import amend
from support.lines import GROUNDING, SHIELD, fault, stage_a_line, verdict, write_lines
from support.training_rows import row

from yanshou.errors import InputError, UsageError
from yanshou.evaluate import Rate, evaluate
from yanshou.evaluate.decision_counts import DecisionCounts
from yanshou.evaluate.policy import to_json
from yanshou.evaluate.promises import Promises, SidePromises
from yanshou.evaluate.threshold import Promise, find_promise
from yanshou.missions import load_missions
from yanshou.schema.policy import Policy, policy_sha256
from yanshou.settings import ThresholdSettings
from yanshou.world.jobs import random_job

MISSIONS = load_missions()
Judged = Callable[..., Path]


def groups(label: str, count: int, p: float | None, mission: str = GROUNDING, name: str = "") -> Iterator[Any]:
    for number in range(count):
        yield verdict(f"QC-{label}{name}{number}", label, label, p, mission=mission)


@pytest.fixture
def clear(judged: Judged) -> Path:
    """Fifty fails at 0.2, fifty passes at 0.8."""
    return judged([*groups("pass", 50, 0.8), *groups("fail", 50, 0.2)])


def decisions(file: Path, *more: Path, **options: Any) -> DecisionCounts:
    found = evaluate([file, *more], None, MISSIONS, ThresholdSettings(**options)).all_decisions()
    assert found is not None
    return found


def test_what_is_not_released_goes_to_a_person_where_no_limit_on_false_blocks_is_given(clear: Path) -> None:
    counts = decisions(clear, max_false_release=0.1)
    assert (counts.released, counts.blocked, counts.review) == (Rate(50, 100), Rate(0, 100), Rate(50, 100))
    assert (counts.false_release, counts.false_block) == (Rate(0, 50), Rate(0, 50))


def test_a_limit_on_false_blocks_alone_releases_nothing(clear: Path) -> None:
    counts = decisions(clear, max_false_block=0.1)
    assert (counts.released, counts.blocked, counts.review) == (Rate(0, 100), Rate(50, 100), Rate(50, 100))


def test_where_the_thresholds_cross_a_person_decides(judged: Judged) -> None:
    """Two fails of 100 are better than the passes, which would all be released; and blocked, with two passes lower."""
    far = [*groups("fail", 98, 0.1), *groups("fail", 2, 0.6, name="x"), *groups("pass", 98, 0.9)]
    limits = ThresholdSettings(max_false_release=0.1, max_false_block=0.1)
    result = evaluate([judged([*far, *groups("pass", 2, 0.4, name="x")])], None, MISSIONS, limits)
    policy = result.policy
    assert policy is not None
    sides = policy.missions[GROUNDING]
    assert sides.release is not None
    assert sides.block is not None
    assert (sides.release.threshold, sides.block.threshold) == (0.2, 0.8)
    assert result.promises is not None
    assert result.promises.missions[GROUNDING].cross
    between = {group.key.group_id for group in result.groups if group.decision == "review"}
    assert between == {"QC-failx0", "QC-failx1", "QC-passx0", "QC-passx1"}
    assert {group.outcome for group in result.groups} == {"release", "block", "review"}


def test_groups_without_a_p_pass_or_a_verdict_go_to_a_person(judged: Judged) -> None:
    judged_groups = [*groups("pass", 50, 0.8), *groups("fail", 50, 0.2), *groups("pass", 3, None, name="x")]
    lines = [stage_a_line(one["group_id"], one["label"]) for one in judged_groups] + [stage_a_line("QC-1", "pass")]
    file = judged(judged_groups, lines, [fault("QC-1", "pass")])
    result = evaluate([file], None, MISSIONS, ThresholdSettings(max_false_release=0.1))
    assert result.all_decisions() is not None
    assert [group.decision for group in result.groups][-4:] == ["review"] * 4
    assert result.promises is not None
    promise = result.promises.missions[GROUNDING].release
    assert promise is not None
    assert (promise.errors, promise.gained) == (Rate(0, 50), Rate(50, 50))


def test_verdicts_of_the_rules_alone_have_no_promise(judged: Judged) -> None:
    with pytest.raises(UsageError, match=r"no other group has one.* Leave out --max-false-release"):
        evaluate([judged([verdict("QC-1", p=None)])], None, MISSIONS, ThresholdSettings(max_false_block=0.1))


def test_each_mission_has_its_own_promise_and_pooled_ones_share_it(clear: Path, judged: Judged) -> None:
    """Twenty fails are too few for a promise about one mission. Together with the other's fifty they are enough."""
    other = judged([*groups("pass", 30, 0.7, SHIELD), *groups("fail", 20, 0.3, SHIELD)], mission=SHIELD)
    apart = evaluate([clear, other], None, MISSIONS, ThresholdSettings(max_false_release=0.1))
    assert apart.promises is not None
    named = dict(apart.promises.each())
    assert [named[GROUNDING].threshold, named[SHIELD].threshold, named[SHIELD].missing] == [0.5, None, 21]
    assert (apart.promises.made, apart.promises.asked, apart.promises.tested) == (1, 2, 1)
    assert apart.decisions()[SHIELD].review == Rate(50, 50)
    pooled = evaluate([clear, other], None, MISSIONS, ThresholdSettings(max_false_release=0.1, pooled=True))
    assert pooled.promises is not None
    ((mission, promise),) = pooled.promises.each()
    assert (mission, promise.threshold, promise.errors) == (None, 0.5, Rate(0, 70))
    assert pooled.policy is not None
    shared = {name: of.release and (of.release.threshold, of.release.of) for name, of in pooled.policy.missions.items()}
    assert shared == {GROUNDING: (0.5, 70), SHIELD: (0.5, 70)}
    assert any("a single mission" in line for line in pooled.promises.not_covered())
    assert not any("a single mission" in line for line in apart.promises.not_covered())


def test_what_is_unknown_of_several_missions_is_one_warning(clear: Path, judged: Judged) -> None:
    other = judged(groups("pass", 9, 0.7, SHIELD), mission=SHIELD)
    warnings = evaluate([clear, other], None, MISSIONS, ThresholdSettings(max_false_release=0.1)).warnings
    (warning,) = (line for line in warnings if "no run file says what made the summaries" in line)
    assert warning.startswith(f"{GROUNDING}, {SHIELD}: ")


def test_missions_of_two_judges_share_no_threshold(clear: Path, judged: Judged) -> None:
    other = judged([*groups("pass", 9, 0.7, SHIELD)], mission=SHIELD)
    amend(clear, checkpoint="4f0c")
    amend(other, checkpoint="77aa")
    with pytest.raises(UsageError, match="--pooled: the missions were judged by different judges"):
        evaluate([clear, other], None, MISSIONS, ThresholdSettings(max_false_release=0.1, pooled=True))
    assert evaluate([clear, other], None, MISSIONS, ThresholdSettings(max_false_release=0.1)).policy is not None


def test_the_policy_names_what_it_rests_on(clear: Path, tmp_path: Path) -> None:
    amend(clear, checkpoint="4f0c", threshold=0.5)
    result = evaluate(
        [clear], None, MISSIONS, ThresholdSettings(max_false_release=0.1, max_false_block=0.1, confidence=0.9)
    )
    policy = result.policy
    assert policy is not None
    mission = policy.missions[GROUNDING]
    assert mission.judge == {"checkpoint": "4f0c", "engine": None}  # no threshold, no Stage-A file
    assert mission.summaries is None  # without a run file
    assert any("no run file says what made the summaries" in warning for warning in result.warnings)
    assert (mission.groups, mission.human_passes, mission.human_fails) == (100, 50, 50)
    assert (policy.labels.folders, policy.labels.corrected, policy.confidence) == (100, 0, 0.9)
    content = json.loads(to_json(policy))
    assert content["sha256"] == policy_sha256(content)
    assert Policy.model_validate(content) == policy
    changed = content | {"confidence": 0.99}
    assert policy_sha256(changed) != content["sha256"]


def test_stage_a_files_of_one_mission_that_were_made_differently_make_no_policy(judged: Judged, tmp_path: Path) -> None:
    file = judged([*groups("pass", 5, 0.8)])
    stage_a = file.with_name(f"{GROUNDING}_stage_a.jsonl")
    lines = stage_a.read_text("utf-8").splitlines(keepends=True)
    parts = [tmp_path / "a_stage_a.jsonl", tmp_path / "b_stage_a.jsonl"]
    run = json.loads(file.with_suffix(".run.json").read_text("utf-8"))
    for part, text, checkpoint in zip(parts, (lines[:2], lines[2:]), ("4f0c", "77aa"), strict=True):
        part.write_text("".join(text), encoding="utf-8")
        part.with_suffix(".run.json").write_text(json.dumps(run | {"settings": {"checkpoint": checkpoint}}))
    assert evaluate([file], parts, MISSIONS).policy is None
    with pytest.raises(InputError, match=r"were made differently \(checkpoint\)"):
        evaluate([file], parts, MISSIONS, ThresholdSettings(max_false_block=0.1))


def test_a_policy_names_the_digest_of_the_dataset_file_that_limits_it(clear: Path, tmp_path: Path) -> None:
    rows = [
        row(random_job(Random(number), MISSIONS.get(GROUNDING), label), f"QC-{label}{number}")
        for label in ("pass", "fail")
        for number in range(45)
    ]
    val = write_lines(tmp_path / "val.jsonl", rows)
    policy = evaluate([clear], None, MISSIONS, ThresholdSettings(max_false_release=0.1), only=[val]).policy
    assert policy is not None
    assert [(one.file, one.sha256) for one in policy.only] == [("val.jsonl", sha256(val.read_bytes()).hexdigest())]
    assert policy.missions[GROUNDING].groups == 90


def promises(tested: int, confidence: float, few: int = 0) -> Promises:
    enough = find_promise("release", [0.9], [0.1] * 999, 0.1, confidence)
    none = find_promise("release", [0.9], [], 0.1, confidence)
    sides: list[Promise] = [enough] * tested + [none] * few
    missions = {str(number): SidePromises(side, None) for number, side in enumerate(sides)}
    return Promises(missions, pooled=False, confidence=confidence)


@pytest.mark.parametrize(
    ("tested", "confidence", "chance"),
    [(1, 0.95, 0.95), (8, 0.95, 0.6), (20, 0.95, 0.0), (40, 0.95, 0.0), (8, 0.99, 0.92)],
)
def test_all_promises_hold_at_least_as_often_as_the_union_bound_says(
    tested: int, confidence: float, chance: float
) -> None:
    found = promises(tested, confidence, few=3)
    assert (found.asked, found.tested, found.made) == (tested + 3, tested, tested)
    assert found.all_hold == pytest.approx(chance)
    wanted = promises(tested, found.confidence_for_all)
    assert wanted.all_hold == pytest.approx(confidence)


@given(st.lists(st.tuples(st.sampled_from(["pass", "fail", None]), st.sampled_from(["release", "block", "review"]))))
def test_every_group_is_released_or_blocked_or_goes_to_a_person(decided: list[Any]) -> None:
    counts = DecisionCounts.of(decided)
    assert counts.released.count + counts.blocked.count + counts.review.count == len(decided)
    assert counts.false_release.count + counts.false_block.count <= counts.released.count + counts.blocked.count
    assert counts.false_release.of == sum(label == "fail" for label, _ in decided)
