"""What a run counted as stale is repeated by every command that reads the file."""

import shutil
from pathlib import Path

from click.testing import CliRunner
from support.lines import SHIELD
from support.stage_a_runs import FAIL, PASS, PhotoTree, Script, jobs, lines_file, run

from yanshou.cli import main
from yanshou.storage.stale_counts import stale_warnings

WARNING = (
    "{}: the last whole run counted {} no longer in the input. Run the command that wrote the file again with --prune"
)


def test_readers_of_a_file_with_stale_lines_warn(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    resubmitted = {f"{SHIELD}/{PASS}/QC-{number}": [f"new {number}.jpg"] for number in range(1, 7)}
    root, path, out = photo_tree(jobs(6, label=FAIL) | resubmitted), script(), tmp_path / "out"
    run(root, path, out)
    shutil.rmtree(root / SHIELD / FAIL / "QC-2")
    file = run(root, path, out).lines
    assert file == lines_file(out)
    warned = f"warning: {WARNING.format(file, '1 stale line, whose group is')}"
    verdicts = tmp_path / f"{SHIELD}_verdicts.jsonl"
    commands = (
        ["judge", "--rules", "--output-dir", str(tmp_path), str(file)],
        ["dataset", "--output-dir", str(tmp_path / "data"), str(file)],
        ["evaluate", "--output-dir", str(tmp_path / "report"), str(verdicts)],
    )
    for command in commands:
        ran = CliRunner().invoke(main, command)
        assert (ran.exit_code, ran.stderr.count(warned)) == (0, 1), ran.stderr
    run(root, path, out, prune=True)
    assert list(stale_warnings([file])) == []
    ran = CliRunner().invoke(main, commands[0])
    assert ran.exit_code == 3
    assert "stale: the input no longer holds QC-2 (fail), which is now QC-2 (pass)" in ran.stderr
    assert list(stale_warnings([file, verdicts])) == [WARNING.format(verdicts, "1 stale line, whose group is")]


def test_nothing_is_said_about_a_file_without_a_run_file(tmp_path: Path) -> None:
    assert list(stale_warnings([tmp_path / "a.jsonl"])) == []


def test_a_run_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "b.run.json").write_text("damaged", encoding="utf-8")
    (warning,) = stale_warnings([tmp_path / "b.jsonl"])
    assert warning.startswith(f"{tmp_path}/b.jsonl: it is not known whether lines are stale: {tmp_path}/b.run.json: ")
