"""Promises of `yanshou.cli.param_types`: paths are on this machine, and what was typed is what is shown."""

from pathlib import Path

import pytest
from support.cli_runs import Options, run, summarize

CURE = (
    "this is an address, and yanshou reads and writes only files of this machine. Download it or mount it first, and "
    "give the local path."
)


@pytest.mark.parametrize(
    "address", ["s3://bucket//a/图片", "oss://b/x", "https://host/a//b", "gs://b", "hdfs://n:9000/d"]
)
@pytest.mark.parametrize("option", ["input-dir", "output-dir", "system-prompt", "mission-file", "photos"])
def test_an_address_is_refused_as_it_was_typed(job: Options, option: str, address: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    ran = summarize(job | {option: address})
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == f"Error: Invalid value for '--{option}': '{address}': {CURE}"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["judge", "dataset", "evaluate"])
def test_an_address_as_an_argument(command: str, tmp_path: Path) -> None:
    ran = run(command, "--output-dir", str(tmp_path), "s3://b//x_stage_a.jsonl")
    assert ran.exit_code == 2
    assert ran.stderr.splitlines()[-1] == f"Error: Invalid value for 'FILE...': 's3://b//x_stage_a.jsonl': {CURE}"


def test_a_file_address_is_refused_with_its_path(job: Options) -> None:
    ran = summarize(job | {"input-dir": "file:///data/in"})
    assert ran.stderr.splitlines()[-1] == (
        "Error: Invalid value for '--input-dir': 'file:///data/in': this is an address. Give the path alone: /data/in."
    )


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("1.JPG", "Photos are given with --photos."),
        ("bbu.zip", "Unpack the archive, and give the folder."),
    ],
)
def test_a_file_in_place_of_the_input_folder(job: Options, tmp_path: Path, name: str, cure: str) -> None:
    (tmp_path / name).touch()
    ran = summarize(job | {"input-dir": str(tmp_path / name)})
    assert (ran.exit_code, ran.stderr.splitlines()[-1]) == (
        2,
        f"Error: Invalid value for '--input-dir': '{tmp_path / name}' is a file. {cure}",
    )


def test_a_folder_with_a_colon_is_a_folder(job: Options, tmp_path: Path) -> None:
    (tmp_path / "a:").mkdir()
    Path(job["input-dir"]).rename(tmp_path / "a:" / "in")
    assert summarize(job | {"input-dir": str(tmp_path / "a:" / "in")}, "--quiet").exit_code == 0
