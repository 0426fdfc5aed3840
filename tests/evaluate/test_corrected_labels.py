"""`yanshou evaluate --labels`: figures and thresholds use the latest label; identities keep the folder's."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.judged_files import write_judged
from support.label_rows import NOON, row, write_labels
from support.lines import GROUNDING, verdict

from yanshou.cli import main
from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.settings import ThresholdSettings

MISSIONS = load_missions()


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Sixty fails with a p_pass below 0.3 and sixty passes above 0.7; QC-0 is a fail in the folder of passes."""
    says = [verdict(f"QC-{n}", "pass" if n == 0 else "fail", "fail", 0.1 + n / 1000) for n in range(60)]
    passes = [verdict(f"QC-{n}", "pass", "pass", 0.7 + n / 1000) for n in range(60, 120)]
    return write_judged(tmp_path, [*says, *passes])


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_labels(
        tmp_path / "labels.csv", row("fail", NOON, "QC-0"), row("pass", group="QC-0"),
        row("unsure", group="QC-1", given="fail"), row("pass", group="QC-60"), row("fail", group="QC-none"),
    )  # fmt: skip


def test_figures_use_the_latest_label_and_unsure_groups_have_none(judged: Path, labels: Path) -> None:
    before, found = evaluate([judged], None, MISSIONS), evaluate([judged], None, MISSIONS, labels=[labels])
    assert (before.overall.judge.human_fails, before.overall.judge.false_block.count) == (59, 1)
    assert (found.overall.judge.human_fails, found.overall.judge.false_block.count) == (59, 0)
    assert found.overall.judge.unlabelled == 1  # QC-0 became a fail, QC-1 left
    assert [group.key for group in found.groups] == [group.key for group in before.groups]
    assert (found.groups[0].key.label, found.groups[0].label, found.groups[1].outcome) == ("pass", "fail", "no label")
    assert found.labels is not None
    assert found.labels == LabelsUsed(files=found.labels.files, confirmed=1, pass_to_fail=1, unsure=1)
    assert before.labels is None
    (warning,) = (warning for warning in found.warnings if "labels of" in warning)
    assert "QC-none" in warning


def test_files_and_terminal_show_both_labels(judged: Path, labels: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--labels", str(labels), "--output-dir", str(tmp_path / "out"), str(judged)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    assert "labels of 3 groups: 1 confirmed, 1 from pass to fail, 0 from fail to pass" in result.stdout
    with (tmp_path / "out" / "groups.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["group_id"]: row for row in csv.DictReader(file)}
    shown = [(rows[group]["label"], rows[group]["corrected_label"]) for group in ("QC-0", "QC-1", "QC-60")]
    assert shown == [("pass", "fail"), ("fail", "unsure"), ("pass", "")]
    said = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert said["labels"]["files"][0]["file"] == "labels.csv"
    assert (said["labels"]["confirmed"], said["labels"]["pass_to_fail"], said["labels"]["unsure"]) == (1, 1, 1)


def test_a_policy_counts_corrected_labels_and_names_the_files(judged: Path, labels: Path) -> None:
    found = evaluate([judged], None, MISSIONS, ThresholdSettings(max_false_release=0.2), labels=[labels])
    assert found.policy is not None
    source = found.policy.labels
    assert (source.folders, source.corrected) == (118, 2)  # QC-0 and QC-1
    assert [file.sha256 for file in source.files] == [sha256(labels.read_bytes()).hexdigest()]
    assert found.policy.missions[GROUNDING].human_fails == 59
