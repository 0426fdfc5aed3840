"""Finding the Stage-A files and the state of a run by the run file beside the verdicts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.lines import BAD, GROUNDING, SHIELD, stage_a_line, verdict, write_lines

from yanshou.errors import DamagedFileError, InputError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_groups import read_judged
from yanshou.missions import load_missions

MISSIONS = load_missions()
Judged = Callable[..., Path]


def read(file: Path, *stage_a_files: Path) -> list[JudgedGroup]:
    return list(read_judged([file], stage_a_files or None, MISSIONS).groups)


def test_verdicts_of_an_unfinished_run_give_a_warning(judged: Judged) -> None:
    file = judged([verdict("QC-1")], [stage_a_line("QC-1")])
    assert read_judged([file], None, MISSIONS).warnings == ()
    run = file.with_name(file.name.replace(".jsonl", ".run.json"))
    run.write_text(run.read_text("utf-8").replace('"finished"', '"running"'), encoding="utf-8")
    (warning,) = read_judged([file], None, MISSIONS).warnings
    assert warning.startswith(f"{run}: the run is still going or was killed")


def test_given_stage_a_files_replace_those_of_the_run_file(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1")])
    (tmp_path / f"{GROUNDING}_verdicts.run.json").unlink()
    given_file = write_lines(tmp_path / "moved.jsonl", [stage_a_line("QC-1", "pass", BAD)])
    assert [group.summaries for group in read(file, given_file, given_file)] == [(BAD,)]


def test_one_of_several_missions_judged_together_is_evaluated_without_a_warning(judged: Judged, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [stage_a_line("QC-9", mission=SHIELD)])
    file, run = judged([verdict("QC-1")]), tmp_path / f"{GROUNDING}_verdicts.run.json"
    both = [str(tmp_path / f"{GROUNDING}_stage_a.jsonl"), str(other)]
    run.write_text(json.dumps({**json.loads(run.read_text()), "settings": {"stage_a": both}}))
    found = read_judged([file], None, MISSIONS)
    assert ([group.key.group_id for group in found.groups], found.warnings) == (["QC-1"], ())


def test_without_a_run_file_the_stage_a_files_must_be_given(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1")])
    (tmp_path / f"{GROUNDING}_verdicts.run.json").unlink()
    with pytest.raises(InputError, match=r"run\.json is missing beside it.*--stage-a"):
        read(file)


@pytest.mark.parametrize("named", [None, [], "out/a.jsonl", [1], [""]])
def test_a_run_file_that_names_no_stage_a_files_is_an_error(judged: Judged, tmp_path: Path, named: Any) -> None:
    file, run = judged([verdict("QC-1")]), tmp_path / f"{GROUNDING}_verdicts.run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), "settings": {"stage_a": named}}))
    with pytest.raises(DamagedFileError, match=r"run\.json: key settings\.stage_a is .*--stage-a"):
        read(file)


@pytest.mark.parametrize("odd", ["[]", "", "{", "null", '{"settings": ' + "[" * 100_000])
def test_a_damaged_run_file_is_an_error_that_says_what_is_wrong(judged: Judged, tmp_path: Path, odd: str) -> None:
    file = judged([verdict("QC-1")])
    (tmp_path / f"{GROUNDING}_verdicts.run.json").write_text(odd)
    with pytest.raises(DamagedFileError, match=r"run\.json: (not an object|blank|incomplete|nested).*--stage-a"):
        read(file)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a" * 245 + ".jsonl"])
def test_impossible_file_names_are_reported_without_a_traceback(judged: Judged, tmp_path: Path, name: str) -> None:
    file, run = judged([verdict("QC-1")]), tmp_path / f"{GROUNDING}_verdicts.run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), "settings": {"stage_a": [name]}}))
    with pytest.raises(InputError, match=r"does not exist.*--stage-a"):
        read(file)
    if name.endswith(".jsonl"):  # it exists, but names of files beside it would be too long
        write_lines(tmp_path / name, [stage_a_line("QC-1")])
        assert len(read(file, tmp_path / name)) == 1


def test_a_missing_stage_a_file_is_named(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1")])
    (tmp_path / f"{GROUNDING}_stage_a.jsonl").unlink()
    with pytest.raises(InputError, match=r"_stage_a\.jsonl does not exist.*--stage-a"):
        read(file)
