"""Guarantees of Stage-A over several runs of one output: the lines of one run, no mixed settings, failures retried."""

import random
from pathlib import Path
from typing import Any

import pytest
from support.stage_a_runs import (
    FAIL,
    PASS,
    SHIELD,
    PhotoTree,
    Script,
    answers,
    expected_lines,
    faults,
    ids,
    jobs,
    lines,
    lines_file,
    listed,
    run,
    run_file,
)

from yanshou.settings import SamplingSettings

# --- the lines of one run


TREE = {
    **{f"{SHIELD}/{FAIL}/QC-{number}": 1 + number % 3 for number in range(1, 12)},
    **{
        f"{SHIELD}/{PASS}/站点 {number}": [f"图片 {photo}.jpg" for photo in range(1, number)] for number in range(2, 12)
    },
}


@pytest.mark.parametrize("batch_size", [1, 8, 32])
@pytest.mark.parametrize("shuffle", [1, 2])
def test_lines_do_not_depend_on_batch_size_or_the_order_on_disk(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, batch_size: int, shuffle: int
) -> None:
    random.Random(shuffle).shuffle(order := list(TREE))
    root = photo_tree(
        {path: random.Random(shuffle).sample(listed(TREE[path]), len(listed(TREE[path]))) for path in order}
    )
    assert run(root, script(answers(TREE)), tmp_path / "out", batch_size=batch_size).status == 0
    assert lines(tmp_path / "out") == expected_lines(root, TREE)


def test_a_run_in_parts_writes_the_lines_of_a_run_in_one(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(TREE), script(answers(TREE)), tmp_path / "out"
    for limit, written, skipped in [(3, 3, 0), (3, 0, 3), (7, 4, 3), (None, 14, 7), (None, 0, 21)]:
        result = run(root, path, out, limit=limit)
        assert (result.status, result.written, result.skipped) == (0, written, skipped)
    assert lines(out) == expected_lines(root, TREE)
    assert run_file(out)["runs"] == 5


def test_a_group_that_failed_and_was_cured_is_written_last_and_leaves_the_errors_file(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(TREE), script(answers(TREE)), tmp_path / "out"
    bad = root / SHIELD / FAIL / "QC-3" / "1.jpg"
    good = bad.read_bytes()
    bad.write_bytes(b"")
    first = run(root, path, out)
    assert (first.status, first.written, first.failed) == (3, 20, 1)
    assert faults(out) == [("QC-3", "1.jpg", f"{bad}: the file is empty (0 bytes)")]
    bad.write_bytes(good)
    second = run(root, path, out)
    assert (second.status, second.written, second.failed, second.skipped) == (0, 1, 0, 20)
    assert faults(out) == []
    expected = expected_lines(root, TREE)
    cured = expected.pop(2)
    assert lines(out) == [*expected, cured]


# --- what may differ between runs of one file


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"sampling": SamplingSettings(temperature=0.7)}, "sampling.temperature: file has 0.0, this run has 0.7"),
        ({"sampling": SamplingSettings(seed=1)}, "sampling.seed: file has 0, this run has 1"),
        ({"sampling": SamplingSettings(max_new_tokens=64)},
         "sampling.max_new_tokens: file has 256, this run has 64 (may only grow)"),
        ({"photo": {"max_pixels": 1_048_576}}, "photo.max_pixels: file has 786432, this run has 1048576"),
        ({"photo": {"exif": "ignore"}}, 'photo.exif: file has "apply", this run has "ignore"'),
        ({"prompts": {"mission_focus": False}}, "prompts.user: file has "),
    ],
)  # fmt: skip
def test_other_settings_are_refused_showing_the_difference(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, change: dict[str, Any], difference: str
) -> None:
    root, path, out = photo_tree(jobs(3)), script(), tmp_path / "out"
    run(root, path, out, limit=1)
    before = lines_file(out).read_bytes(), run_file(out)
    result = run(root, path, out, **change)
    assert result.status == 1
    head, shown, advice = result.error.split("\n")
    assert head == f"{out / (SHIELD + '_stage_a.run.json')}: the lines so far were made with other settings:"
    assert shown.startswith(f"  {difference}")
    assert "--fresh" in advice
    assert (lines_file(out).read_bytes(), run_file(out)) == before


def test_another_checkpoint_is_refused(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree(jobs(3)), tmp_path / "out"
    run(root, script(), out, limit=1)
    result = run(root, script({"*": "电线/捆扎整齐×1"}), out)
    assert (result.status, ids(out)) == (1, ["QC-1"])
    assert "\n  checkpoint: file has " in result.error


def test_a_resume_may_cure_an_answer_that_was_cut_off(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = (
        photo_tree({f"{SHIELD}/{PASS}/QC-1": ["a.jpg"], **jobs(3, mission=SHIELD, label=FAIL)}),
        script(truncated=["a.jpg"]),
        tmp_path / "out",
    )
    assert run(root, path, out).status == 3
    assert faults(out) == [("QC-1", "a.jpg", "the answer was cut off after 7 tokens: …'无关图片×1'")]
    assert run(root, path, out, sampling=SamplingSettings(max_new_tokens=512)).status == 3
    assert run(root, path, out, sampling=SamplingSettings(max_new_tokens=512), allow_truncated=True).status == 0
    assert [line["raw_texts"] for line in lines(out)] == [["无关图片×1<|im_end|>"]] * 3 + [["无关图片×1"]]
    assert faults(out) == []


def test_another_batch_size_is_a_warning(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(jobs(3)), script(), tmp_path / "out"
    run(root, path, out, limit=1)
    result = run(root, path, out, batch_size=2)
    assert (result.status, ids(out)) == (0, ["QC-1", "QC-2", "QC-3"])
    (warning,) = result.warnings
    assert warning.startswith(str(out))
    assert warning.endswith("which stay:\n  batch_size: file has 8, this run has 2")


def test_fresh_starts_over_and_keeps_the_old_files(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree(jobs(3)), tmp_path / "out"
    run(root, script(), out)
    old = lines_file(out).read_bytes()
    result = run(root, script({"*": "电线/捆扎整齐×1"}), out, fresh=True)
    assert (result.status, result.written, run_file(out)["runs"]) == (0, 3, 1)
    assert [line["clean_texts"] for line in lines(out)] == [["电线/捆扎整齐×1"]] * 3
    assert [path.read_bytes() for path in out.glob("*_stage_a.jsonl.*.old")] == [old]
