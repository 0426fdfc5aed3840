"""Jobs have the label that the rule gives them, for every mission, and show every defect of the vocabulary."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from yanshou.errors import InputError
from yanshou.missions import Mission, load_missions
from yanshou.missions.rules import decide
from yanshou.schema.records import Label
from yanshou.schema.summary import parse, problems
from yanshou.world.jobs import Job, random_job

MISSIONS = list(load_missions())
DEFECTS = (
    *("不符合要求/未拧紧", "不符合要求/露铜", "不符合要求/复接", "不符合要求/生锈"),
    *("安装方向错误", "分布散乱", "无保护措施", "弯曲半径不合理", "未按要求配备挡风板"),
)


@pytest.fixture(scope="module", params=MISSIONS, ids=lambda mission: mission.name)
def jobs(request: pytest.FixtureRequest) -> list[Job]:
    """300 jobs of one mission."""
    mission: Mission = request.param
    return [random_job(Random(f"{mission.name}:{number}"), mission) for number in range(300)]


def _decided(job: Job) -> Label:
    return "pass" if decide(job.mission.rule, [parse(line) for line in job.lines()]).passed else "fail"


def test_the_label_is_the_decision_of_the_rule_about_the_lines(jobs: list[Job]) -> None:
    assert [job.label for job in jobs] == [_decided(job) for job in jobs]


def test_thirty_to_fifty_percent_of_jobs_fail(jobs: list[Job]) -> None:
    assert 0.3 <= sum(job.label == "fail" for job in jobs) / len(jobs) <= 0.5


def test_groups_have_one_to_eight_photos(jobs: list[Job]) -> None:
    counts = Counter(len(job.scenes) for job in jobs)

    assert set(counts) == {1, 2, 3, 4, 5, 6, 7, 8}
    assert counts.most_common(1)[0][0] == 3


def test_lines_stay_in_the_vocabulary(jobs: list[Job]) -> None:
    assert [problem for job in jobs for line in job.lines() for problem in problems(parse(line))] == []


def test_passing_and_failing_groups_have_unrelated_photos(jobs: list[Job]) -> None:
    assert {job.label for job in jobs if "无关图片×1" in job.lines()} == {"pass", "fail"}


def test_groups_fail_for_forbidden_items_and_for_missing_ones(jobs: list[Job]) -> None:
    grounds = [decide(job.mission.rule, map(parse, job.lines())).reason for job in jobs if job.label == "fail"]

    assert any("没有看到" in ground and "属于不允许" not in ground for ground in grounds)
    assert any("属于不允许" in ground or ground.startswith("有图片") for ground in grounds)


def test_all_defects_of_the_vocabulary_occur_in_failing_groups() -> None:
    jobs = [random_job(Random(f"defects:{number}"), MISSIONS[number % 4]) for number in range(400)]
    text = "\n".join(line for job in jobs if job.label == "fail" for line in job.lines())

    assert [defect for defect in DEFECTS if defect not in text] == []


@pytest.mark.parametrize("label", ["pass", "fail"])
@pytest.mark.parametrize("mission", MISSIONS, ids=lambda mission: mission.name)
def test_a_job_has_the_requested_label(mission: Mission, label: Label) -> None:
    jobs = [random_job(Random(number), mission, label) for number in range(20)]

    assert {job.label for job in jobs} == {_decided(job) for job in jobs} == {label}


def _mission(tmp_path: Path, rule: str) -> Mission:
    file = tmp_path / "own.toml"
    file.write_text(f'name = "自定"\nfocus = "看标签。"\n[rule]\ntext = "看标签。"\n{rule}', encoding="utf-8")
    return load_missions([file]).get("自定")


@pytest.mark.parametrize(
    "rule",
    [
        'require = [["标签/GND"]]\nforbid = ["标签/无法识别"]',
        'require = [["光纤/蛇形管", "光纤/铠装"]]\nforbid = ["*/生锈", "挡风板/安装方向错误"]',
        'require = [["挡风板/中兴"]]\nwhen = [{ if = "电线/分布散乱", need = ["标签/-48V"] }]',
        'require = [["挡风板"]]\nwhen = [{ if = "挡风板", need = ["挡风板/安装方向正确", "挡风板/安装方向错误"] }]',
    ],
)
def test_groups_are_built_for_a_custom_mission(tmp_path: Path, rule: str) -> None:
    mission = _mission(tmp_path, rule)
    jobs = [random_job(Random(number), mission) for number in range(60)]

    assert [job.label for job in jobs] == [_decided(job) for job in jobs]
    assert 0.2 < sum(job.label == "fail" for job in jobs) / len(jobs) < 0.6


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('require = [["光纤/已断"]]', "光纤/已断"),
        ('require = [["标签/GND"]]\nforbid = ["标签/GND"]', "mission 自定: the demo world cannot draw a group .* pass"),
    ],
)
def test_a_rule_that_the_demo_world_cannot_show_is_an_error(tmp_path: Path, rule: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        random_job(Random(0), _mission(tmp_path, rule), "pass")
