"""A SIGKILL at any change of a file leaves the old files or the new ones, and the same command completes them.

`make test` kills each command at every few changes; YANSHOU_KILLS=200 kills at every change, and then at random times.
Where a kill leaves a set without its last file, the commands that read the set refuse it until it is complete.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.cli_runs import run
from support.fuzz import world
from support.kills import count_changes, killed_after, killed_at_change, random_times
from support.parsed_page import read

KILLS = int(os.environ.get("YANSHOU_KILLS", "0"))  # in all; 0: a few per command
COMMANDS = 4
A_FEW = 8
LINES, REMOVED = Path(f"{world.STAGE_A}.jsonl"), Path(f"{world.STAGE_A}.removed.jsonl")
JUDGED = Path(f"{world.VERDICTS}.jsonl")

Check = Callable[[], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before, base = Path.cwd(), tmp_path_factory.mktemp("kills")
    world.build(base / "world")
    (base / "world").rename(base / "whole")
    yield base / "whole"
    os.chdir(before)


def restore(whole: Path, name: str = "world") -> None:
    """A copy of the files, which becomes the working folder. Lines name photos by this folder."""
    os.chdir(whole.parent)
    shutil.rmtree(whole.parent / name, ignore_errors=True)
    shutil.copytree(whole, whole.parent / name)
    os.chdir(whole.parent / name)


def campaign(start: Check, command: Sequence[str], after_kill: Check, complete: Check, statuses: set[int]) -> int:
    """Kills the command again and again, each time from the start. Returns the number of kills."""

    def again() -> None:
        ran = run(*command)
        assert ran.exit_code in statuses, ran.output

    def examine() -> None:
        after_kill()
        again()
        complete()
        assert [path.name for path in Path().rglob(".*") if path.suffix in (".tmp", ".new")] == []

    def work() -> None:
        run(*command)

    start()
    changes = count_changes(work)
    places = range(1, changes + 1) if KILLS else range(changes, 0, -max(1, changes // A_FEW))
    kills = 0
    for number in places:
        start()
        assert killed_at_change(number, work)
        examine()
        kills += 1
    start()
    began = time.monotonic()
    work()
    longest_s = time.monotonic() - began
    for seconds in random_times(longest_s, 16):
        if kills >= KILLS // COMMANDS:
            break
        start()
        kills += killed_after(seconds, work)
        examine()
    print(f"{kills} kills at {changes} changes: {' '.join(command[:3])}")
    return kills


# ---- the commands ----


def contents(*paths: Path) -> tuple[bytes | None, ...]:
    return tuple(path.read_bytes() if path.exists() else None for path in paths)


def test_a_killed_dataset_leaves_the_old_files_or_the_new_ones_or_is_refused(whole: Path) -> None:
    files = [Path("d") / name for name in ("train.jsonl", "val.jsonl", "dataset.card.json")]
    command = (*world.DATASET, "--seed", "5")
    restore(whole)
    old = contents(*files)
    assert run(*command).exit_code == 0
    new = contents(*files)
    assert old[0] != new[0] != old[1] != new[1]

    def after_kill() -> None:
        found = contents(*files)
        if found in (old, new):
            return
        assert found[2] is None  # the card completes the set
        for reader in (world.TRAIN, (*world.EVALUATE, "--only", "d/val.jsonl")):
            ran = run(*reader)
            assert ran.exit_code in (1, 2), ran.output

    def complete() -> None:
        assert contents(*files) == new

    campaign(lambda: restore(whole), command, after_kill, complete, {0})


def test_a_killed_evaluation_leaves_the_old_files_or_the_new_ones(whole: Path) -> None:
    table, page = Path("e/groups.csv"), Path("e/report.html")
    command = (*world.EVALUATE, "--threshold", "0.95")
    restore(whole)
    assert run(*world.EVALUATE).exit_code == 0
    shutil.copytree("e", whole / "e")
    old = table.read_bytes(), shown(page)
    assert run(*command).exit_code == 0
    new = table.read_bytes(), shown(page)
    assert old[0] != new[0]
    assert old[1] != new[1]

    def after_kill() -> None:
        if table.exists():  # it completes the set
            assert (table.read_bytes(), shown(page)) in (old, new)

    def complete() -> None:
        assert (table.read_bytes(), shown(page)) == new

    try:
        campaign(lambda: restore(whole), command, after_kill, complete, {0})
    finally:
        shutil.rmtree(whole / "e")


def shown(page: Path) -> Any:
    """The groups of a report."""
    if not page.exists():
        return None
    return read(page).data["groups"]


def test_killed_while_it_prunes_a_run_loses_and_doubles_no_line(whole: Path) -> None:
    command = (*world.SUMMARIZE, "--prune")

    def start() -> None:
        restore(whole)
        for group in ("QC-1", "QC-4"):
            (folder,) = Path("in").rglob(group)
            shutil.rmtree(folder)

    start()
    old = LINES.read_bytes().splitlines()
    ran = run(*command)
    assert ran.exit_code == 3, ran.output  # QC-6 fails
    kept, moved = LINES.read_bytes().splitlines(), REMOVED.read_bytes().splitlines()
    assert (sorted([*kept, *moved]), len(moved)) == (sorted(old), 2)

    def after_kill() -> None:
        lines, removed = (path.read_bytes().splitlines() if path.exists() else [] for path in (LINES, REMOVED))
        assert lines in (old, kept)
        assert lines == old or removed == moved

    def complete() -> None:
        assert [path.read_bytes().splitlines() for path in (LINES, REMOVED)] == [kept, moved]

    campaign(start, command, after_kill, complete, {3})


def test_a_killed_change_of_the_threshold_leaves_all_old_verdicts_or_all_new_ones(whole: Path) -> None:
    command = (*world.JUDGE, "--threshold", "0.95")
    restore(whole)
    old = JUDGED.read_bytes()
    assert run(*command).exit_code == 3
    new = JUDGED.read_bytes()
    assert (old != new, old.count(b'"verdict": "pass"'), new.count(b'"verdict": "pass"')) == (True, 4, 0)

    def after_kill() -> None:
        assert JUDGED.read_bytes() in (old, new)

    def complete() -> None:
        assert JUDGED.read_bytes() == new

    campaign(lambda: restore(whole), command, after_kill, complete, {3})
