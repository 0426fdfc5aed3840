"""`yanshou dataset --labels`: people's latest labels train, and the folder's label stays part of the identity."""

import json
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from support.label_rows import row, write_labels
from support.lines import GROUNDING, stage_a_line, verdict, write_lines

from yanshou.cli import main
from yanshou.errors import InputError
from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import Card
from yanshou.stage_b.dataset import build_dataset
from yanshou.stage_b.dataset_rows import RESERVED_COLUMNS, GroupRow, read_rows

TOKENS = "yanshou.stage_b.dataset.count_tokens"


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    """Ten passed groups, QC-0 to QC-9, two failed ones and two new jobs."""
    labels = {**{f"QC-{number}": "pass" for number in range(10)}, "QC-10": "fail", "QC-11": "fail"}
    lines = [stage_a_line(group, label) for group, label in labels.items()]
    new = [stage_a_line(group, None) for group in ("QC-20", "QC-21")]
    return write_lines(tmp_path / f"{GROUNDING}_stage_a.jsonl", [*lines, *new])


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_labels(
        tmp_path / "labels.csv", row("fail"), row("pass", group="QC-2"), row("unsure", group="QC-3"),
        row("pass", group="QC-10", given="fail"), row("fail", group="QC-20", given=None), row("fail", group="QC-99"),
    )  # fmt: skip


def build(stage_a: Path, folder: Path, *labels: Path, **options: object) -> Card:
    with mock.patch(TOKENS, lambda prompts, *_: [1 for _ in prompts]):
        return build_dataset(DatasetSettings(stage_a=(stage_a,), output_dir=folder, labels=labels, **options))


def rows(folder: Path) -> dict[str, GroupRow]:
    return {row.group_id: row for name in ("train", "val") for _, row in read_rows(folder / f"{name}.jsonl", GroupRow)}


def test_the_latest_label_trains_and_the_identity_can_be_read_back(stage_a: Path, labels: Path, tmp_path: Path) -> None:
    card = build(stage_a, tmp_path / "out", labels)
    found = rows(tmp_path / "out")
    assert {group: row.label for group, row in found.items() if row.label != row.key.label} == {
        "QC-1": "fail", "QC-10": "pass", "QC-20": "fail",
    }  # fmt: skip
    assert found["QC-1"].key == GroupKey(GROUNDING, "pass", "QC-1")
    assert found["QC-20"].key == GroupKey(GROUNDING, None, "QC-20")
    assert found["QC-2"].key == GroupKey(GROUNDING, "pass", "QC-2")
    assert card.overall.labels() == {"pass": 9, "fail": 3}  # corrected
    assert [str(left) for left in card.left_out] == [
        f"group QC-3 ({GROUNDING}, pass): its latest label is unsure",
        f"group QC-21 ({GROUNDING}, no label): it has no label, in its folder or in a labels file",
    ]
    assert card.labels is not None
    assert card.labels.model_dump(exclude={"files"}) == {
        "confirmed": 1, "pass_to_fail": 1, "fail_to_pass": 1, "added": 1, "unsure": 1,
    }  # fmt: skip
    assert any("labels of 1 groups that are not there" in warning and "QC-99" in warning for warning in card.warnings)


def test_the_column_is_no_word_of_the_trainers_and_is_there_only_with_labels(
    stage_a: Path, labels: Path, tmp_path: Path
) -> None:
    build(stage_a, tmp_path / "out", labels)
    lines = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()]
    assert {type(line["label_given"]) for line in lines} == {str}  # one type: Arrow takes no null in its place
    assert not RESERVED_COLUMNS & lines[0].keys()
    labelled = write_lines(tmp_path / "b_stage_a.jsonl", [stage_a_line(f"QC-{n}", "fail") for n in range(3)])
    assert build(labelled, tmp_path / "without").labels is None
    assert "label_given" not in (tmp_path / "without" / "train.jsonl").read_text("utf-8")


def test_each_side_has_groups_of_both_corrected_labels(tmp_path: Path) -> None:
    """By the folders all 20 groups passed; the split must see that 4 did not."""
    stage_a = write_lines(tmp_path / "a_stage_a.jsonl", [stage_a_line(f"QC-{number}") for number in range(20)])
    labels = write_labels(tmp_path / "labels.csv", *(row("fail", group=f"QC-{number}") for number in range(4)))
    for seed in range(5):
        card = build(stage_a, tmp_path / "out", labels, val_fraction=0.25, seed=seed)
        assert (card.overall.train, card.overall.val) == ({"pass": 12, "fail": 3}, {"pass": 4, "fail": 1})


def test_a_group_is_misjudged_where_the_verdict_is_not_the_corrected_label(tmp_path: Path) -> None:
    stage_a = write_lines(tmp_path / "a_stage_a.jsonl", [stage_a_line(f"QC-{number}") for number in range(8)])
    judged = write_lines(tmp_path / "a_verdicts.jsonl", [verdict(f"QC-{number}", says="pass") for number in range(8)])
    labels = write_labels(tmp_path / "labels.csv", *(row("fail", group=f"QC-{number}") for number in range(4)))
    card = build(stage_a, tmp_path / "out", labels, verdicts=(judged,), repeats=3)
    train = card.files["train.jsonl"]
    assert train.rows == train.groups + 2 * card.overall.train["fail"]


def test_without_labels_a_new_job_is_refused_and_the_option_named(stage_a: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"group QC-20 .*no label\) has no label .* or give labels with --labels\."):
        build(stage_a, tmp_path / "out")


def test_the_command_says_what_the_labels_did(stage_a: Path, labels: Path, tmp_path: Path) -> None:
    arguments = ["dataset", "--labels", str(labels), "--output-dir", str(tmp_path / "out"), str(stage_a)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    assert (
        "labels of 5 groups: 1 confirmed, 1 from pass to fail, 1 from fail to pass, 1 without a label before, 1 unsure"
    ) in result.stdout


def test_the_rows_select_the_same_groups_in_an_evaluation(stage_a: Path, labels: Path, tmp_path: Path) -> None:
    build(stage_a, tmp_path / "out", labels)
    val = tmp_path / "out" / "train.jsonl"
    judged = write_lines(tmp_path / f"{GROUNDING}_verdicts.jsonl", [
        verdict(key.group_id, key.label) for key in (row.key for row in rows(tmp_path / "out").values())
    ])  # fmt: skip
    found = evaluate([judged], [stage_a], load_missions(), only=[val], labels=[labels])
    expected = {row.key: row.label for _, row in read_rows(val, GroupRow)}
    assert {group.key: group.label for group in found.groups} == expected
    assert not any("not that of the dataset file" in warning for warning in found.warnings)
    (warning,) = (warning for warning in found.warnings if warning.startswith("labels of"))
    assert "labels of 1 groups that are not there" in warning  # groups of val.jsonl are there, though left out
    without = evaluate([judged], [stage_a], load_missions(), only=[val])
    (warning,) = (warning for warning in without.warnings if "QC-1 " in warning)
    assert warning == (
        f"group QC-1 ({GROUNDING}, pass): its label here is not that of the dataset file. Give the labels files "
        "(--labels) from which the dataset was built"
    )
