"""Runs over loose photos (`--photos`): groups without labels, resumed, and silent about what they do not see."""

import json
from pathlib import Path

import pytest
from support.cli_runs import Options, arguments
from support.cli_runs import run as yanshou_run
from support.lines import CABLES, SHIELD
from support.stage_a_runs import PASS, PhotoTree, Script, faults, ids, lines, run, run_file

from yanshou import EngineSettings, StageASettings, summarize_directory
from yanshou.pipeline.mission_result import MissionResult

IDS = ["QC-A-20240101-1", "QC-A-20240101-2", "QC-A-20240101-10"]


def read(script: Path, out: Path, *photos: Path, **options: object) -> MissionResult:
    engine = EngineSettings(checkpoint=str(script), engine="scripted")
    settings = {"photos": photos, "output_dir": out, "missions": (SHIELD,), "engine": engine, **options}
    (result,) = summarize_directory(StageASettings.model_validate(settings))
    return result


@pytest.fixture
def inbox(photo_tree: PhotoTree) -> Path:
    return photo_tree({"inbox": [f"{group}_{number}.jpg" for group in IDS for number in (1, 2)]}) / "inbox"


def test_photos_in_one_folder_make_groups_by_their_ids(inbox: Path, script: Script, tmp_path: Path) -> None:
    result = read(script(), tmp_path / "out", inbox)
    assert (result.status, result.written, result.warnings) == (0, 3, [])
    assert ids(tmp_path / "out") == IDS
    first = lines(tmp_path / "out")[0]
    assert (first["label"], first["images"]) == (None, [str(inbox / f"{IDS[0]}_{number}.jpg") for number in (1, 2)])
    assert run_file(tmp_path / "out")["environment"]["photos"] == [str(inbox)]


def test_a_resume_and_a_limit(inbox: Path, script: Script, tmp_path: Path) -> None:
    path, out = script(), tmp_path / "out"
    assert read(path, out, inbox, limit=1).written == 1
    assert read(path, out, inbox, limit=2).skipped == 1
    done = read(path, out, *sorted(inbox.iterdir(), reverse=True))
    assert (done.status, done.written, done.skipped) == (0, 1, 2)
    assert ids(out) == IDS
    (inbox / f"{IDS[1]}_3.jpg").write_bytes((inbox / f"{IDS[1]}_1.jpg").read_bytes() + b"x")
    grown = read(path, out, inbox)
    assert (grown.status, grown.failed, faults(out)[0][0]) == (3, 1, IDS[1])
    assert "its line was written from" in faults(out)[0][2]


def test_a_run_over_some_photos_leaves_other_lines_and_faults_alone(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree({f"{SHIELD}/{PASS}/QC-1": 1, f"{SHIELD}/{PASS}/QC-2": 1}), script(), tmp_path / "out"
    (root / SHIELD / PASS / "QC-2" / "1.jpg").write_bytes(b"")
    assert run(root, path, out).failed == 1
    loose = photo_tree({"a": 1, "b": 1}, root="loose")
    assert read(path, out, loose / "a").status == 0
    second = read(path, out, loose / "b")
    assert (second.status, second.stale, second.elsewhere, second.late_warnings) == (0, None, None, [])
    assert ids(out) == ["QC-1", "a", "b"]
    assert [group for group, *_ in faults(out)] == ["QC-2"]
    again = run(root, path, out)  # the loose photos lie elsewhere, so their lines are not stale
    assert (again.status, again.stale, again.skipped) == (3, 0, 1)


def test_groups_that_are_not_clear_fail_and_the_others_are_written(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({"甲/照片": 1, "乙/照片": 1, "丙": 1})
    (root / "甲" / "照片" / "1.jpg").write_bytes(b"another")
    result = read(script(), tmp_path / "out", root)
    assert (result.status, result.written, result.failed) == (3, 1, 1)
    assert faults(tmp_path / "out")[0][2].startswith("照片: 2 folders have this name, and their photos no id: ")


def test_many_paths_are_not_all_recorded(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({"a": 50})
    assert read(script(), tmp_path / "out", *root.glob("a/*.jpg")).written == 1
    recorded = run_file(tmp_path / "out")["environment"]["photos"]
    assert (len(recorded), recorded[-1]) == (21, "… 50 paths")


def test_no_photo_at_all_is_an_error(tmp_path: Path, script: Script) -> None:
    (tmp_path / "empty").mkdir()
    result = read(script(), tmp_path / "out", tmp_path / "empty")
    assert (result.status, result.error) == (1, f"{SHIELD}: no photo in {tmp_path}/empty. Nothing to do.")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--input-dir", "."], "--input-dir holds folders of missions, and --photos has none. Give one of the two."),
        (["--layout", "labelled"], "--layout is about folders of missions, and --photos has none. Leave it out."),
        (["--layout", "flat"], "--layout is about folders of missions, and --photos has none. Leave it out."),
        (["--mission", CABLES], "--photos are photos of one mission: give exactly one --mission, by its name."),
        (["--prune"], "--prune needs all groups of the input, and --photos are some. Leave it out."),
        (["--photos", "nowhere.jpg"], "Invalid value for '--photos': Path 'nowhere.jpg' does not exist."),
    ],
)
def test_wrong_usage_is_refused_in_words(
    inbox: Path, script: Script, tmp_path: Path, more: list[str], complaint: str
) -> None:
    options = {"engine": "scripted", "checkpoint": str(script()), "output-dir": str(tmp_path / "out")}
    given: Options = {**options, "mission": SHIELD, "photos": str(inbox)}
    ran = yanshou_run("summarize", *arguments(given, *more))
    assert (ran.exit_code, ran.stderr.splitlines()[-1]) == (2, f"Error: {complaint}")
    ran = yanshou_run("summarize", *arguments({**given, "mission": "all"}))
    assert (ran.exit_code, "give exactly one --mission" in ran.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_the_command_line_reads_several_paths(inbox: Path, script: Script, tmp_path: Path) -> None:
    options = {"engine": "scripted", "checkpoint": str(script()), "output-dir": str(tmp_path / "out")}
    photos = [word for name in IDS[:2] for word in ("--photos", str(inbox / f"{name}_1.jpg"))]
    ran = yanshou_run("summarize", *arguments({**options, "mission": SHIELD}, *photos, "--json"))
    assert (ran.exit_code, json.loads(ran.stdout)[0]["written"]) == (0, 2)
    assert ids(tmp_path / "out") == IDS[:2]
