"""`yanshou audit draw` and `yanshou audit estimate`: from decisions to what may be said about all released groups."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import Result
from scipy.stats import binom
from support.cli_runs import run
from support.decision_lines import POLICY, decided
from support.label_rows import row, write_labels
from support.lines import GROUNDING, SHIELD, write_lines

from yanshou.audit.draw import read_audit
from yanshou.audit.estimate import estimate_audit
from yanshou.schema.audit import Audit
from yanshou.settings import AuditEstimateSettings

LATER, EARLIER = "2126-02-03T09:30:00+08:00", "2001-02-03T09:30:00+08:00"


@pytest.fixture
def decisions(tmp_path: Path) -> list[Path]:
    """Two missions: 60 and 20 groups released, 5 blocked, 15 for a person."""
    first = [decided(f"QC-{number}", label="pass" if number % 2 else None) for number in range(60)]
    others = [decided(f"QC-b{n}", "block") for n in range(5)] + [decided(f"QC-r{n}", "review") for n in range(15)]
    second = [decided(f"QC-{number}", mission=SHIELD) for number in range(20)]
    return [
        write_lines(tmp_path / f"{GROUNDING}_decisions.jsonl", [*first, *others]),
        write_lines(tmp_path / f"{SHIELD}_decisions.jsonl", second),
    ]


def draw(output: Path, decisions: Sequence[Path], size: int = 40, *more: str) -> Result:
    return run("audit", "draw", "--size", str(size), "--output", str(output), *more, *map(str, decisions))


def drawn(folder: Path, decisions: Sequence[Path], size: int = 40, *more: str) -> Audit:
    result = draw(folder / "audit.json", decisions, size, *more)
    assert result.exit_code == 0, result.stderr
    return read_audit(folder / "audit.json")


def answers(audit: Audit, bad: int = 0, unsure: int = 0, when: str = LATER) -> list[dict[str, Any]]:
    """A row per group of the sample: the first are fails, then the unsure ones."""
    said = ["fail"] * bad + ["unsure"] * unsure + ["pass"] * (len(audit.groups) - bad - unsure)
    return [
        row(label, when, group.group_id, group.label_given, mission=group.mission)
        for label, group in zip(said, audit.groups, strict=True)
    ]


def estimate(folder: Path, labels: Path, *more: str) -> Result:
    return run("audit", "estimate", str(folder / "audit.json"), "--labels", str(labels), *more)


def test_the_sample_is_of_released_groups_and_does_not_depend_on_order(tmp_path: Path, decisions: list[Path]) -> None:
    audit = drawn(tmp_path, decisions)
    assert (audit.released, audit.not_released, len(audit.groups), audit.policy) == (80, 20, 40, POLICY)
    assert not any(group.group_id.startswith(("QC-b", "QC-r")) for group in audit.groups)
    assert sum(mission.sampled for mission in audit.missions.values()) == 40
    lines = decisions[0].read_bytes().splitlines(keepends=True)
    Random(1).shuffle(lines)
    decisions[0].write_bytes(b"".join(lines))
    assert draw(tmp_path / "b.json", decisions[::-1]).exit_code == 0
    assert read_audit(tmp_path / "b.json").groups == audit.groups
    assert draw(tmp_path / "c.json", decisions, 40, "--seed", "1").exit_code == 0
    assert read_audit(tmp_path / "c.json").groups != audit.groups


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, decisions: list[Path]) -> None:
    result = draw(tmp_path / ("x" * 300), decisions)
    assert result.exit_code == 1
    assert "x: cannot be written: File name too long. " in result.stderr

    before = decisions[0].read_bytes()
    result = draw(decisions[0], decisions)
    assert result.exit_code == 1
    assert "Where it was never an audit, give another --output." in result.stderr
    assert decisions[0].read_bytes() == before


def test_the_draw_is_the_same_on_every_machine_and_version(tmp_path: Path, decisions: list[Path]) -> None:
    first = [f"{group.mission} {group.label_given} {group.group_id}" for group in drawn(tmp_path, decisions, 4).groups]
    assert first == [
        "BBU接地线检查 pass QC-59",
        "BBU接地线检查 None QC-26",
        "BBU接地线检查 None QC-32",
        "挡风板安装检查 None QC-1",
    ]  # the lowest SHA-256 of [0, mission, label, id] as ASCII JSON


def test_every_released_group_is_equally_likely(tmp_path: Path, decisions: list[Path]) -> None:
    """Over 400 seeds each of 80 groups is drawn 100 times, give or take: 99.9 % limits for the most extreme of 80."""
    from yanshou.audit.draw import _draw
    from yanshou.schema.records import GroupKey

    keys = [GroupKey(GROUNDING, None, f"QC-{number}") for number in range(80)]
    counts = dict.fromkeys(keys, 0)
    for seed in range(400):
        for key in sorted(keys, key=lambda key, seed=seed: _draw(seed, key))[:20]:
            counts[key] += 1
    low, high = binom.ppf([0.001 / 160, 1 - 0.001 / 160], 400, 0.25)
    assert all(low <= count <= high for count in counts.values())


def test_the_audit_names_nothing_that_the_system_thinks(tmp_path: Path, decisions: list[Path]) -> None:
    drawn(tmp_path, decisions)
    text = (tmp_path / "audit.json").read_text("utf-8")
    assert set(json.loads(text)["groups"][0]) == {"group_id", "mission", "label_given"}
    assert "0.97" not in text
    assert "放行" not in text


def test_an_audit_is_drawn_once(tmp_path: Path, decisions: list[Path]) -> None:
    drawn(tmp_path, decisions)
    before = (tmp_path / "audit.json").read_bytes()
    assert draw(tmp_path / "audit.json", decisions).exit_code == 0
    assert (tmp_path / "audit.json").read_bytes() == before  # the time of the draw, too
    again = draw(tmp_path / "audit.json", decisions, 40, "--seed", "1")
    assert again.exit_code == 1
    assert "another audit is there, drawn " in again.stderr
    assert "with seed 0: 40 of 80 released groups. An audit is not drawn again. Give another name." in again.stderr
    (tmp_path / "audit.json").write_text("{}")
    assert "this is not an audit (key format is not 1)" in draw(tmp_path / "audit.json", decisions).stderr
    assert (tmp_path / "audit.json").read_text() == "{}"


def test_what_cannot_be_drawn_is_refused(tmp_path: Path, decisions: list[Path]) -> None:
    many = draw(tmp_path / "a.json", decisions, 81)
    assert many.exit_code == 1
    assert "80 of 100 groups are released, fewer than --size 81. Draw at most 80." in many.stderr
    assert draw(tmp_path / "a.json", decisions, 0).exit_code == 2
    other = write_lines(tmp_path / "x_decisions.jsonl", [decided("QC-x", policy="ab" * 32)])
    assert f"decided by policy {'ab' * 6}…, but by policy 3c4b3c4b3c4b… at" in draw(
        tmp_path / "a.json", [*decisions, other]
    ).stderr  # fmt: skip
    none = write_lines(tmp_path / "none_decisions.jsonl", [decided("QC-1", "review")])
    assert "0 of 1 groups are released, fewer than --size 5. There is nothing to audit." in draw(
        tmp_path / "a.json", [none], 5
    ).stderr  # fmt: skip
    assert not (tmp_path / "a.json").exists()


def test_the_draw_says_what_its_size_can_show(tmp_path: Path, decisions: list[Path]) -> None:
    result = draw(tmp_path / "audit.json", decisions, 40, "--limit", "0.05")
    assert result.stdout.splitlines()[2:] == [
        "if none of the 40 is bad, at most 4 of 80 (5.0%) released groups are, at 95% confidence",
        "to show that at most 5% of 80 released groups are bad, at 95% confidence: N=36 with 0 bad, N=52 with 1 bad",
        f"audit: {tmp_path / 'audit.json'}",
        f"next, people answer these groups: yanshou review --audit {tmp_path / 'audit.json'} --store review.sqlite, "
        f"with the same files; then yanshou review-export, and yanshou audit estimate {tmp_path / 'audit.json'} "
        "--labels labels.csv",
    ]
    said = json.loads(draw(tmp_path / "audit.json", decisions, 40, "--limit", "0.05", "--json").stdout)
    assert (said["released"], said["sample_needed"]) == (
        80, {"limit": 0.05, "by_bad_groups_found": {"0": 36, "1": 52, "2": 65}},
    )  # fmt: skip


def test_there_is_no_figure_until_every_group_has_a_later_answer(tmp_path: Path, decisions: list[Path]) -> None:
    audit = drawn(tmp_path, decisions)
    rows = answers(audit, bad=1)
    labels = write_labels(tmp_path / "labels.csv", *rows[:-2], *answers(audit, when=EARLIER)[-2:-1])
    result = estimate(tmp_path, labels)
    assert result.exit_code == 3
    assert "no figure yet: 2 of 40 groups have no answer, 1 of them have one from before the draw (" in result.stderr
    assert audit.groups[-1].group_id in result.stderr
    assert "bad in the sample" not in result.stdout
    said = json.loads(estimate(tmp_path, labels, "--json").stdout)
    assert (said["bad"], said["missions"], said["false_release"], len(said["missing"])) == (None, {}, None, 2)


def test_unsure_counts_as_fail_and_the_bound_is_about_all_released_groups(
    tmp_path: Path, decisions: list[Path]
) -> None:
    audit = drawn(tmp_path, decisions)
    labels = write_labels(tmp_path / "labels.csv", *answers(audit, bad=1, unsure=1), row("fail", group="QC-other"))
    result = estimate(tmp_path, labels, "--limit", "0.1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == "1 groups with labels are not in the sample and do not count"
    assert "bad in the sample: 2 of 40 (5.0%): 1 fail, 1 unsure" in result.stdout
    assert "bad among all released groups: at most 9 of 80 (11.2%), at 95% confidence" in result.stdout
    assert "the false-release rate needs --human-fails: how many of the 20 blocked and reviewed groups" in result.stdout
    assert "the bounds are about all missions together" in result.stdout


def test_the_false_release_rate_is_by_the_same_bound(tmp_path: Path, decisions: list[Path]) -> None:
    """2 of 40 bad: 4 of 80 expected, 9 at most; people failed 16 others: 4 / 20 and 9 / 25."""
    audit = drawn(tmp_path, decisions)
    labels = write_labels(tmp_path / "labels.csv", *answers(audit, bad=2))
    result = estimate(tmp_path, labels, "--human-fails", "16")
    assert "false-release rate: 20.0%, at most 36.0%, at 95% confidence" in result.stdout
    said = json.loads(estimate(tmp_path, labels, "--human-fails", "16", "--json").stdout)
    assert said["false_release"] == {"human_fails": 16, "share": 0.2, "upper": 0.36}
    assert (said["bad"]["at_most"], said["bad"]["share"], said["bad"]["upper"]) == (9, 0.05, 9 / 80)
    more = estimate(tmp_path, labels, "--human-fails", "21")
    assert more.exit_code == 2
    assert "21 human fails are more than the 20 blocked and reviewed groups" in more.stderr


def test_a_sample_of_all_groups_without_a_bad_one_has_no_rate(tmp_path: Path, decisions: list[Path]) -> None:
    labels = write_labels(tmp_path / "labels.csv", *answers(drawn(tmp_path, decisions, 80)))
    result = estimate(tmp_path, labels, "--human-fails", "0")
    assert "bad among all released groups: at most 0 of 80 (0.0%)" in result.stdout
    assert "false-release rate: none, because people failed no group" in result.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": []}, "key groups is []: "),
        ({"seed": "1"}, "key seed is '1': "),
        ({"missions": {}}, "of a group is not in missions"),
        ({"policy": "x"}, "key policy is 'x': "),
        ({"created": "yesterday"}, "key created is 'yesterday': "),
        ({"created": "2026-02-03"}, "key created is '2026-02-03': the offset from UTC is missing"),
        ({"colour": 1}, "unknown key colour"),
    ],
)
def test_an_audit_that_was_changed_is_named(
    tmp_path: Path, decisions: list[Path], change: dict[str, Any], message: str
) -> None:
    drawn(tmp_path, decisions)
    path = tmp_path / "audit.json"
    labels = write_labels(tmp_path / "labels.csv", row("pass"))
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), encoding="utf-8")
    result = estimate(tmp_path, labels)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Restore the file as `yanshou audit draw` wrote it." in result.stderr


def test_numbers_and_groups_of_an_audit_must_fit(tmp_path: Path, decisions: list[Path]) -> None:
    audit = drawn(tmp_path, decisions)
    values = audit.model_dump()
    values["missions"][GROUNDING]["sampled"] += 1
    with pytest.raises(ValueError, match="do not fit the groups"):
        Audit.model_validate(values)
    with pytest.raises(ValueError, match="a group is in groups twice"):
        Audit.model_validate({**audit.model_dump(), "groups": [audit.groups[0].model_dump()] * 40})


def test_over_200_audits_from_files_the_bound_covers_the_truth(tmp_path: Path) -> None:
    """Five of 100 released groups are bad. Every audit has a seed of its own; the answers are the truth."""
    path = write_lines(tmp_path / "a_decisions.jsonl", [decided(f"QC-{number}") for number in range(100)])
    labels = write_labels(
        tmp_path / "labels.csv",
        *(row("fail" if number % 20 == 0 else "pass", LATER, f"QC-{number}", None) for number in range(100)),
    )
    covered = 0
    for seed in range(200):
        output = tmp_path / f"{seed}.json"
        assert draw(output, [path], 40, "--seed", str(seed), "--quiet").exit_code == 0
        bad = estimate_audit(AuditEstimateSettings(audit=output, labels=(labels,))).bad
        covered += bad is not None and bad.most >= 5
    assert covered >= binom.ppf(0.01, 200, 0.95)
