"""The store's file: made, opened, refused, and what goes wrong with it while it is served."""

import os
import random
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.mounts import in_own_mounts, small_disk
from support.review_answers import People, imported, key, open_store
from support.review_rows import answer_rows

from yanshou.errors import DamagedFileError, InputError, LockedError, OutputError, UsageError
from yanshou.review.store import database, network_mounts
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.errors import DiskFullError
from yanshou.review.store.snapshot import read_snapshot
from yanshou.review.store.store import Store

KEYS = [key(f"QC-{number}") for number in range(30)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.sqlite"


# ---- made and opened ----


def test_new_store_is_for_its_owner_alone_and_safe(path: Path) -> None:
    with Store.open(path), sqlite3.connect(path) as other:
        assert [oct(file.stat().st_mode & 0o777) for file in sorted(path.parent.glob("review*"))] == ["0o600"] * 3
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA user_version").fetchone() == (1,)
    other.close()
    assert [file.name for file in path.parent.iterdir()] != []


def test_closed_store_is_one_file(path: Path) -> None:
    with open_store(path, KEYS):
        pass
    assert sorted(file.name for file in path.parent.iterdir()) == [".review.sqlite.lock", "review.sqlite"]


def test_another_program_holds_the_store_at_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(path).close()
    monkeypatch.setattr(database, "WAIT_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LockedError, match=r"another program is writing the store.* Then start again"):
        Store.open(path)
    other.close()
    Store.open(path).close()


def test_each_commit_waits_for_the_disk(path: Path) -> None:
    with Store.open(path) as store, store._database.writing() as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1


@pytest.mark.parametrize("left_behind", ["nothing", "log"])
def test_start_that_was_killed_at_once_leaves_a_store_that_opens(path: Path, left_behind: str) -> None:
    path.touch()
    if left_behind == "log":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    with open_store(path, KEYS) as store:
        assert len(People(store).ids) == 30


def test_folder_of_the_store_is_made(tmp_path: Path) -> None:
    with Store.open(tmp_path / "new" / "review.sqlite"):
        assert (tmp_path / "new" / "review.sqlite").exists()


# ---- seed and share ----


def test_seed_and_share_stay_those_of_the_first_import(path: Path) -> None:
    Store.open(path, seed=1).close()
    with Store.open(path, seed=3, second_share=0.25) as store:  # nothing depends on them yet
        store.add_groups(map(imported, KEYS))
    with Store.open(path) as store:
        assert (store.seed, store.second_share) == (3, 0.25)
    Store.open(path, seed=3, second_share=0.25).close()
    for option in ({"seed": 0}, {"second_share": 0.1}):
        with pytest.raises(UsageError, match="was made with"):
            Store.open(path, **option)
    Store.open(path).close()  # the lock was given back


# ---- refused ----


@pytest.mark.parametrize("content", [b"hello", b"a,b\n" * 2000, b"\x89PNG" + bytes(5000), b"SQLite format 2\0" * 400])
def test_file_that_is_no_store_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for opened in (Store.open, read_snapshot):
        with pytest.raises(InputError, match="no store of `yanshou review`: it is no SQLite file"):
            opened(path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_database_of_another_program_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    before = path.read_bytes()
    for opened in (Store.open, read_snapshot):
        with pytest.raises(InputError, match="an SQLite file of another program"):
            opened(path)
    assert path.read_bytes() == before


def test_newer_store_is_refused(path: Path) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()
    for opened in (Store.open, read_snapshot):
        with pytest.raises(InputError, match=r"newer yanshou made this store \(version 2; this one knows 1\)\. Update"):
            opened(path)


def test_other_things_than_files_are_refused(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(InputError, match="this is not a file"):
        Store.open(path)
    with pytest.raises(InputError, match="this is not a file"):
        Store.open(path.parent)


def test_file_with_two_names_is_refused(path: Path) -> None:
    Store.open(path).close()
    os.link(path, path.with_name("other.sqlite"))
    with pytest.raises(InputError, match="a hard link"):
        Store.open(path)


def test_network_drive_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = path.with_name("mountinfo")
    mounts.write_text(f"30 22 0:40 / {path.parent} rw - nfs4 nas:/export rw\n")
    monkeypatch.setattr(database, "network_drive", lambda path: network_mounts.network_drive(path, mounts))
    with pytest.raises(InputError, match=r"network drive \(nfs4\).*on a disk of this machine"):
        Store.open(path)
    assert not path.exists()


def test_one_process_serves_a_store(path: Path) -> None:
    with Store.open(path):
        with pytest.raises(LockedError, match="another `yanshou review` serves this store"):
            Store.open(path)
        link = path.with_name("link.sqlite")
        link.symlink_to(path)
        with pytest.raises(LockedError):
            Store.open(link)
    Store.open(path).close()


def test_a_name_that_no_file_can_have_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    with pytest.raises(InputError, match="there is no such store"):
        read_snapshot(path)
    with pytest.raises(OutputError, match=r"cannot be locked: .*File name too long"):
        Store.open(path)


def test_export_needs_a_store(path: Path) -> None:
    with pytest.raises(InputError, match="there is no such store"):
        read_snapshot(path)
    assert not path.exists()


# ---- while it is served ----


def test_another_program_writes_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.05)
    with open_store(path, KEYS) as store:
        people = People(store)
        people.session("李")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError, match="another program is writing the store"):
            people.say("李", KEYS[0], "pass")
        assert store.history(people.session("李")) == []
        other.execute("ROLLBACK")
        other.close()
        people.say("李", KEYS[0], "pass")
        assert len(answer_rows(store)) == 1


def test_threads_do_not_wait_in_turn_for_another_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.2)
    with open_store(path, KEYS) as store:
        people = People(store)
        session = people.session("李")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused, begin = [], time.monotonic()

        def renew() -> None:
            with pytest.raises(LockedError):
                store.renew(session, [1])
            refused.append(time.monotonic() - begin)

        threads = [threading.Thread(target=renew) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other.close()
        assert len(refused) == 20
        assert max(refused) < 2  # one after the other would be 4


@pytest.mark.parametrize("moved", ["review.sqlite", "review.sqlite-wal"])
def test_file_that_is_moved_away_takes_no_answer(path: Path, moved: str) -> None:
    with open_store(path, KEYS) as store:
        people = People(store)
        people.say("李", KEYS[0], "pass")
        aside = path.with_name("aside")
        path.with_name(moved).rename(aside)
        with pytest.raises(OutputError, match="deleted, moved or replaced while it is served"):
            people.say("李", KEYS[1], "pass")
        aside.rename(path.with_name(moved))
        people.say("李", KEYS[1], "pass")
        assert len(answer_rows(store)) == 2


def test_store_that_is_replaced_takes_no_answer(path: Path) -> None:
    with open_store(path, KEYS) as store:
        people = People(store)
        people.say("李", KEYS[0], "pass")
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
        with pytest.raises(OutputError, match="replaced"):
            people.say("李", KEYS[1], "pass")


def test_damage_anywhere_is_an_error_of_ours_or_does_no_harm(path: Path) -> None:
    with open_store(path, KEYS):
        pass
    whole, chance, errors = path.read_bytes(), random.Random(1), 0
    for _ in range(40):
        begin = chance.randrange(100, len(whole) - 4096)
        path.write_bytes(whole[:begin] + chance.randbytes(4096) + whole[begin + 4096 :])
        with suppress(DamagedFileError, InputError):  # all else is a bug
            errors += 1
            Store.open(path).close()
            errors -= 1
    assert errors > 20


@pytest.mark.parametrize("reason", ["pages", "cut"])
def test_damage_that_the_start_sees(path: Path, reason: str) -> None:
    with open_store(path, KEYS):
        pass
    content = path.read_bytes()
    path.write_bytes(
        content[: len(content) // 2] if reason == "cut" else content[:8192] + bytes(8192) + content[16384:]
    )
    with pytest.raises(DamagedFileError, match=r"the store is damaged: .*Restore a backup, or .*\.recover"):
        Store.open(path)


def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    assert in_own_mounts(lambda: answer_on_a_small_disk(tmp_path / "disk")).endswith(
        "review.sqlite: the disk is full. Make room. What is answered already is kept, and the page sends the last "
        "answer again."
    )


def answer_on_a_small_disk(folder: Path) -> str:
    """What the error says that refuses an answer, after the same answer has been taken once there was room."""
    small_disk(folder, 2**20)
    keys = [key(f"QC-{number}") for number in range(200)]
    with open_store(folder / "review.sqlite", keys) as store:
        people = People(store)
        session = people.session("李")
        ballast = fill(folder)
        answers = [NewAnswer(f"uid-{number}", people.ids[each], "pass", "x" * 400) for number, each in enumerate(keys)]
        taken, error = answer_until_full(store, session, answers)
        assert len(answer_rows(store)) == taken
        ballast.unlink()
        for _ in range(2):
            store.answer(session, answers[taken])
        assert len(answer_rows(store)) == taken + 1
    with Store.open(folder / "review.sqlite") as store:
        assert len(answer_rows(store)) == taken + 1
    return str(error)


def fill(folder: Path) -> Path:
    """A file that leaves no room."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def answer_until_full(store: Store, session: str, answers: list[NewAnswer]) -> tuple[int, DiskFullError]:
    """How many answers were taken, and the error of the next."""
    for number, answer in enumerate(answers):
        try:
            store.answer(session, answer)
        except DiskFullError as error:
            return number, error
    raise AssertionError("the disk never was full")
