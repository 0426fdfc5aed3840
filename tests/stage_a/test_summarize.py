"""Promises of `yanshou summarize` and `summarize_directory`: what a run writes, and what the next one makes of it."""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from support.hostile import build_hostile_mission

from yanshou.cli.progress import last_words
from yanshou.engines.base import Completion, OutOfMemoryError, Request
from yanshou.engines.scripted import ScriptedEngine
from yanshou.errors import InputError, UsageError
from yanshou.missions import load_missions
from yanshou.pipeline.mission_result import MissionResult, exit_status
from yanshou.pipeline.mission_run import MAX_FAILURES_AT_START
from yanshou.settings import EngineSettings, SamplingSettings, StageASettings
from yanshou.stage_a.summarize import summarize_directory
from yanshou.storage.jsonl import read_lines

SHIELD, SCREWS, GROUND, CABLES = "挡风板安装检查", "BBU安装方式检查（正装）", "BBU接地线检查", "BBU线缆布放"
PASS, FAIL = "审核通过", "审核不通过"
KEYS = ["group_id", "mission", "label", "images", "per_image", "raw_texts", "clean_texts", "timestamp"]

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]
Yanshou = Callable[..., subprocess.CompletedProcess[str]]
Line = dict[str, Any]


# --- input


def jobs(count: int, photos: int = 1, mission: str = SHIELD, label: str = PASS) -> dict[str, int]:
    """`count` groups for photo_tree."""
    return {f"{mission}/{label}/QC-{number}": photos for number in range(1, count + 1)}


def answers(tree: Mapping[str, int | Sequence[str]]) -> dict[str, str]:
    """Another answer for every photo of the tree (whose group folders have different names)."""
    names = {Path(path).name: photos for path, photos in tree.items()}
    return {f"{name}/{photo}": f"标签/{name} {photo}×1" for name, photos in names.items() for photo in listed(photos)}


def listed(photos: int | Sequence[str]) -> list[str]:
    return [f"{number}.jpg" for number in range(1, photos + 1)] if isinstance(photos, int) else list(photos)


# --- runs


def settings(root: Path, script: Path, out: Path, *missions: str, **options: Any) -> StageASettings:
    engine = {name: options.pop(name) for name in ("batch_size", "sampling", "photo") if name in options}
    return StageASettings(
        input_dir=root, output_dir=out, missions=missions or (SHIELD,),
        engine=EngineSettings(checkpoint=str(script), engine="scripted", **engine), **options,
    )  # fmt: skip


def run(root: Path, script: Path, out: Path, *missions: str, **options: Any) -> MissionResult:
    """One mission, in this process; everything but the command line."""
    (result,) = summarize_directory(settings(root, script, out, *missions, **options))
    return result


def arguments(root: Path, script: Path, out: Path, mission: str = SHIELD, *more: str) -> list[str]:
    return [
        "summarize", "--engine", "scripted", "--checkpoint", str(script), "--input-dir", str(root),
        "--output-dir", str(out), "--mission", mission, *more,
    ]  # fmt: skip


def start(*args: Any) -> "subprocess.Popen[str]":
    """`yanshou summarize` in a process of its own."""
    command = [sys.executable, "-m", "yanshou.cli", *arguments(*args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and stderr."""
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


# --- output


def lines_file(out: Path, mission: str = SHIELD) -> Path:
    return out / f"{mission}_stage_a.jsonl"


def lines(out: Path, mission: str = SHIELD) -> list[Line]:
    """What stands there, strictly read, without the timestamps."""
    path = lines_file(out, mission)
    return [{key: line[key] for key in KEYS if key != "timestamp"} for _, line in read_lines(path)]


def ids(out: Path, mission: str = SHIELD) -> list[str]:
    return [line["group_id"] for line in lines(out, mission)]


def faults(out: Path, mission: str = SHIELD) -> list[tuple[str, str | None, str]]:
    return [
        (line["group_id"], line["photo"], line["message"])
        for _, line in read_lines(out / f"{mission}_stage_a.errors.jsonl")
    ]


def run_file(out: Path, mission: str = SHIELD) -> dict[str, Any]:
    return dict(json.loads((out / f"{mission}_stage_a.run.json").read_text(encoding="utf-8")))


def wanted(root: Path, tree: Mapping[str, int | Sequence[str]], labels: Mapping[str, str | None] | None = None) -> Any:
    """The lines that a run over the tree has to write: one a group, in the tree's order."""
    made = []
    for path, photos in tree.items():
        mission, label, group = path.split("/")
        texts = [f"标签/{group} {photo}×1" for photo in listed(photos)]
        made.append(
            {
                "group_id": group,
                "mission": mission,
                "label": {PASS: "pass", FAIL: "fail"}[label],
                "images": [str(root / path / photo) for photo in listed(photos)],
                "per_image": {f"图片_{number}": text for number, text in enumerate(texts, 1)},
                "raw_texts": [f"{text}<|im_end|>" for text in texts],
                "clean_texts": texts,
            }
        )
    return made


# --- the specification's five scenarios


@pytest.mark.parametrize("photos", [1, 5, 23])
def test_a_single_group_of_any_size_is_one_line(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, photos: int
) -> None:
    root = photo_tree(tree := jobs(1, photos))
    result = run(root, script(answers(tree)), tmp_path / "out")
    assert lines(tmp_path / "out") == wanted(root, tree)
    assert (result.status, result.groups, result.written, result.photos) == (0, 1, 1, photos)


def test_passing_and_failing_groups_are_labelled(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    tree = {f"{SHIELD}/{FAIL}/QC-2": 2, f"{SHIELD}/{FAIL}/QC-10": 1, f"{SHIELD}/{PASS}/QC-1": 3}
    root = photo_tree(dict(reversed(tree.items())))
    assert run(root, script(answers(tree)), tmp_path / "out").status == 0
    assert lines(tmp_path / "out") == wanted(root, tree)


def test_four_missions_at_once_into_one_folder(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    trees = {mission.name: jobs(12, 2, mission.name) for mission in load_missions()}
    root = photo_tree(dict(chain.from_iterable(tree.items() for tree in trees.values())))
    path = script(answers(jobs(12, 2)), delay_s=0.02)
    processes = [start(root, path, tmp_path / "out", mission) for mission in trees]
    assert [end(process)[0] for process in processes] == [0, 0, 0, 0]
    assert {mission: lines(tmp_path / "out", mission) for mission in trees} == {
        mission: wanted(root, tree) for mission, tree in trees.items()
    }


def test_the_time_that_photos_were_waited_for_is_told(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each mission alone."""
    prepare = ScriptedEngine.prepare

    def slow(engine: ScriptedEngine, request: Request) -> Completion:
        time.sleep(0.05)
        return prepare(engine, request)

    monkeypatch.setattr(ScriptedEngine, "prepare", slow)
    root = photo_tree(jobs(6) | jobs(6, mission=SCREWS))
    options = settings(root, script(answers(jobs(6))), tmp_path / "out", SHIELD, SCREWS)
    for result in summarize_directory(options):
        assert 0.05 < result.waited_s <= result.seconds


# --- what a line is


def test_a_line_has_exactly_the_eight_keys_in_order_and_a_time_with_an_offset(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    begun = datetime.now().astimezone().replace(microsecond=0)
    run(photo_tree(jobs(2)), script(), tmp_path / "out")
    for line in lines_file(tmp_path / "out").read_text(encoding="utf-8").splitlines():
        assert list(json.loads(line)) == KEYS
        moment = datetime.fromisoformat(json.loads(line)["timestamp"])
        assert moment.tzinfo is not None
        assert begun <= moment <= datetime.now().astimezone()


def test_image_paths_are_absolute_whatever_way_the_folder_is_given(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_tree(jobs(1))
    monkeypatch.chdir(root)
    run(Path(), script(), tmp_path / "out")
    assert lines(tmp_path / "out")[0]["images"] == [str(root / SHIELD / PASS / "QC-1" / "1.jpg")]


# --- the same lines, whatever the way


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
    assert lines(tmp_path / "out") == wanted(root, TREE)


def test_a_run_in_parts_writes_the_lines_of_a_run_in_one(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(TREE), script(answers(TREE)), tmp_path / "out"
    for limit, written, skipped in [(3, 3, 0), (3, 0, 3), (7, 4, 3), (None, 14, 7), (None, 0, 21)]:
        result = run(root, path, out, limit=limit)
        assert (result.status, result.written, result.skipped) == (0, written, skipped)
    assert lines(out) == wanted(root, TREE)
    assert run_file(out)["runs"] == 5


def test_a_group_that_failed_and_was_cured_follows_behind_and_leaves_the_errors(
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
    expected = wanted(root, TREE)
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


def test_the_cures_of_a_cut_off_answer_are_accepted(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
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


def test_a_batch_size_may_change_with_a_warning(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
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


# --- killed, interrupted, damaged


def test_a_run_killed_at_random_moments_loses_nothing_and_doubles_nothing(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, chance, out = jobs(160, 2), random.Random(20), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.02)
    statuses = []
    for number in range(20):
        before = run_time(out)
        process = start(root, path, out, SHIELD, "--batch-size", "3", "--quiet")
        if number % 4:  # while it writes lines
            until(lambda before=before: run_time(out) != before, process)
            time.sleep(chance.uniform(0, 0.06))
        else:  # while it starts
            time.sleep(chance.uniform(0.2, 0.5))
        process.kill()
        statuses.append(end(process)[0])
        if lines_file(out).exists():  # at any moment: whole lines, each once, in order
            assert whole_lines(out) == wanted(root, tree)[: len(whole_lines(out))]
    assert (statuses, 0 < len(whole_lines(out)) < 160) == ([-signal.SIGKILL] * 20, True)
    assert run(root, path, out, batch_size=80).status == 0
    assert lines(out) == wanted(root, tree)


def run_time(out: Path) -> int:
    """When the run file was last put in place: the run's first sign of life."""
    path = out / f"{SHIELD}_stage_a.run.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def whole_lines(out: Path) -> list[Line]:
    """The lines that end, without the timestamp."""
    *whole, _ = lines_file(out).read_bytes().split(b"\n")
    return [{key: value for key, value in json.loads(line).items() if key != "timestamp"} for line in whole]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_batch_in_hand(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, number: signal.Signals
) -> None:
    tree, out = jobs(40), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.6)
    process = start(root, path, out, SHIELD, "--batch-size", "4")
    until(lambda: lines_file(out).exists() and len(whole_lines(out)) >= 4, process)
    time.sleep(0.1)  # the second batch is in hand now
    process.send_signal(number)
    sent = time.monotonic()
    status, err = end(process)
    assert (status, time.monotonic() - sent < 5) == (130, True)
    assert err.splitlines()[-1] == f"{SHIELD}: interrupted. The same command goes on from here."
    assert lines(out) == wanted(root, tree)[:8]
    assert (run_file(out)["status"], run_file(out)["counts"]["written"]) == ("interrupted", 8)
    assert run(root, path, out, batch_size=40).status == 0
    assert lines(out) == wanted(root, tree)


def test_a_second_ctrl_c_ends_the_run_at_once(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(jobs(4)), script(delay_s=30), tmp_path / "out"
    process = start(root, path, out)
    until(lambda: run_time(out) > 0, process)
    time.sleep(0.1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    status, err = end(process)
    assert (status, "Traceback" in err, ids(out)) == (130, False, [])


def test_an_interrupted_run_leaves_the_missions_behind_it_for_the_next(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, out = {**jobs(40, mission=CABLES), **jobs(2, mission=SHIELD)}, tmp_path / "out"
    root, path = photo_tree(tree), script(delay_s=0.1)
    process = start(root, path, out, "all", "--batch-size", "2")
    until(lambda: lines_file(out, CABLES).exists() and lines_file(out, CABLES).stat().st_size > 0, process)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 130
    assert run_file(out, SHIELD)["status"] == "interrupted"
    results = summarize_directory(settings(root, path, out, "all", batch_size=20))
    assert (exit_status(results), len(ids(out, CABLES)), ids(out, SHIELD)) == (0, 40, ["QC-1", "QC-2"])


def test_a_torn_last_line_is_cut_off_and_written_again(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(tree := jobs(3)), script(answers(jobs(3))), tmp_path / "out"
    run(root, path, out)
    lines_file(out).write_bytes(lines_file(out).read_bytes()[:-40])
    result = run(root, path, out)
    assert (result.status, result.written, result.skipped) == (0, 1, 2)
    assert lines(out) == wanted(root, tree)


def test_a_damaged_middle_line_stops_its_mission_and_no_other(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(3) | jobs(3, mission=CABLES)), script(), tmp_path / "out"
    run(root, path, out)
    first, _, third = lines_file(out).read_text(encoding="utf-8").splitlines(keepends=True)
    lines_file(out).write_text(first + '{"group_id": \n' + third, encoding="utf-8")
    cables, shield = summarize_directory(settings(root, path, out, "all"))
    assert (cables.status, shield.status, exit_status([cables, shield])) == (0, 1, 1)
    assert shield.error.startswith(f"{lines_file(out)}:2: not JSON at character 15")
    assert ids(out, CABLES) == ["QC-1", "QC-2", "QC-3"]


@pytest.mark.parametrize("damage", [b'{"group_id": "%s\n', b'{"group_id": "%s"}\n', b"%s\n"])
def test_a_huge_damaged_line_is_told_in_a_few_words(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, damage: bytes
) -> None:
    root, path, out = photo_tree(jobs(2)), script(), tmp_path / "out"
    run(root, path, out)
    damaged = lines_file(out).read_bytes() + damage % (b"x" * 5_000_000)
    lines_file(out).write_bytes(damaged)
    error = run(root, path, out).error
    assert error.startswith(f"{lines_file(out)}:3: ")
    assert error.endswith("Delete the line and run again: only that group is redone.")
    assert len(error) < 300 + len(str(out))
    assert lines_file(out).read_bytes() == damaged


def test_of_two_runs_at_once_the_second_is_refused_and_the_first_unharmed(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, out = jobs(30), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.1)
    process = start(root, path, out, SHIELD, "--batch-size", "3")
    until(lambda: lines_file(out).exists(), process)
    second = run(root, path, out)
    assert (second.status, second.written) == (1, 0)
    assert second.error.startswith(f"{lines_file(out)}: another run is writing it.")
    assert end(process)[0] == 0
    assert lines(out) == wanted(root, tree)


def test_a_full_disk_stops_the_run_with_whole_lines_on_it(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, yanshou: Yanshou
) -> None:
    tree, out = jobs(30, 3), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree))

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    ran = yanshou(*arguments(root, path, out), preexec_fn=small_disk)
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False)
    assert f"error: {lines_file(out)}: cannot be written: File too large" in ran.stderr
    assert lines_file(out).read_bytes().endswith(b"\n")
    assert 0 < len(lines(out)) < 30
    assert run(root, path, out).status == 0
    assert lines(out) == wanted(root, tree)


# --- groups that fail


def test_a_hostile_folder_loses_no_good_group_and_names_every_bad_photo(
    script: Script, tmp_path: Path, yanshou: Yanshou
) -> None:
    expected = build_hostile_mission(tmp_path / "in" / SHIELD)
    path, out = script(), tmp_path / "out"
    good = [group for group, cause in expected.items() if cause == "ok"]
    bad = {group: cause for group, cause in expected.items() if cause != "ok"}
    ran = yanshou(*arguments(tmp_path / "in", path, out))
    assert (ran.returncode, "Traceback" in ran.stderr) == (3, False)
    assert ids(out) == good
    told = {group: (photo, cause_told(message, bad[group])) for group, photo, message in faults(out)}
    assert told == {group: ("图片_2.jpg", cause) for group, cause in bad.items()}
    assert ran.stderr.splitlines()[-1] == (
        f"{SHIELD}: {len(bad)} of {len(expected)} groups failed: see {out / (SHIELD + '_stage_a.errors.jsonl')}. "
        "The same command tries just those again."
    )
    for left_out in ("group without photos", "hidden file or folder", "folder inside a group", "not JPEG or PNG"):
        assert left_out in ran.stderr

    again = run(tmp_path / "in", path, out)
    assert (again.status, again.written, again.failed, again.skipped) == (3, 0, len(bad), len(good))
    assert again.photos == 2 * len(bad)
    assert len(faults(out)) == len(bad)
    for group in bad:
        shutil.copy(
            tmp_path / "in" / SHIELD / PASS / group / "图片_1.jpg",
            tmp_path / "in" / SHIELD / PASS / group / "图片_2.jpg",
        )
    assert run(tmp_path / "in", path, out).status == 0
    assert (sorted(ids(out)), faults(out)) == (sorted(expected), [])


def cause_told(message: str, cause: str) -> str:
    return cause if cause in message else message


def test_turned_photos_are_counted(script: Script, tmp_path: Path) -> None:
    build_hostile_mission(tmp_path / "in" / SHIELD)
    assert run(tmp_path / "in", script(), tmp_path / "out").rotated == 7
    assert run(tmp_path / "in", script(), tmp_path / "other", photo={"exif": "ignore"}).rotated == 0


def test_one_id_in_two_folders_of_a_label_fails_both_and_no_other(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    photo = ["QC-TEMP-20241022-0015062_1.jpg"]
    tree = {f"{SHIELD}/{PASS}/a": photo, f"{SHIELD}/{PASS}/b": photo, f"{SHIELD}/{FAIL}/c": photo, **jobs(1)}
    root, out = photo_tree(tree), tmp_path / "out"
    result = run(root, script(), out)
    assert (result.status, result.groups, result.written, result.failed) == (3, 3, 2, 1)
    folder = root / SHIELD / PASS
    message = f"QC-TEMP-20241022-0015062: 2 folders have this id: {folder / 'a'}, {folder / 'b'}"
    assert faults(out) == [("QC-TEMP-20241022-0015062", None, message)]
    assert [(line["label"], line["group_id"]) for line in lines(out)] == [
        ("fail", "QC-TEMP-20241022-0015062"),
        ("pass", "QC-1"),
    ]
    shutil.rmtree(folder / "b")
    assert run(root, script(), out).status == 0
    assert (len(ids(out)), faults(out)) == (3, [])


def test_photos_renamed_since_their_line_was_written_are_an_error_naming_both(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(2, 2)), script(), tmp_path / "out"
    run(root, path, out)
    folder = root / SHIELD / PASS / "QC-1"
    (folder / "1.jpg").rename(folder / "3.jpg")
    before = lines_file(out).read_bytes()
    result = run(root, path, out)
    assert (result.status, result.failed, result.skipped) == (3, 1, 1)
    message = f"{folder}: its line was written from 1.jpg, 2.jpg; now there are 2.jpg, 3.jpg"
    assert faults(out) == [("QC-1", None, message)]
    assert lines_file(out).read_bytes() == before
    (folder / "3.jpg").rename(folder / "1.jpg")
    assert (run(root, path, out).status, faults(out)) == (0, [])


def test_a_run_whose_first_groups_all_fail_stops(photo_tree: PhotoTree, tmp_path: Path) -> None:
    root, out, sizes = photo_tree(jobs(60)), tmp_path / "out", []
    engine = ScriptedEngine.of({"*": ""}, batch_size=4, before_batch=sizes.append)
    (result,) = summarize_directory(settings(root, Path("none"), out), engine)
    assert (result.status, result.failed, result.written) == (1, MAX_FAILURES_AT_START, 0)
    assert result.error == (
        "the first 20 groups all failed, the last one with: the summary is empty: the model wrote '<|im_end|>'"
    )
    assert sum(sizes) <= MAX_FAILURES_AT_START + 4
    assert (len(faults(out)), ids(out), run_file(out)["status"]) == (MAX_FAILURES_AT_START, [], "stopped")


def test_failures_behind_a_written_group_stop_nothing(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree(jobs(40)), tmp_path / "out"
    result = run(root, script({"QC-1/1.jpg": "无关图片×1", "*": ""}), out)
    assert (result.status, result.written, result.failed, result.error) == (3, 1, 39, "")
    again = run(root, script({"QC-1/1.jpg": "无关图片×1", "*": ""}), out)
    assert (again.status, again.skipped, again.failed) == (3, 1, 39)


def test_fewer_groups_than_that_may_all_fail(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    result = run(photo_tree(jobs(MAX_FAILURES_AT_START - 1)), script({"*": ""}), tmp_path / "out")
    assert (result.status, result.failed, result.error) == (3, MAX_FAILURES_AT_START - 1, "")


def test_a_hopeless_mission_does_not_keep_the_others_from_running(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree = {f"{CABLES}/{PASS}/bad {number}": ["x.jpg"] for number in range(30)} | jobs(3)
    root, out = photo_tree(tree), tmp_path / "out"
    path = script({"x.jpg": "", "*": "无关图片×1"})
    cables, shield = summarize_directory(settings(root, path, out, "all", batch_size=2))
    assert (cables.status, shield.status, ids(out)) == (1, 0, ["QC-1", "QC-2", "QC-3"])


def test_out_of_memory_fails_only_the_group_whose_photo_does_not_fit_alone(
    photo_tree: PhotoTree, tmp_path: Path
) -> None:
    calls: Iterator[bool] = iter([True, True, True])  # the first four photos, their first half, and photo 1 alone

    def before_batch(size: int) -> None:
        if next(calls, False):
            raise OutOfMemoryError

    root, out = photo_tree(jobs(9)), tmp_path / "out"
    engine = ScriptedEngine.of({"*": "无关图片×1"}, batch_size=4, before_batch=before_batch)
    (result,) = summarize_directory(settings(root, Path("none"), out), engine)
    assert (result.status, result.failed, ids(out)) == (3, 1, [f"QC-{number}" for number in range(2, 10)])
    assert faults(out) == [("QC-1", "1.jpg", "the photo does not fit the device's memory even in a batch of one")]
    assert result.out_of_memory == run_file(out)["counts"]["out_of_memory"] == 3
    told = f"{SHIELD}: the device's memory ran short, times 3; the run went on with less at once."
    assert last_words([result])[0].startswith(told)


# --- which missions, which groups


def test_a_mission_without_a_group_is_an_error(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({f"{SHIELD}/{PASS}/empty": 0})
    result = run(root, script(), tmp_path / "out")
    assert (result.status, result.error) == (1, f"{SHIELD}: no group of photos in {root}. Nothing to do.")
    assert not (tmp_path / "out").exists()


def test_all_is_every_mission_that_is_there(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), **jobs(2, mission=SHIELD), "别的检查/审核通过/QC-1": 1})
    results = summarize_directory(settings(root, script(), tmp_path / "out", "all"))
    assert [(result.mission, result.status, result.written) for result in results] == [(CABLES, 0, 1), (SHIELD, 0, 2)]
    assert sorted(path.name for path in (tmp_path / "out").glob("*_stage_a.jsonl")) == [
        f"{CABLES}_stage_a.jsonl",
        f"{SHIELD}_stage_a.jsonl",
    ]


def test_all_in_a_folder_without_any_mission_is_an_error(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({"别的检查/审核通过/QC-1": 1})
    with pytest.raises(InputError, match="no mission's folder is here") as caught:
        run(root, script(), tmp_path / "out", "all")
    assert all(mission.name in str(caught.value) for mission in load_missions())


def test_a_missing_mission_fails_and_the_others_run(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree(jobs(2))
    ground, shield = summarize_directory(settings(root, script(), tmp_path / "out", GROUND, SHIELD))
    assert (ground.status, ground.error) == (1, f"{root} holds no folder {GROUND}, only {SHIELD}.")
    assert (shield.status, shield.written, exit_status([ground, shield])) == (0, 2, 1)


@pytest.mark.parametrize("missions", [("all", GROUND), (GROUND, "all")])
def test_a_mission_named_beside_all_is_missed_where_it_has_no_folder(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, missions: tuple[str, str]
) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), **jobs(2, mission=SHIELD)})
    results = summarize_directory(settings(root, script(), tmp_path / "out", *missions))
    assert [(result.mission, result.status, result.written) for result in results] == [
        (CABLES, 0, 1),
        (SHIELD, 0, 2),
        (GROUND, 1, 0),
    ]
    assert results[-1].error == f"{root} holds no folder {GROUND}, only {CABLES}, {SHIELD}."
    assert exit_status(results) == 1


def test_a_mission_named_beside_all_runs_once_and_is_enough(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), "别的检查/审核通过/QC-1": 1})
    assert run(root, script(), tmp_path / "out", "all", CABLES, "BBU线缆布放要求").written == 1
    (root / CABLES).rename(root / "又一个检查")
    missed = run(root, script(), tmp_path / "out", "all", CABLES)
    assert (missed.mission, missed.status, "holds no folder" in missed.error) == (CABLES, 1, True)


def test_a_misspelt_mission_beside_all_stops_everything_before_it_begins(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="unknown mission '挡风板'"):
        summarize_directory(settings(photo_tree(jobs(2)), script(), tmp_path / "out", "all", "挡风板"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("asked", [CABLES, "BBU线缆布放要求"])
def test_a_folder_may_be_called_by_an_alias(photo_tree: PhotoTree, script: Script, tmp_path: Path, asked: str) -> None:
    root = photo_tree({f"BBU线缆布放要求/{PASS}/QC-1": 1, f"{CABLES}/{PASS}/QC-2": 1})
    result = run(root, script(), tmp_path / "out", asked)
    assert (result.mission, result.status, sorted(ids(tmp_path / "out", CABLES))) == (CABLES, 0, ["QC-1", "QC-2"])
    assert {line["mission"] for line in lines(tmp_path / "out", CABLES)} == {CABLES}


def test_a_mission_named_twice_runs_once(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    result = run(photo_tree(jobs(1, mission=CABLES)), script(), tmp_path / "out", CABLES, "BBU线缆布放要求")
    assert (result.status, result.written) == (0, 1)


def test_new_jobs_have_no_label(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree({f"{SHIELD}/QC-2": 1, f"{SHIELD}/QC-10": 2}), tmp_path / "out"
    assert run(root, script(), out, layout="flat").status == 0
    assert [(line["group_id"], line["label"], len(line["images"])) for line in lines(out)] == [
        ("QC-2", None, 1),
        ("QC-10", None, 2),
    ]
    assert run(root, script(), out, layout="flat").skipped == 2


def test_an_id_under_both_labels_is_two_groups(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree({f"{SHIELD}/{PASS}/QC-1": 1, f"{SHIELD}/{FAIL}/QC-1": 2}), tmp_path / "out"
    assert run(root, script(), out).written == 2
    assert [(line["label"], line["group_id"], len(line["images"])) for line in lines(out)] == [
        ("fail", "QC-1", 2),
        ("pass", "QC-1", 1),
    ]
    assert run(root, script(), out).skipped == 2


def test_a_mission_of_ones_own_runs(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "门禁检查"\nfocus = "本检查项重点关注门禁。"\n[rule]\ntext = "门禁可见。"\nrequire = [["标签"]]\n',
        encoding="utf-8",
    )
    root = photo_tree(jobs(2, mission="门禁检查"))
    result = run(root, script(), tmp_path / "out", "all", mission_files=(tmp_path / "own.toml",))
    assert (result.mission, result.status, ids(tmp_path / "out", "门禁检查")) == ("门禁检查", 0, ["QC-1", "QC-2"])
    assert "本检查项重点关注门禁。" in run_file(tmp_path / "out", "门禁检查")["settings"]["prompts"]["user"]


def test_the_worst_of_all_missions_is_the_exit_status() -> None:
    fine, failed = MissionResult("a", written=1), MissionResult("b", failed=1)
    broken, stopped = MissionResult("c", error="no"), MissionResult("d", interrupted=True, failed=1)
    assert [exit_status(results) for results in ([], [fine], [failed, fine], [failed, broken], [broken, stopped])] == [
        1, 0, 3, 1, 130,
    ]  # fmt: skip
