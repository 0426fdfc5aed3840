"""What figures are worth, on drawn jobs that the rules judged: baseline, shortcut, and both in the JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from support.judged_groups import judged_group
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict

from yanshou.evaluate import evaluate
from yanshou.evaluate.worth import Worth
from yanshou.missions import load_missions
from yanshou.world.jobs import random_job

MISSIONS = load_missions()
Judged = Callable[..., Path]
DOUBT = "标签/需复核备注:看不清×1"


def drawn(judged: Judged, mission: str, groups: int, planted: float = 0.5, right: float = 0.9) -> Path:
    """Groups of drawn jobs. `right`: how often the judge is right. `planted`: how often a pass has 需复核."""
    rng, lines, verdicts = Random(5), [], []
    for number in range(groups):
        job = random_job(rng, MISSIONS.get(mission))
        flag = rng.random() < (planted if job.label == "pass" else 1 - planted)
        lines.append(stage_a_line(f"QC-{number}", job.label, *job.lines(), *[DOUBT] * flag, mission=mission))
        says = job.label if rng.random() < right else "fail" if job.label == "pass" else "pass"
        p = 0.5 + (0.5 if says == "pass" else -0.5) * rng.random()
        verdicts.append(verdict(f"QC-{number}", job.label, says, p, mission=mission))
    return judged(verdicts, lines, mission=mission)


def missions_of(result: Any) -> dict[str, Any]:
    return json.loads(json.dumps(result.to_dict(), allow_nan=False))["missions"]  # type: ignore[no-any-return]


def test_a_planted_shortcut_is_named_and_one_that_is_not_there_is_not(judged: Judged) -> None:
    (warning,) = [w for w in evaluate([drawn(judged, GROUNDING, 300, 0.97)], None, MISSIONS).warnings if "alone" in w]
    assert "需复核" in warning
    plain = evaluate([drawn(judged, GROUNDING, 300)], None, MISSIONS)
    assert not any("alone" in w for w in plain.warnings)
    assert missions_of(plain)[GROUNDING]["shortcut"]["auc"] > 0.5


def test_each_mission_has_its_own_baseline_and_their_total_needs_all(judged: Judged) -> None:
    files = [drawn(judged, GROUNDING, 200, right=0.99), drawn(judged, SHIELD, 12)]
    result = evaluate(files, None, MISSIONS)
    one, few = result.missions[GROUNDING], result.missions[SHIELD]
    assert one.learned is not None
    assert one.learned.groups == 200
    released = one.judge.passes_released + one.judge.fails_released
    assert one.learned.passes_released + one.learned.fails_released == released
    assert (few.learned, [row.what for row in few.rows()]) == (None, ["judge", "rules", "always_pass"])
    assert result.overall is not None
    assert result.overall.learned is None
    found = missions_of(result)
    assert found[GROUNDING]["learned_baseline"]["released"] == released
    assert found[SHIELD]["learned"] is None
    assert found[SHIELD]["learned_baseline"]["groups_needed"] == 20
    assert "it takes 20 groups of each label" in found[SHIELD]["learned_baseline"]["why"]


def test_the_total_has_the_learned_baselines_of_all_missions(judged: Judged) -> None:
    result = evaluate([drawn(judged, GROUNDING, 200), drawn(judged, SHIELD, 200)], None, MISSIONS)
    assert result.overall is not None
    assert result.overall.learned is not None
    assert result.overall.learned.groups == 400


def test_groups_without_a_label_or_without_summaries_are_left_out_of_the_baseline() -> None:
    rng = Random(7)
    jobs = [random_job(rng, MISSIONS.get(GROUNDING)) for _ in range(100)]
    groups = [judged_group(f"QC-{number}", job.label, job.lines()) for number, job in enumerate(jobs)]
    others = [judged_group("QC-new", None, jobs[0].lines()), judged_group("QC-none", "pass")]
    worth = Worth.of([*groups, *others], MISSIONS.get(GROUNDING).rule, 0.95)
    assert worth.learned is not None
    assert list(worth.learned) == [group.key for group in groups]
