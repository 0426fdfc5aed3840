"""Promises of `yanshou.storage.run_files`: what stands on disk whatever happens to a run."""

import json
import multiprocessing
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import yanshou.storage.run_files as output_module
from yanshou.errors import DamagedFileError, LockedError, OutputError, ResumeError
from yanshou.schema.records import Fault, StageARecord
from yanshou.storage.jsonl import dump_line, read_lines
from yanshou.storage.run_files import Output

STEM = "挡风板安装检查_stage_a"
SETTINGS: dict[str, Any] = {
    "checkpoint": "4f0c",
    "sampling": {"max_new_tokens": 256, "temperature": 0.0},
    "allow_truncated": False,
    "prompt": "看图，用一行中文写出照片里的内容。" * 4 + "用全角逗号隔开，看不清的写 需复核。只写这一行。",
}
MAY_CHANGE = {"sampling.max_new_tokens": "grow", "allow_truncated": "any"}
FORK = multiprocessing.get_context("fork")


def record(number: int) -> StageARecord:
    return StageARecord(
        group_id=f"QC-{number}",
        mission="挡风板安装检查",
        label="pass",
        images=[f"/data/{number}.jpg"],
        per_image={"图片_1": f"挡风板×{number}"},
        raw_texts=[f"挡风板×{number}<|im_end|>"],
        clean_texts=[f"挡风板×{number}"],
        timestamp="2026-01-18T09:30:00+08:00",
    )


def fault(number: int, message: str = "the file is empty (0 bytes)", photo: str | None = "1.jpg") -> Fault:
    key = record(number).key
    return Fault(**key._asdict(), photo=photo, step="load", message=message, advice="Copy it again.", timestamp="")


def open_output(folder: Path, stem: str = STEM, **changes: Any) -> Output[StageARecord, list[str]]:
    given = {
        "mission": record(1).mission,
        "digest": lambda record: record.images,
        "settings": SETTINGS,
        "environment": lambda earlier: {"device": "cuda:0", "versions": {"torch": "2.9"}},
        "may_change": MAY_CHANGE,
    }
    return Output.open(folder, stem, StageARecord, **(given | changes))


def write(folder: Path, *numbers: int, **changes: Any) -> None:
    """A whole run that writes these groups."""
    with open_output(folder, **changes) as output:
        for number in numbers:
            output.append(record(number))
        output.finish("finished", {"written": len(output.done)})


def lines(folder: Path) -> bytes:
    return (folder / f"{STEM}.jsonl").read_bytes()


def written(*numbers: int) -> bytes:
    return b"".join(dump_line(record(number)) for number in numbers)


def run_file(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / f"{STEM}.run.json").read_text()))


def failing(folder: Path) -> list[tuple[str, str]]:
    return [(line["group_id"], line["message"]) for _, line in read_lines(folder / f"{STEM}.errors.jsonl")]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returns in a process of its own."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sending.send(work()))
    child.start()
    sending.close()
    with receiving:
        result = receiving.recv()
    child.join()
    return result


# --- what a run leaves, and how the next one continues


def test_a_run_writes_lines_and_says_which_settings_made_them(tmp_path: Path) -> None:
    with open_output(tmp_path / "new" / "out") as output:
        output.append(record(1))
        assert lines(tmp_path / "new" / "out") == written(1)
        assert run_file(tmp_path / "new" / "out")["status"] == "running"
        output.finish("finished", {"written": 1})
    run = run_file(tmp_path / "new" / "out")
    assert {key: run[key] for key in ("status", "counts", "runs", "settings", "environment")} == {
        "status": "finished",
        "counts": {"written": 1},
        "runs": 1,
        "settings": SETTINGS,
        "environment": {"device": "cuda:0", "versions": {"torch": "2.9"}},
    }
    assert list(run)[:2] == ["yanshou", "status"]
    assert sorted(snapshot(tmp_path / "new" / "out")) == sorted(
        [f".{STEM}.lock", f"{STEM}.errors.jsonl", f"{STEM}.jsonl", f"{STEM}.run.json"]
    )


def test_a_resume_knows_what_is_done_and_adds_the_rest(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    with open_output(tmp_path) as output:
        assert output.done == {record(1).key: ["/data/1.jpg"], record(2).key: ["/data/2.jpg"]}
        output.append(record(3))
        assert output.done[record(3).key] == ["/data/3.jpg"]
    assert lines(tmp_path) == written(1, 2, 3)
    assert run_file(tmp_path)["runs"] == 2
    assert run_file(tmp_path)["status"] == "running"  # nobody called finish: as after a kill


def test_one_id_under_both_labels_is_two_groups(tmp_path: Path) -> None:
    with open_output(tmp_path) as output:
        output.append(record(1))
        output.append(record(1).model_copy(update={"label": "fail"}))
        output.append(record(1).model_copy(update={"label": None}))
    with open_output(tmp_path) as output:
        assert [key.label for key in output.done] == ["pass", "fail", None]


def test_a_torn_last_line_is_cut_and_its_group_redone(tmp_path: Path) -> None:
    write(tmp_path, 1)
    for length in range(1, len(written(2)), 7):
        (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + written(2)[:length])
        with open_output(tmp_path) as output:
            assert list(output.done) == [record(1).key]
            output.append(record(2))
        assert lines(tmp_path) == written(1, 2)


def test_a_damaged_middle_line_is_an_error_and_stays_where_it_is(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3)
    damaged = written(1) + written(2).replace("图片_1".encode(), "图片_2".encode()) + written(3)
    (tmp_path / f"{STEM}.jsonl").write_bytes(damaged)
    with pytest.raises(DamagedFileError, match=f"{STEM}.jsonl:2: key 图片_1 is missing .group QC-2, 1 photo.. Delete"):
        open_output(tmp_path)
    assert lines(tmp_path) == damaged


def test_a_group_on_two_lines_is_an_error_naming_both(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1, 2, 1))
    with pytest.raises(DamagedFileError, match=r"jsonl:3: group QC-1 \(label pass\) stands on line 1 already"):
        open_output(tmp_path)


def test_a_full_disk_is_an_error_and_the_next_run_continues(tmp_path: Path) -> None:
    write(tmp_path, 1)
    limit = len(written(1, 2)) + 20

    def fill() -> str:
        with open_output(tmp_path) as output:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            output.append(record(2))
            try:
                output.append(record(3))
            except OutputError as error:
                assert record(3).key not in output.done
                return str(error)
        return "no error"

    assert "cannot be written: File too large" in in_child(fill)
    assert lines(tmp_path) == written(1, 2)
    write(tmp_path, 3)
    assert lines(tmp_path) == written(1, 2, 3)


# --- settings


def test_other_settings_are_refused_showing_each_difference_and_nothing_is_touched(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + b"torn")
    before = snapshot(tmp_path)
    other = {
        "checkpoint": "77aa",
        "sampling": {"max_new_tokens": 256, "temperature": 0.7, "top_p": 0.9},
        "allow_truncated": False,
        "prompt": SETTINGS["prompt"].replace("只写这一行", "写两行"),
    }
    with pytest.raises(ResumeError) as error:
        open_output(tmp_path, settings=other)
    assert str(error.value) == (
        f"{tmp_path}/{STEM}.run.json: the lines so far were made with other settings:\n"
        '  checkpoint: file has "4f0c", this run has "77aa"\n'
        "  sampling.temperature: file has 0.0, this run has 0.7\n"
        "  sampling.top_p: file has nothing, this run has 0.9\n"
        '  prompt: file has …看不清的写 需复核。只写这一行。", this run has …看不清的写 需复核。写两行。"\n'
        "Use the same settings, choose another --output-dir, or start over: --fresh, which keeps the old files under "
        "another name."
    )
    assert snapshot(tmp_path) == before
    open_output(tmp_path).close()  # the lock is free again


def test_the_cures_of_a_failed_group_may_change_and_are_recorded(tmp_path: Path) -> None:
    write(tmp_path, 1)
    cured = SETTINGS | {"allow_truncated": True, "sampling": {"max_new_tokens": 512, "temperature": 0.0}}
    write(tmp_path, 2, settings=cured)
    assert run_file(tmp_path)["settings"] == cured
    with pytest.raises(ResumeError, match=r"sampling.max_new_tokens: file has 512, this run has 256 \(may only grow\)"):
        open_output(tmp_path)


def test_settings_are_free_as_long_as_there_is_no_line(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, 1, settings=SETTINGS | {"checkpoint": "77aa"})
    assert run_file(tmp_path)["settings"]["checkpoint"] == "77aa"


def test_settings_are_compared_as_the_file_holds_them(tmp_path: Path) -> None:
    write(tmp_path, 1, settings={"missions": ("a", "b"), "empty": {}})
    write(tmp_path, 2, settings={"missions": ["a", "b"], "empty": {}})
    assert lines(tmp_path) == written(1, 2)


def test_a_run_is_told_the_environments_that_it_goes_on_with(tmp_path: Path) -> None:
    told: list[list[int]] = []
    slots = iter((8, 4, 4, 2, 2))

    def environment(earlier: list[dict[str, Any]]) -> dict[str, Any]:
        told.append([one["slots"] for one in earlier])
        return {"slots": next(slots)}

    for number in (1, 2, 3, 4):
        write(tmp_path, number, environment=environment)
    write(tmp_path, 5, environment=environment, fresh=True)
    assert told == [[], [8], [4, 8], [4, 8], []]


def test_another_environment_is_told_and_recorded(tmp_path: Path) -> None:
    write(tmp_path, 1)
    elsewhere = {"device": "cpu", "versions": {"torch": "2.9"}}
    with open_output(tmp_path, environment=lambda earlier: elsewhere) as output:
        assert output.warnings == [
            f"{output.paths.run}: this run differs from the lines so far, which stay:\n"
            '  device: file has "cuda:0", this run has "cpu"'
        ]
    with open_output(tmp_path, environment=lambda earlier: elsewhere) as output:
        assert output.warnings == []
    assert run_file(tmp_path)["environment"] == elsewhere
    (earlier,) = run_file(tmp_path)["earlier_environments"]
    assert earlier["environment"]["device"] == "cuda:0"


def test_lines_without_a_run_file_are_refused_untouched(tmp_path: Path) -> None:
    for content in (written(1), b"one line of somebody else's without a line break"):
        (tmp_path / f"{STEM}.jsonl").write_bytes(content)
        with pytest.raises(ResumeError, match=f"{STEM}.run.json is missing beside it. Put it back"):
            open_output(tmp_path)
        assert lines(tmp_path) == content


@pytest.mark.parametrize(
    ("content", "what"),
    [("", "blank"), ('{"yanshou": "0.1', "torn"), ("[]\n", "no object"), ("{}\n", "key yanshou is missing")],
)
def test_a_damaged_run_file_is_an_error_with_a_cure(tmp_path: Path, content: str, what: str) -> None:
    write(tmp_path, 1)
    (tmp_path / f"{STEM}.run.json").write_text(content)
    with pytest.raises(DamagedFileError, match=f"run.json: {what}.*Restore the file, or start over: --fresh"):
        open_output(tmp_path)


def test_fresh_moves_the_old_files_aside_and_never_over_older_ones(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write(tmp_path, number, fresh=True, settings=SETTINGS | {"checkpoint": f"{number}"})
    with open_output(tmp_path, fresh=True) as output:
        assert output.done == {}
        assert [path.name.split(".jsonl")[0].split(".run")[0] for path in output.moved] == [
            STEM,
            f"{STEM}.errors",
            STEM,
        ]
    old = [path.read_bytes() for path in tmp_path.glob(f"{STEM}.jsonl.*.old")]
    assert sorted(old) == [written(1), written(2), written(3)]
    assert len(list(tmp_path.glob("*.old"))) == 9


# --- faults


def test_the_errors_file_holds_what_fails_now(tmp_path: Path) -> None:
    with open_output(tmp_path) as output:
        output.fail([fault(1, "a"), fault(1, "b", photo=None)])
        output.fail([fault(2, "c")])
        output.fail([fault(3, "d")])
        assert failing(tmp_path) == [("QC-1", "a"), ("QC-1", "b"), ("QC-2", "c"), ("QC-3", "d")]  # at once
    with open_output(tmp_path) as output:
        assert output.failed_before == {record(1).key, record(2).key, record(3).key}
        output.append(record(1))
        output.fail([fault(2, "e")])
        output.finish("finished", {}, present={record(1).key, record(2).key})  # the folder of 3 is gone
    assert failing(tmp_path) == [("QC-2", "e")]


def test_of_a_killed_run_the_latest_attempt_of_a_group_stays(tmp_path: Path) -> None:
    for message in ("first", "second", "third"):  # all in one second, none of the runs comes to its end
        with open_output(tmp_path) as output:
            output.fail([fault(1, f"{message} a"), fault(1, f"{message} b")])
    with open_output(tmp_path) as output:
        output.fail([fault(2)])
        output.append(record(2))
    with open_output(tmp_path) as output:
        assert output.failed_before == {record(1).key}
    assert failing(tmp_path) == [("QC-1", "third a"), ("QC-1", "third b")]


def test_attempts_at_different_times_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path)
    old = [fault(1, message).model_copy(update={"timestamp": "2026-01-18T09:30:00+08:00"}) for message in "ab"]
    new = fault(1, "c").model_copy(update={"timestamp": "2026-01-18T09:29:00+08:00"})  # the clock was put back
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(b"".join(map(dump_line, [*old, new])) + b'{"torn')
    open_output(tmp_path).close()
    assert failing(tmp_path) == [("QC-1", "c")]


def test_a_written_group_that_fails_in_this_run_stays_in_the_errors_file(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with open_output(tmp_path) as output:
        output.fail([fault(1, "the photos have changed since")])
        output.finish("finished", {"failed": 1})
    assert failing(tmp_path) == [("QC-1", "the photos have changed since")]


def test_a_damaged_errors_file_is_an_error_with_a_cure(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(b"{}\n")
    with pytest.raises(
        DamagedFileError, match=r"errors.jsonl:1: key group_id is missing. Delete the line: the group is"
    ):
        open_output(tmp_path)


# --- two runs, and runs that are killed


def test_a_second_run_on_the_same_file_is_refused_and_other_missions_are_not_disturbed(tmp_path: Path) -> None:
    def second() -> str:
        write(tmp_path, 7, stem="BBU接地线检查_stage_a")
        try:
            write(tmp_path, 8, fresh=True)
        except LockedError as error:
            return str(error)
        return "no error"

    with open_output(tmp_path) as output:
        output.append(record(1))
        assert in_child(second) == (
            f"{tmp_path}/{STEM}.jsonl: another run is writing it. Wait until that ends, or choose another --output-dir."
        )
        with pytest.raises(LockedError):
            open_output(tmp_path)
        output.append(record(2))
    assert lines(tmp_path) == written(1, 2)
    assert (tmp_path / "BBU接地线检查_stage_a.jsonl").read_bytes() == written(7)


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: "):
        open_output(tmp_path / "file")


GROUPS = range(120)


def run_all(folder: Path) -> None:
    """A run over all groups; every tenth fails."""
    with open_output(folder) as output:
        for number in GROUPS:
            if record(number).key in output.done:
                continue
            time.sleep(0.002)
            if number % 10 == 0:
                output.fail([fault(number, "a"), fault(number, "b")])
            else:
                output.append(record(number))
        output.finish("finished", {"written": len(output.done)})


def test_a_run_killed_at_twenty_moments_ends_like_one_left_alone(tmp_path: Path) -> None:
    chance = random.Random(0)
    kills = 0
    for _ in range(20):
        child = FORK.Process(target=run_all, args=(tmp_path / "killed",))
        child.start()
        time.sleep(chance.uniform(0.005, 0.06))
        child.kill()
        child.join()
        kills += child.exitcode == -9
    run_all(tmp_path / "killed")
    run_all(tmp_path / "alone")
    assert kills >= 5
    assert lines(tmp_path / "killed") == lines(tmp_path / "alone") == written(*(n for n in GROUPS if n % 10))
    assert failing(tmp_path / "killed") == failing(tmp_path / "alone")
    assert run_file(tmp_path / "killed")["counts"] == {"written": 108}
    assert set(snapshot(tmp_path / "killed")) - set(snapshot(tmp_path / "alone")) <= {
        f".{STEM}.run.json.tmp",
        f".{STEM}.errors.jsonl.tmp",
    }


def test_a_line_of_another_mission_is_an_error_naming_both(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(DamagedFileError, match=rf"{STEM}\.jsonl:1: .* is of mission .*, this file is 另一个检查项's"):
        open_output(tmp_path, mission="另一个检查项")


# ---- lines that read otherwise under other settings ----


def renamed(one: StageARecord) -> StageARecord:
    return one.model_copy(update={"images": ["/elsewhere/1.jpg"]})


def test_revised_lines_are_appended_to(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with open_output(tmp_path, revise=renamed) as output:
        assert output.revised == 1
        output.append(record(2))
    assert lines(tmp_path) == dump_line(renamed(record(1))) + dump_line(record(2))


def test_a_run_that_is_refused_revises_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1)
    path = tmp_path / f"{STEM}.jsonl"
    path.write_bytes(written(1, 1))
    before = run_file(tmp_path)
    with pytest.raises(DamagedFileError, match="stands on line 1 already"):
        open_output(tmp_path, revise=renamed)
    assert lines(tmp_path) == written(1, 1)
    assert run_file(tmp_path) == before


def test_what_ends_before_the_lines_are_revised_leaves_a_run_file_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)
    real = output_module.replace_file

    def fails(path: Path, data: bytes) -> None:
        if path.name == f"{STEM}.jsonl":
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(output_module, "replace_file", fails)
    with pytest.raises(KeyboardInterrupt):
        open_output(tmp_path, settings={**SETTINGS, "allow_truncated": True}, revise=renamed)
    assert lines(tmp_path) == written(1)
    assert (run_file(tmp_path)["status"], run_file(tmp_path)["settings"]["allow_truncated"]) == ("running", True)

    monkeypatch.setattr(output_module, "replace_file", real)
    with open_output(tmp_path, settings={**SETTINGS, "allow_truncated": True}, revise=renamed) as output:
        assert output.revised == 1
