"""A photo that lines of both labels name is refused: it would be trained on as a pass and as a fail."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

from click.testing import CliRunner, Result
from support.lines import BAD, CABLES, GOOD, LABEL_DIRS, SHIELD, stage_a_line, write_lines
from support.photos import encoded, noise
from support.processes import in_child
from support.stage_a_runs import FAIL, PASS, PhotoTree, Script, jobs, lines_file
from support.stage_a_runs import run as summarize

from yanshou.cli import main
from yanshou.schema.records import StageARecord
from yanshou.stage_b.shared_photos import PhotosOfGroup, find_shared_photos, twice_under_one_label
from yanshou.storage.line_place import LinePlace

Line = dict[str, Any]
OLD, NEW = "QC-TEMP-20240101-0000005", "QC-TEMP-20240101-0000006"


def taken(root: Path, label: str | None, folder: str, *photos: str, mission: str = SHIELD) -> list[str]:
    """Photos on the disk, each with its own content. Returns their paths."""
    paths = [root / mission / LABEL_DIRS[label] / folder / name for name in photos]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"a photo of {path}".encode() * 3)
    return list(map(str, paths))


def line(group: str, label: str | None, images: list[str], *texts: str, mission: str = SHIELD) -> Line:
    return stage_a_line(group, label, *(texts or (GOOD,) * len(images)), mission=mission, images=images)


def found(*lines: Line) -> list[tuple[str, str, str]]:
    """The places of the two lines, and the name of the photo."""
    shared = find_shared_photos([photos(number, one) for number, one in enumerate(lines, 1)])
    return [(str(one.one.group.place), str(one.other.group.place), one.other.path.rpartition("/")[2]) for one in shared]


def photos(number: int, one: Line) -> PhotosOfGroup:
    return PhotosOfGroup.of(LinePlace(Path("a.jsonl"), number), StageARecord.model_validate(one))


# ---- which photos are the same ----


def test_a_group_that_moved_to_the_other_label_is_found(tmp_path: Path) -> None:
    """As long as its summary is the same, since the first of the two files is gone."""
    before = taken(tmp_path, "pass", "QC-job-1", f"{OLD}_1.jpg", f"{OLD}_2.jpg")
    after = taken(tmp_path, "fail", "QC-job-1", f"{OLD}_1.jpg", f"{OLD}_2.jpg")
    shutil.rmtree(Path(before[0]).parent)
    moved = found(line(OLD, "pass", before), line(OLD, "fail", after, GOOD, BAD))
    assert moved == [("a.jsonl:1", "a.jsonl:2", f"{OLD}_1.jpg")]
    assert found(line(OLD, "fail", after), line(OLD, "pass", before))[0][:2] == ("a.jsonl:2", "a.jsonl:1")
    assert found(line(OLD, "pass", before), line(OLD, "fail", after, BAD, BAD)) == []


def test_a_copy_is_found_in_another_folder_with_another_summary(tmp_path: Path) -> None:
    (before,) = taken(tmp_path, "pass", "QC-job-1", "1.jpg")
    (after,) = taken(tmp_path, "fail", "QC-job-2", "1.jpg")
    shutil.copy(before, after)
    assert found(line(OLD, "pass", [before]), line(NEW, "fail", [after], BAD)) == [("a.jsonl:1", "a.jsonl:2", "1.jpg")]


def test_names_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    """A folder that went over a Mac has its names in another one."""
    name, other = (normalize(form, "侧é.jpg") for form in ("NFC", "NFD"))
    (before,), (after,) = taken(tmp_path, "pass", "站点é", name), taken(tmp_path, "fail", "站点é", other)
    shutil.copy(before, after)
    pair = [("a.jsonl:1", "a.jsonl:2", other)]
    assert found(line(OLD, "pass", [before]), line(NEW, "fail", [after], BAD)) == pair
    Path(before).unlink()
    gone = before.replace("站点é", normalize("NFD", "站点é"))
    assert found(line(OLD, "pass", [gone]), line(NEW, "fail", [after])) == pair


def test_a_job_that_was_photographed_again_is_another_group(tmp_path: Path) -> None:
    """The same id, folder, names and summaries, but other photos: of another size, and of the same size."""
    first = taken(tmp_path, "fail", "QC-job-1", "1.jpg", "2.jpg")
    again = taken(tmp_path, "pass", "QC-job-1", "1.jpg", "2.jpg")
    Path(again[0]).write_bytes(bytes(reversed(Path(first[0]).read_bytes())))
    assert found(line(OLD, "fail", first), line(OLD, "pass", again)) == []


def test_files_on_another_machine_are_compared_by_path_and_summary() -> None:
    root = f"/srv/photos/{SHIELD}"
    for folders, texts, same in (
        (("审核通过/QC-job-1", "审核不通过/QC-job-1"), (GOOD, GOOD), True),
        (("审核通过/2026/QC-job-1", "审核不通过/2026/QC-job-1"), (GOOD, GOOD), True),
        (("审核通过/QC-job-1", "审核不通过/QC-job-1"), (GOOD, BAD), False),
        (("审核通过/QC-job-1", "审核不通过/QC-job-2"), (GOOD, GOOD), False),
        (("new/QC-job-1", "new/QC-job-1"), (GOOD, GOOD), True),  # no folder of a label: the whole path
        (("new/QC-job-1", "old/QC-job-1"), (GOOD, GOOD), False),
    ):
        one, other = (f"{root}/{folder}/1.jpg" for folder in folders)
        assert bool(found(line(OLD, "pass", [one], texts[0]), line(OLD, "fail", [other], texts[1]))) == same, folders


def test_a_photo_may_belong_to_two_missions_and_to_a_job_without_a_label(tmp_path: Path) -> None:
    (path,) = taken(tmp_path, "pass", "QC-job-1", "1.jpg")
    others = [line(OLD, "fail", [path], mission=CABLES), line(NEW, None, [path])]
    assert found(line(OLD, "pass", [path]), *others) == []
    assert len(found(line(OLD, "pass", [path]), *others, line(OLD, "fail", [path]))) == 1


def test_paths_that_no_file_can_have_are_compared_as_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")  # is never opened: that would wait for ever
    (tmp_path / "2.jpg").mkdir()
    for path in ("a\0b/1.jpg", "/" + "x" * 5000, str(tmp_path / "1.jpg"), str(tmp_path / "2.jpg"), ""):
        assert len(found(line(OLD, "pass", [path]), line(OLD, "fail", [path]))) == 1
        assert found(line(OLD, "pass", [path]), line(OLD, "fail", [path], BAD)) == []


def test_only_photos_of_one_name_and_size_are_read(tmp_path: Path) -> None:
    """400 photos of other sizes under one name, 400 under names of their own; one pair is read."""
    lines = []
    for number in range(400):
        label = ("pass", "fail")[number % 2]
        names = taken(tmp_path, label, f"QC-{number}", "1.jpg", f"QC-{number}_2.jpg")
        Path(names[0]).write_bytes(b"x" * (number + (number == 398)))  # as many bytes as number 399
        lines.append(line(f"QC-{number}", label, names))

    def reads() -> tuple[int, int]:
        opened: list[str] = []
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
        return len(found(*lines)), len([path for path in opened if path.endswith(".jpg")])

    assert in_child(reads) == (1, 4)


def test_photos_that_two_groups_of_one_label_name_are_counted(tmp_path: Path) -> None:
    """A photo whose name has another id was added in front, so that the group has another id."""
    paths = taken(tmp_path, "pass", "QC-job-1", f"{OLD}_1.jpg", f"{NEW}_1.jpg")
    lines = [line(OLD, "pass", paths[:1]), line(NEW, "pass", paths)]
    (warning,) = twice_under_one_label([photos(number, one) for number, one in enumerate(lines, 1)])
    assert warning.startswith(
        f"1 photos are in two groups of one label, and count twice. First: {paths[0]} in a.jsonl:1"
    )
    assert twice_under_one_label([photos(1, lines[0]), photos(2, line(OLD, "fail", paths))]) == []


# ---- what the commands say ----


def commands(stage_a: Path, out: Path, *options: str) -> Iterator[Result]:
    for command in (
        ["dataset", "--output-dir", str(out / "data"), *options, str(stage_a)],
        ["judge", "--rules", "--output-dir", str(out / "verdicts"), *options, str(stage_a)],
        ["evaluate", "--output-dir", str(out / "report"), *options, str(out / "verdicts" / f"{SHIELD}_verdicts.jsonl")],
    ):
        yield CliRunner().invoke(main, command)


def test_dataset_judge_and_evaluate_refuse_them_and_count_them_where_allowed(tmp_path: Path) -> None:
    lines = []
    for number in range(3):
        before = taken(tmp_path / "in", "pass", f"QC-{number}", f"{number}.jpg")
        after = taken(tmp_path / "in", "fail", f"QC-{number}", f"{number}.jpg")
        shutil.rmtree(Path(before[0]).parent)
        lines += [line(f"QC-{number}", "pass", before), line(f"QC-{number}", "fail", after)]
    stage_a = write_lines(tmp_path / f"{SHIELD}_stage_a.jsonl", lines[::2])
    assert [result.exit_code for result in commands(stage_a, tmp_path)] == [0, 0, 0]
    write_lines(stage_a, lines)
    for result in commands(stage_a, tmp_path):
        assert result.exit_code == 1
        assert result.stderr.startswith(
            f"error: {stage_a}:1: group QC-0 ({SHIELD}, pass) and {stage_a}:2: group QC-0 ({SHIELD}, fail) have the "
            f"same photo {lines[1]['images'][0]}, under two labels. 2 more photos are under both labels. Remove"
        )
        assert "`yanshou summarize --prune`" in result.stderr
        assert "--allow-shared-photos" in result.stderr
    for result in commands(stage_a, tmp_path, "--allow-shared-photos"):
        assert result.exit_code == 0, result.stderr
        assert "warning: 3 photos are under two labels, and count for both" in result.stderr


def test_the_advice_helps_where_a_group_was_copied_to_the_other_label(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    """The group is still under both labels, so its line alone would come back with the next run."""
    root, path, out = photo_tree(jobs(3)), script(), tmp_path / "out"
    wrong, right = (root / SHIELD / label / "QC-2" for label in (PASS, FAIL))
    shutil.copytree(wrong, right)
    for number in (1, 3):  # photos of their own
        (root / SHIELD / PASS / f"QC-{number}" / "1.jpg").write_bytes(encoded(noise(number, 16, 24)))
    assert summarize(root, path, out).status == 0
    refused = next(commands(lines_file(out), tmp_path)).stderr
    assert "Remove the group whose label no longer holds from the input, if it is still there; `yanshou" in refused
    shutil.rmtree(wrong)
    assert summarize(root, path, out, prune=True).pruned == 1
    assert next(commands(lines_file(out), tmp_path)).exit_code == 0
