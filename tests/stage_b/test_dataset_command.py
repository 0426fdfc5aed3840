"""Guarantees of `yanshou dataset` at the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.lines import stage_a_line, write_lines

from yanshou.cli import main
from yanshou.cli.dataset import LISTED
from yanshou.storage.lock import Lock


def run(out: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["dataset", "--output-dir", str(out), *map(str, arguments)])


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    """140 groups, one in four with a long summary."""
    labels = ("pass", "fail")
    lines = [
        stage_a_line(
            f"QC-20241022-{number}",
            labels[number % 2],
            "电线/捆扎整齐×2，" * (1 + 40 * (number % 4 == 3)) + f"标签/{number}×1",
        )
        for number in range(60 + 4 * LISTED)
    ]
    return write_lines(tmp_path / "a.jsonl", lines)


def test_both_files_and_the_card_are_written_and_printed(stage_a: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(out, "--val-fraction", "0.25", stage_a)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {"train.jsonl", "val.jsonl", "dataset.card.json", ".dataset.lock"}
    assert "BBU接地线检查" in result.stdout
    assert f"train.jsonl, val.jsonl, dataset.card.json: {out}" in result.stdout
    groups = [len((out / name).read_text("utf-8").splitlines()) for name in ("train.jsonl", "val.jsonl")]
    assert groups == [104, 36]  # of 70 and 70
    printed = json.loads(run(out, "--json", stage_a).stdout)
    assert printed == json.loads((out / "dataset.card.json").read_text("utf-8"))


def test_a_second_dataset_at_once_in_one_folder_is_refused(stage_a: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, stage_a)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with Lock(out / ".dataset.lock", out):
        result = run(out, "--seed", 1, stage_a)
    assert (result.exit_code, f"{out}: another run is writing it. Wait" in result.stderr) == (1, True), result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run(out, "--seed", 1, stage_a).exit_code == 0
    assert (out / "val.jsonl").read_bytes() != before["val.jsonl"]


def test_long_groups_are_listed(stage_a: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "out", "--max-prompt-tokens", 200, stage_a)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("left out: ") == LISTED
    assert "… and 15 more, all in dataset.card.json" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val-fraction", "0"], "Error: --val-fraction is "),
        (["--val-fraction", "1"], "Error: --val-fraction is "),
        (["--max-prompt-tokens", "0"], "Error: --max-prompt-tokens is "),
    ],
)
def test_wrong_usage_names_the_option(stage_a: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = run(tmp_path / "out", *options, stage_a)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_a_missing_label_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [stage_a_line("QC-20241022-1"), stage_a_line("QC-20241022-2", None)])
    result = run(tmp_path / "out", path)
    assert (result.exit_code, f"{path}:2: group" in result.stderr, "no label" in result.stderr) == (1, True, True)
    assert not (tmp_path / "out").exists()


def test_twins_and_the_shortcut_are_printed_and_in_the_card(tmp_path: Path) -> None:
    """Ten pairs of groups with the same lines, one of them with both labels; 需复核 stands in the failed groups."""
    lines = [
        stage_a_line(
            f"QC-{number}-{twin}",
            "fail" if number >= 5 or number + twin == 0 else "pass",
            f"标签/{number}×1" + "，电线/需复核备注:暗×1" * (number >= 5),
        )
        for number in range(10)
        for twin in range(2)
    ]
    path = write_lines(tmp_path / "a.jsonl", lines)
    result = run(tmp_path / "out", "--val-fraction", "0.3", path)
    assert result.exit_code == 0, result.stderr
    assert "10.0% 5.3% [0.1–33.4]" in " ".join(result.stdout.split())
    assert "需复核" in result.stdout
    assert "in 0% of the passed groups, in 91% of the failed" in " ".join(result.stdout.split())
    figures = json.loads((tmp_path / "out/dataset.card.json").read_text("utf-8"))["missions"]["BBU接地线检查"]
    assert (figures["twins"]["sets"], figures["twins"]["groups"], figures["twins"]["disagreeing_sets"]) == (10, 20, 1)
    assert figures["shortcut"]["feature"] == "需复核"
    val = [json.loads(line)["group_id"] for line in (tmp_path / "out/val.jsonl").read_text("utf-8").splitlines()]
    assert len(val) == 4  # three of each label would need half a set
    assert len({group_id.rpartition("-")[0] for group_id in val}) == 2
